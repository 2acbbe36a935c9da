// The script of the page: players, links of songs, and the light and dark themes. All events are
// handled on the document, because gradio replaces the HTML of a song when another one is shown.
(() => {
  "use strict";
  const last = { key: "", time: 0, playing: false };

  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const trackOf = (element) => element.closest && element.closest(".sg-track");
  const audioOf = (track) => track.querySelector("audio");

  function draw(track) {
    const audio = audioOf(track);
    const seconds = Number(track.dataset.seconds) || audio.duration || 1;
    const at = Math.min(audio.currentTime, seconds);
    const range = track.querySelector("[data-sg=seek]");
    range.value = at;
    range.setAttribute("aria-valuetext", `${Math.round(at)} of ${Math.round(seconds)} seconds`);
    track.style.setProperty("--sg-at", `${(100 * at) / seconds}%`);
    track.querySelector(".sg-time b").textContent = clock(at);
    track.classList.toggle("sg-playing", !audio.paused);
    const button = track.querySelector("[data-sg=play]");
    const label = button.getAttribute("aria-label").replace(/^(Play|Pause)/, "");
    button.setAttribute("aria-label", (audio.paused ? "Play" : "Pause") + label);
    if (audio.isConnected) Object.assign(last, { key: track.dataset.key, time: at, playing: !audio.paused });
  }

  function follow(track) {
    if (!track.isConnected) return;
    draw(track);
    if (!audioOf(track).paused) requestAnimationFrame(() => follow(track));
  }

  function play(track) {
    document.querySelectorAll(".sg-track audio").forEach((other) => {
      if (other !== audioOf(track)) other.pause();
    });
    const started = audioOf(track).play();
    if (started) started.catch(() => draw(track));
  }

  // After a remix, playback continues at the same position.
  function resume(track) {
    if (track.dataset.key !== last.key || (!last.playing && !last.time)) return;
    const { time, playing } = last;
    const audio = audioOf(track);
    const start = () => {
      audio.currentTime = Math.min(time, audio.duration || time);
      draw(track);
      if (playing) play(track);
    };
    if (audio.readyState > 0) start();
    else audio.addEventListener("loadedmetadata", start, { once: true });
  }

  // A live region that stays in the page: screen readers miss or repeat text in replaced elements.
  function say(message) {
    const live = document.querySelector("[data-sg=live]");
    if (live && live.textContent !== message) live.textContent = message;
  }

  async function copy(anchor) {
    let message = "Link copied";
    try {
      await navigator.clipboard.writeText(anchor.href);
    } catch {
      window.prompt("Copy this link", anchor.href);
      message = "Link shown";
    }
    say(message);
    const text = anchor.textContent;
    anchor.textContent = message;
    setTimeout(() => { anchor.textContent = text; }, 2000);
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest && event.target.closest("[data-sg]");
    if (!target) return;
    if (target.dataset.sg === "play") {
      const track = trackOf(target);
      if (audioOf(track).paused) play(track);
      else audioOf(track).pause();
    } else if (target.dataset.sg === "copy") {
      event.preventDefault();
      copy(target);
    } else if (target.dataset.sg === "theme") {
      const dark = document.body.classList.toggle("dark");
      try { localStorage.setItem("songgen-theme", dark ? "dark" : "light"); } catch { /* private */ }
    }
  });

  document.addEventListener("input", (event) => {
    if (!event.target.matches || !event.target.matches("[data-sg=seek]")) return;
    const track = trackOf(event.target);
    audioOf(track).currentTime = Number(event.target.value);
    draw(track);
  });

  for (const name of ["play", "pause", "ended", "seeked"]) {
    document.addEventListener(name, (event) => {
      const track = trackOf(event.target);
      if (track) follow(track);
    }, true);
  }

  let shown = "";
  new MutationObserver(() => {
    document.querySelectorAll(".sg-track:not([data-ready])").forEach((track) => {
      track.dataset.ready = "yes";
      resume(track);
    });
    const status = document.querySelector(".sg-status[data-say]");
    if (status) say(status.dataset.say);
    const song = document.querySelector(".sg-song");
    if (song && song.dataset.song !== shown) {
      shown = song.dataset.song;
      // On a phone, the song is below the form.
      const top = song.getBoundingClientRect().top;
      if (top > innerHeight - 120 || top < -200) {
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        song.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
      }
      const link = song.dataset.link;
      // Reloading the page restores the settings of the song.
      try { history.replaceState(null, "", link.slice(link.indexOf("?"))); } catch { /* framed */ }
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  const wanted = (() => { try { return localStorage.getItem("songgen-theme"); } catch { return null; } })();
  if (wanted) {
    const apply = () => document.body && document.body.classList.toggle("dark", wanted === "dark");
    document.addEventListener("DOMContentLoaded", () => { apply(); setTimeout(apply, 300); });
  }
})();
