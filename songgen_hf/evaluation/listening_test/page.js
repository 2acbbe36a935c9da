
"use strict";
const test = JSON.parse(document.getElementById("test").textContent);
const storageKey = `listening-test-${test.page}`;
const element = (id) => document.getElementById(id);
const state = { listener: "", place: 0, votes: {}, ...stored() };
let players = [];
let current = 0; // the player that Space plays
const heard = new Set(); // files that were played since the page was opened

function stored() {
  try {
    return JSON.parse(localStorage.getItem(storageKey)) || {};
  } catch {
    return {};
  }
}

function store() {
  try {
    localStorage.setItem(storageKey, JSON.stringify(state));
  } catch {
    say("This browser keeps no answers: download them before you leave the page.");
  }
}

function say(text) {
  element("status").textContent = text;
}

function randomCode() {
  const numbers = crypto.getRandomValues(new Uint8Array(5));
  return Array.from(numbers, (number) => number.toString(16).padStart(2, "0")).join("");
}

function button(text, action) {
  const made = document.createElement("button");
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

function stop() {
  for (const player of players) player.audio.pause();
}

function addPlayer(file, place) {
  const name = test.labels[place];
  const audio = new Audio(file);
  audio.preload = "auto";
  const play = button(`Play ${name}`, () => toggle(place));
  const position = document.createElement("input");
  Object.assign(position, { type: "range", min: 0, max: 1000, value: 0 });
  position.setAttribute("aria-label", `Position in ${name}`);
  position.addEventListener("input", () => {
    if (audio.duration) audio.currentTime = (position.value / 1000) * audio.duration;
  });
  audio.addEventListener("timeupdate", () => {
    position.value = audio.duration ? (1000 * audio.currentTime) / audio.duration : 0;
    const seconds = Math.floor(audio.currentTime);
    position.setAttribute("aria-valuetext", `${seconds} seconds`);
  });
  const show = () => { play.textContent = `${audio.paused ? "Play" : "Pause"} ${name}`; };
  for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, show);
  audio.addEventListener("playing", () => heard.add(file));
  audio.addEventListener("error", () => say(`Song ${name} cannot be played: is its file there?`));
  const row = document.createElement("div");
  row.className = "song";
  row.append(play, position);
  element("songs").append(row);
  return { audio, file };
}

function toggle(place) {
  current = place;
  const { audio } = players[place];
  if (!audio.paused) return audio.pause();
  stop();
  audio.play().catch(() => {}); // its event "error", or a pause before it started
}

function choose(value) {
  const trial = test.trials[state.place];
  const missing = players.findIndex((player) => !heard.has(player.file));
  if (!(trial.id in state.votes) && missing >= 0) {
    say(`Play ${test.labels[missing]} first.`);
    return;
  }
  state.votes[trial.id] = value;
  store();
  showVotes();
  const label = test.choices.find((choice) => choice.value === value).label;
  const done = Object.keys(state.votes).length === test.trials.length;
  say(`Your answer: ${label}. ${done ? "All questions are answered: download your votes." : ""}`);
}

function showVotes() {
  const vote = state.votes[test.trials[state.place].id];
  for (const one of element("choices").children) {
    one.setAttribute("aria-pressed", String(one.dataset.value === String(vote)));
  }
  const count = Object.keys(state.votes).length;
  Object.assign(element("progress"), { max: test.trials.length, value: count });
  element("answered").textContent = `${count} of ${test.trials.length} answered`;
}

function go(place, focus = true) {
  if (place < 0 || place >= test.trials.length) return;
  stop();
  state.place = place;
  store();
  current = 0;
  element("songs").replaceChildren();
  players = test.trials[place].songs.map(addPlayer);
  element("heading").textContent = `Question ${place + 1} of ${test.trials.length}`;
  element("back").disabled = place === 0;
  element("next").disabled = place === test.trials.length - 1;
  say("");
  showVotes();
  if (focus) element("heading").focus();
}

function download() {
  const votes = { page: test.page, design: test.design, listener: state.listener, votes: state.votes };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(votes, null, 2)], { type: "application/json" }));
  link.download = `votes-${test.page.slice(0, 6)}-${state.listener.replace(/[^\p{L}\p{N}]+/gu, "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function onKey(event) {
  const target = event.target;
  if (event.ctrlKey || event.altKey || event.metaKey || target.id === "listener") return;
  const key = event.key.toLowerCase();
  const choice = test.choices.find((one) => one.keys.includes(key));
  const moves = { arrowleft: () => go(state.place - 1), arrowright: () => go(state.place + 1) };
  const steps = { arrowup: -1, arrowdown: 1 };
  if (choice) choose(choice.value);
  else if (key === " " && target.tagName !== "BUTTON") toggle(current);
  else if (target.type === "range") return;
  else if (key in moves) moves[key]();
  else if (key in steps) {
    const other = current + steps[key];
    if (!(other in players)) return;
    if (players[other].audio.paused) toggle(other);
  } else return;
  event.preventDefault();
}

for (const { value, label } of test.choices) {
  const made = button(label, () => choose(value));
  made.dataset.value = value;
  element("choices").append(made);
}
state.listener = state.listener || randomCode();
element("listener").value = state.listener;
element("listener").addEventListener("change", (event) => {
  state.listener = event.target.value.trim() || randomCode();
  event.target.value = state.listener;
  store();
});
element("back").addEventListener("click", () => go(state.place - 1));
element("next").addEventListener("click", () => go(state.place + 1));
element("download").addEventListener("click", download);
document.addEventListener("keydown", onKey);
go(Math.min(state.place, test.trials.length - 1), false);
