// Plays the songs of the page with Web Audio: finished tracks, or parts of a song while it is
// generated. Cards of songs (song_markup.py) say what to play; their HTML may be replaced at any
// time, so a player belongs to the id of a song and not to its elements.
(() => {
  "use strict";
  const START = 0.05; // seconds from a press to the sound, so that all tracks start together
  const LEADS = [0.3, 1, 2, 4]; // seconds of sound to wait for after the sound has run out
  const KEPT = 4; // players whose sound is kept
  const players = new Map();
  const sounds = new Map();
  const mixer = { mute: new Set(), solo: "" };
  let context = null;
  let current = null;
  let wanted = false; // whether the next song is to be played as soon as it sounds

  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const cardOf = (element) => element.closest && element.closest(".sg-song");

  function awake(rate) {
    if (!context) {
      const told = rate || Number(document.querySelector("[data-rate]")?.dataset.rate) || 16000;
      // At the rate of the songs, parts join without resampling.
      try { context = new AudioContext({ sampleRate: told }); } catch { context = new AudioContext(); }
    }
    if (context.state === "suspended") context.resume();
    return context;
  }

  function fetched(address, keep = true) {
    if (sounds.has(address)) return sounds.get(address);
    const sound = fetch(address).then((answer) => {
      if (!answer.ok) throw new Error(`${answer.status}`);
      return answer.arrayBuffer();
    }).then((bytes) => awake().decodeAudioData(bytes));
    if (keep) {
      sounds.set(address, sound);
      sound.catch(() => sounds.delete(address));
      if (sounds.size > 24) sounds.delete(sounds.keys().next().value);
    }
    return sound;
  }

  function channel(buffer, number) {
    const mono = awake().createBuffer(1, buffer.length, buffer.sampleRate);
    mono.copyToChannel(buffer.getChannelData(Math.min(number, buffer.numberOfChannels - 1)), 0);
    return mono;
  }

  class Player {
    constructor(id) {
      this.id = id;
      this.tracks = {};
      this.sources = new Set();
      this.at = 0;
      this.zero = 0; // time of the context at which the song began
      this.playing = false;
      this.waiting = false;
      this.complete = false;
      this.starved = 0;
      this.parts = 0; // parts that were asked for
      this.rewinds = 0;
      this.queue = Promise.resolve();
    }

    get end() {
      const ends = Object.values(this.tracks).map((track) => track.end);
      return ends.length ? (this.complete ? Math.max(...ends) : Math.min(...ends)) : 0;
    }

    get position() {
      if (!this.playing || this.waiting) return this.at;
      return Math.min(this.end, Math.max(this.at, context.currentTime - this.zero));
    }

    track(name) {
      if (!this.tracks[name]) {
        const gain = awake().createGain();
        gain.connect(context.destination);
        this.tracks[name] = { gain, parts: [], end: 0 };
        this.level();
      }
      return this.tracks[name];
    }

    // Add a part after the others of a track.
    add(name, buffer) {
      const track = this.track(name);
      const part = { at: track.end, buffer };
      track.parts.push(part);
      track.end += buffer.duration;
      if (this.playing && !this.waiting) this.schedule(track, part, context.currentTime + 0.01);
      if (this.card) drawPart(this, name, buffer);
    }

    // Put finished tracks in the place of the parts, without a gap where it plays.
    replace(buffers) {
      const sounding = this.playing && !this.waiting;
      const when = awake().currentTime + 0.15;
      if (sounding) this.sources.forEach((source) => source.stop(when));
      this.sources.clear();
      for (const [name, buffer] of Object.entries(buffers)) {
        Object.assign(this.track(name), { parts: [{ at: 0, buffer }], end: buffer.duration });
      }
      this.complete = true;
      if (sounding) this.all(when);
    }

    // Forget all parts: some of them are sung again, and the list of parts is told anew.
    rewind() {
      this.at = this.position;
      this.waiting = this.playing;
      this.silence();
      for (const track of Object.values(this.tracks)) Object.assign(track, { parts: [], end: 0 });
      this.parts = 0;
      this.drawing = {};
    }

    schedule(track, part, from) {
      const when = this.zero + part.at;
      if (when + part.buffer.duration <= from) return;
      const source = context.createBufferSource();
      source.buffer = part.buffer;
      source.connect(track.gain);
      if (when >= from) source.start(when);
      else source.start(from, from - when);
      this.sources.add(source);
      source.onended = () => this.sources.delete(source);
    }

    all(from) {
      for (const track of Object.values(this.tracks)) {
        for (const part of track.parts) this.schedule(track, part, from);
      }
    }

    silence() {
      this.sources.forEach((source) => { source.onended = null; source.stop(); });
      this.sources.clear();
    }

    async load() {
      if (this.complete || !this.addresses) return;
      const names = Object.keys(this.addresses);
      const buffers = await Promise.all(names.map((name) => fetched(this.addresses[name])));
      this.replace(Object.fromEntries(names.map((name, i) => [name, channel(buffers[i], 0)])));
      this.live = false;
    }

    async play(at) {
      awake();
      if (current && current !== this) current.pause();
      current = this;
      if (!this.live) await this.load();
      this.silence();
      const start = at ?? this.at;
      this.at = this.complete && start >= this.end - 0.05 ? 0 : start;
      const when = context.currentTime + START;
      this.zero = when - this.at;
      this.playing = true;
      this.waiting = false;
      this.all(when);
      follow();
    }

    pause() {
      this.at = this.position;
      this.playing = this.waiting = false;
      this.silence();
      draw(this);
    }

    seek(at) {
      if (this.playing && !this.waiting) this.play(at);
      else { this.at = at; draw(this); }
    }

    // Called for each picture of the screen.
    tick() {
      if (!this.playing) return;
      if (this.waiting) {
        const lead = LEADS[Math.min(this.starved, LEADS.length - 1)];
        if (this.complete || this.end - this.at >= lead) this.play(this.at);
      } else if (context.currentTime - this.zero >= this.end - 0.03) {
        if (this.complete) {
          this.pause();
          this.at = 0;
        } else {
          this.at = this.position;
          this.waiting = true;
          this.starved += 1;
          this.silence();
        }
      }
    }

    level() {
      const balance = Number(this.card?.dataset.balance || 0) / 100;
      const balanced = { vocal: Math.min(1, 1 + balance), band: Math.min(1, 1 - balance) };
      for (const [name, track] of Object.entries(this.tracks)) {
        const heard = !mixer.mute.has(name) && (!mixer.solo || mixer.solo === name || name === "mix");
        track.gain.gain.setTargetAtTime(heard ? balanced[name] ?? 1 : 0, awake().currentTime, 0.01);
      }
    }
  }

  function playerOf(id) {
    if (!players.has(id)) players.set(id, new Player(id));
    const player = players.get(id);
    players.delete(id);
    players.set(id, player); // the last used one is the last
    for (const [old, other] of players) {
      if (players.size <= KEPT || other === current || other === player) break;
      other.silence();
      players.delete(old);
    }
    return player;
  }

  // Show --------------------------------------------------------------------------------------
  let following = false;
  function follow() {
    if (following) return;
    following = true;
    const step = () => {
      if (current) { current.tick(); draw(current); }
      following = Boolean(current && current.playing);
      if (following) requestAnimationFrame(step);
    };
    step();
  }
  // A hidden page gets no pictures, but its song must go on.
  setInterval(() => { if (document.hidden && current) current.tick(); }, 100);

  function draw(player) {
    const card = player.card;
    if (!card || !card.isConnected) return;
    const seconds = Number(card.dataset.seconds) || 1;
    const at = Math.min(player.position, seconds);
    const range = card.querySelector("[data-sg=seek]");
    if (document.activeElement !== range || player.playing) range.value = at;
    const told = card.dataset.at.replace("{at}", Math.round(at)).replace("{all}", Math.round(seconds));
    if (range.getAttribute("aria-valuetext") !== told) range.setAttribute("aria-valuetext", told);
    card.style.setProperty("--sg-at", `${(100 * at) / seconds}%`);
    const time = card.querySelector(".sg-time b");
    if (time.textContent !== clock(at)) time.textContent = clock(at);
    card.classList.toggle("sg-playing", player.playing);
    card.classList.toggle("sg-waiting", player.waiting);
    const button = card.querySelector("[data-sg=play]");
    const label = player.playing ? card.dataset.pause : card.dataset.play;
    if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
    highlight(player, at);
  }

  function highlight(player, at) {
    let sung = null;
    let line = "";
    for (const word of player.words || []) {
      const inside = at >= Number(word.dataset.start) && at < Number(word.dataset.end);
      if (inside) sung = word;
      if (at >= Number(word.dataset.start) - 0.3) line = word.dataset.line;
    }
    for (const word of player.words || []) word.classList.toggle("sg-sung", word === sung);
    for (const section of player.sections || []) {
      const { from, to } = section.dataset;
      section.classList.toggle("sg-here", at >= Number(from) && at < Number(to) && at > 0);
    }
    const shown = player.card.querySelector(".sg-line");
    const buffering = player.waiting ? player.card.dataset.buffering : "";
    const key = buffering || `${line}:${player.playing || at > 0}`;
    if (shown.dataset.key !== key) {
      shown.dataset.key = key;
      const words = (player.words || []).filter((word) => word.dataset.line === line);
      const spans = words.map((word) => {
        const span = document.createElement("span");
        span.textContent = word.textContent;
        span.word = word;
        return span;
      });
      shown.replaceChildren(...(buffering ? [buffering] : player.playing || at > 0 ? spans : []));
    }
    for (const span of shown.children) span.classList.toggle("sg-sung", span.word === sung);
  }

  // Words stand at their times, in as many rows as they need.
  function place(card) {
    const box = card.querySelector(".sg-words");
    if (!box) return;
    const width = box.clientWidth;
    const seconds = Number(card.dataset.seconds) || 1;
    const rows = [];
    for (const word of box.children) {
      const left = Math.max(0, Math.min((Number(word.dataset.start) / seconds) * width,
        width - word.offsetWidth));
      let row = rows.findIndex((end) => end <= left);
      if (row < 0) row = rows.length;
      rows[row] = left + word.offsetWidth + 3;
      word.style.left = `${left}px`;
      word.style.top = `${4 + row * 25}px`;
    }
    box.style.height = `${rows.length * 25 + 6}px`;
  }
  addEventListener("resize", () => document.querySelectorAll(".sg-song").forEach(place));

  function attach(card) {
    const before = current;
    const player = playerOf(card.dataset.song);
    player.card = card;
    player.family = card.dataset.family;
    player.words = [...card.querySelectorAll("[data-sg=word]")];
    player.sections = [...card.querySelectorAll(".sg-section")];
    place(card);
    if (document.fonts) document.fonts.ready.then(() => place(card));
    showMixer();
    player.level();
    region(card);
    const live = card.dataset.live === "yes";
    if (live) player.live = true;
    if (card.dataset.sources) {
      player.addresses = JSON.parse(card.dataset.sources);
      // What was heard while the song was generated goes on; its end may still be missing.
      if (player.live) player.queue = player.queue.then(() => player.load()).catch(() => {});
    }
    if (before && before !== player && !live) {
      if (before.family === player.family) { // another take: at the same place
        const at = before.position;
        if (before.playing) player.play(at);
        else player.at = at;
      } else before.pause();
    }
    if (!live || !before || !before.playing) current = player;
    draw(player);
  }

  // Parts of a song that is generated -----------------------------------------------------------
  function feed(told) {
    const player = playerOf(told.song);
    player.live = true;
    if (told.rewinds > player.rewinds) {
      player.rewinds = told.rewinds;
      player.rewind();
    }
    showSections(player.card, told.section);
    while (player.parts < told.parts.length) {
      const address = told.parts[player.parts];
      const first = player.parts === 0;
      player.parts += 1;
      // Fetched at the same time, added one after another.
      const sound = fetched(address, false);
      const rewinds = player.rewinds;
      player.queue = player.queue.then(() => sound).then((buffer) => {
        if (player.complete || rewinds !== player.rewinds) return;
        told.tracks.forEach((name, number) => player.add(name, channel(buffer, number)));
        const from = Number(player.card?.dataset.from || 0);
        if (player.wanted && player.end > from) {
          player.wanted = false;
          player.play(from);
        }
      }).catch(() => {});
      if (first) { player.wanted = wanted; wanted = false; }
    }
  }

  // The cards of the sections of a whole song.
  function showSections(card, current) {
    if (!card) return;
    const states = card.querySelector(".sg-sections")?.dataset;
    card.querySelectorAll(".sg-section").forEach((section, place) => {
      setState(section, place < current ? "sung" : place === current ? "singing" : "waiting", states);
    });
  }
  function setState(section, state, states) {
    if (section.dataset.state === state) return;
    section.dataset.state = state;
    section.querySelector(".sg-state").textContent = states[state];
  }

  // A mel picture that grows with the song, in the colors of pictures.py.
  const STOPS = ["#101a24", "#173a45", "#1f6b6d", "#6aa884", "#e6b15e", "#fff1d0"];
  const COLORS = Array.from({ length: 64 }, (_, i) => {
    const place = (i / 63) * (STOPS.length - 1);
    const low = Math.min(STOPS.length - 2, Math.floor(place));
    const mixed = [1, 3, 5].map((at) => {
      const [a, b] = [STOPS[low], STOPS[low + 1]].map((stop) => parseInt(stop.slice(at, at + 2), 16));
      return Math.round(a + (b - a) * (place - low));
    });
    return `rgb(${mixed})`;
  });
  const SIZE = 512;
  const BANDS = 64;

  function spectrum(samples, start) {
    const re = new Float32Array(SIZE);
    const im = new Float32Array(SIZE);
    for (let i = 0, bits = Math.log2(SIZE); i < SIZE; i += 1) {
      let j = 0;
      for (let b = 0; b < bits; b += 1) j |= ((i >> b) & 1) << (bits - 1 - b);
      re[j] = (samples[start + i] || 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
    }
    for (let half = 1; half < SIZE; half *= 2) {
      for (let k = 0; k < half; k += 1) {
        const [c, s] = [Math.cos((Math.PI * k) / half), -Math.sin((Math.PI * k) / half)];
        for (let i = k; i < SIZE; i += 2 * half) {
          const j = i + half;
          const [x, y] = [re[j] * c - im[j] * s, re[j] * s + im[j] * c];
          re[j] = re[i] - x; im[j] = im[i] - y;
          re[i] += x; im[i] += y;
        }
      }
    }
    return re.map((value, i) => value * value + im[i] * im[i]);
  }

  function drawPart(player, name, buffer) {
    const canvas = player.card.querySelector(`.sg-lane[data-track="${name}"] canvas`);
    if (!canvas) return;
    const drawing = player.drawing ||= {};
    const state = drawing[name] ||= { samples: new Float32Array(0), column: 0, top: -60 };
    const joined = new Float32Array(state.samples.length + buffer.length);
    joined.set(state.samples);
    joined.set(buffer.getChannelData(0), state.samples.length);
    state.samples = joined;
    const mel = (f) => 2595 * Math.log10(1 + f / 700);
    const hertz = (m) => 700 * (10 ** (m / 2595) - 1);
    const rate = buffer.sampleRate;
    const hop = (Number(player.card.dataset.seconds) * rate) / canvas.width;
    const [low, high] = [mel(60), mel(0.48 * rate)];
    const edges = Array.from({ length: BANDS + 1 }, (_, i) =>
      (hertz(low + ((high - low) * i) / BANDS) * SIZE) / rate);
    const pen = canvas.getContext("2d");
    const height = canvas.height / BANDS;
    const columns = [];
    for (; state.column < canvas.width && state.column * hop + SIZE / 2 <= joined.length; state.column += 1) {
      const power = spectrum(joined, Math.max(0, Math.round(state.column * hop - SIZE / 2)));
      columns.push([state.column, edges.slice(1).map((edge, band) => {
        const first = Math.floor(edges[band]);
        const last = Math.max(first + 1, Math.ceil(edge));
        let sum = 0;
        for (let i = first; i < last; i += 1) sum += power[i];
        return 10 * Math.log10(sum / (last - first) + 1e-9);
      })]);
    }
    const levels = columns.flatMap(([, column]) => column).sort((a, b) => a - b);
    state.top = Math.max(state.top, levels[Math.floor(0.99 * levels.length)] ?? -60);
    for (const [x, column] of columns) {
      column.forEach((level, band) => {
        pen.fillStyle = COLORS[Math.round(63 * Math.max(0, Math.min(1, 1 + (level - state.top) / 60)))];
        pen.fillRect(x, canvas.height - (band + 1) * height, 1, height + 1);
      });
    }
  }

  // A stretch of the picture --------------------------------------------------------------------
  const fieldOf = (name) => document.querySelector(`#edit-${name} input`);
  let chosen = { from: 0, to: 0 };

  function region(card) {
    const mark = card && card.querySelector(".sg-region");
    if (!mark || card.querySelector(".sg-section")) return;
    const all = Number(card.dataset.seconds);
    const to = Math.min(chosen.to, all);
    mark.hidden = !(to > chosen.from);
    mark.style.left = `${(100 * chosen.from) / all}%`;
    mark.style.width = `${(100 * (to - chosen.from)) / all}%`;
  }

  function choose(card, from, to) {
    chosen = { from, to };
    region(card);
  }

  // Write the stretch into the fields of the panel, which a closed panel does not have, until they
  // have held it for a second: a panel that has just opened may write its own values once more.
  function fill() {
    const wanted = { from: chosen.from.toFixed(2), to: chosen.to.toFixed(2) };
    const until = performance.now() + 30000;
    let opened = false;
    let held = 0;
    const step = () => {
      const isChosen = Object.keys(wanted).every((name) => chosen[name].toFixed(2) === wanted[name]);
      if (!isChosen || performance.now() > until) return;
      const fields = ["from", "to"].map((name) => [name, fieldOf(name)]);
      if (fields.some(([, field]) => !field)) {
        if (!opened) document.querySelector("#edit-block button")?.click();
        opened = true;
        held = 0;
      } else if (fields.every(([name, field]) => Number(field.value) === Number(wanted[name]))) {
        held += 1;
      } else {
        held = 0;
        for (const [name, field] of fields) {
          field.value = wanted[name];
          for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
          field.dispatchEvent(new FocusEvent("blur"));
        }
      }
      if (held < 10) setTimeout(step, 100);
    };
    step();
  }

  let drag = null;
  const canChoose = (card) => !card.dataset.live && !card.querySelector(".sg-section");
  const timeAt = (card, event) => {
    const box = card.querySelector(".sg-lanes").getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    return share * Number(card.dataset.seconds);
  };
  document.addEventListener("pointerdown", (event) => {
    const lanes = event.target.closest && event.target.closest(".sg-lanes");
    if (!lanes || event.button) return;
    const card = cardOf(lanes);
    event.preventDefault();
    card.querySelector("[data-sg=seek]").focus({ preventScroll: true });
    drag = { card, x: event.clientX, from: timeAt(card, event), moved: false };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.moved ||= Math.abs(event.clientX - drag.x) > 6;
    if (!drag.moved || !canChoose(drag.card)) return;
    const to = timeAt(drag.card, event);
    choose(drag.card, Math.min(drag.from, to), Math.max(drag.from, to));
  });
  document.addEventListener("pointerup", (event) => {
    if (!drag) return;
    if (!drag.moved) playerOf(drag.card.dataset.song).seek(timeAt(drag.card, event));
    else if (canChoose(drag.card)) fill();
    drag = null;
  });
  document.addEventListener("pointercancel", () => { drag = null; });

  // Buttons -------------------------------------------------------------------------------------
  function showMixer() {
    document.querySelectorAll("[data-sg=mute], [data-sg=solo]").forEach((button) => {
      const on = button.dataset.sg === "mute" ? mixer.mute.has(button.dataset.track)
        : mixer.solo === button.dataset.track;
      button.setAttribute("aria-pressed", String(on));
    });
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest && event.target.closest("[data-sg]");
    const card = target && cardOf(target);
    if (!card) return;
    const player = playerOf(card.dataset.song);
    const { sg, track } = target.dataset;
    if (sg === "play") {
      if (player.playing) player.pause();
      else player.play();
    } else if (sg === "word" || sg === "from") {
      player.play(Number(target.dataset.start));
    } else if (sg === "mute" || sg === "solo") {
      if (sg === "solo") mixer.solo = mixer.solo === track ? "" : track;
      else if (!mixer.mute.delete(track)) mixer.mute.add(track);
      showMixer();
      players.forEach((one) => one.level());
    }
  });

  document.addEventListener("input", (event) => {
    const target = event.target;
    if (!target.matches) return;
    if (target.matches("[data-sg=seek]")) {
      playerOf(cardOf(target).dataset.song).seek(Number(target.value));
    } else if (target.closest("#balance") && current && current.card) {
      current.card.dataset.balance = target.value;
      current.level();
    } else if (target.closest("#edit-from, #edit-to")) {
      chosen = { from: Number(fieldOf("from")?.value || 0), to: Number(fieldOf("to")?.value || 0) };
      region(document.querySelector(".sg-song"));
    }
  });

  // A press that asks for a song also allows the page to play it.
  const ASKS = "#sing, #again, #new, #redo, #new-words, #go-on, #over-button, [data-resing]";
  function asked() {
    awake();
    wanted = true;
  }
  document.addEventListener("click", (event) => {
    const asks = event.target.closest && event.target.closest(ASKS);
    if (!asks) return;
    if (asks.dataset.resing && document.querySelector("#sing").disabled) return; // one at a time
    asked();
    const section = asks.closest(".sg-section");
    if (section) setState(section, "singing", section.parentElement.dataset);
  }, true);
  document.addEventListener("keydown", (event) => {
    const box = event.target.closest && event.target.closest("#lyrics, #description");
    if (event.key === "Enter" && box) asked();
  }, true);

  // A section that is no longer being sung again, because it was stopped or failed.
  function restoreSections() {
    if (document.querySelector("#status .sg-busy")) return;
    document.querySelectorAll(".sg-song:not([data-live], [data-unfinished]) [data-state=singing]")
      .forEach((section) => setState(section, "sung", section.parentElement.dataset));
  }

  let fed = "";
  new MutationObserver(() => {
    if (document.querySelector("#status :is(.sg-note, .sg-problem)")) restoreSections();
    document.querySelectorAll(".sg-song:not([data-ready])").forEach((card) => {
      card.dataset.ready = "yes";
      attach(card);
    });
    const told = document.querySelector("[data-feed]")?.dataset.feed;
    if (told && told !== fed) {
      fed = told;
      feed(JSON.parse(told));
    }
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-feed"] });

  // For tests, and for whoever wants to look at the clock of the sound.
  window.songgen = {
    get state() {
      const player = current;
      return player && {
        song: player.id,
        position: player.position,
        end: player.end,
        playing: player.playing && !player.waiting,
        complete: player.complete,
        clock: context ? context.currentTime : 0,
        levels: Object.fromEntries(Object.entries(player.tracks).map(([name, track]) => [name, track.gain.gain.value])),
      };
    },
  };
})();
