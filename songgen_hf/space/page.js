// The script of the page: links of songs, the light and dark themes, the keyboard in rows of
// buttons, and messages. All events are handled on the document, because gradio replaces the HTML
// of a song when another one is shown. player.js plays the songs.
(() => {
  "use strict";

  // A live region that stays in the page: screen readers miss or repeat text in replaced elements.
  function say(message) {
    const live = document.querySelector("[data-sg=live]");
    if (live && live.textContent !== message) live.textContent = message;
  }

  async function copy(anchor) {
    let message = anchor.dataset.copied;
    try {
      await navigator.clipboard.writeText(anchor.href);
    } catch {
      window.prompt(anchor.dataset.ask, anchor.href);
      message = anchor.dataset.shown;
    }
    say(message);
    const text = anchor.textContent;
    anchor.textContent = message;
    setTimeout(() => { anchor.textContent = text; }, 2000);
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest && event.target.closest("[data-sg]");
    if (!target) return;
    if (target.dataset.sg === "copy") {
      event.preventDefault();
      copy(target);
    } else if (target.dataset.sg === "stop") {
      document.querySelector("#stop").click();
    } else if (target.dataset.sg === "theme") {
      const dark = document.body.classList.toggle("dark");
      try { localStorage.setItem("songgen-theme", dark ? "dark" : "light"); } catch { /* private */ }
    }
  });

  // One Tab stop for each row of buttons; the arrow keys move within the row. gradio gives each
  // radio button a name of its own, so browsers do not know that they belong together.
  const ROWS = ".sg-chip-row .wrap, :is(#mode, .sg-choice) .wrap, .sg-examples, [data-roving]";
  const inRow = (row) => [...row.querySelectorAll("input, button")].filter((one) => !one.disabled)
    .sort((a, b) => {
      const [p, q] = [a, b].map((one) => (one.closest("label") || one).getBoundingClientRect());
      return p.top - q.top || p.left - q.left;
    });

  function oneTabStop(row, wanted) {
    const items = inRow(row);
    const stop = wanted || items.find((one) => one === document.activeElement)
      || items.find((one) => one.checked || one.getAttribute("aria-pressed") === "true")
      || items[0];
    items.forEach((one) => { if (one.tabIndex !== (one === stop ? 0 : -1)) one.tabIndex = one === stop ? 0 : -1; });
  }

  document.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const row = event.target.closest && event.target.closest(ROWS);
    if (!row || (!step && event.key !== "Home" && event.key !== "End")) return;
    const items = inRow(row);
    const at = items.indexOf(event.target);
    if (at < 0) return;
    event.preventDefault();
    const next = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1
      : (at + step + items.length) % items.length;
    oneTabStop(row, items[next]);
    items[next].focus();
    if (items[next].type === "radio") items[next].click();
    items[next].scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  // Chosen chips come first in their row (page.css); a row that they overflow is wrapped.
  function showChosen(row) {
    const chosen = [...row.querySelectorAll("label:has(input:checked)")];
    const width = chosen.reduce((sum, label) => sum + label.offsetWidth + 6, 0);
    row.classList.toggle("sg-wrapped", width > row.clientWidth - 40);
    const key = chosen.map((label) => label.textContent).join();
    if (row.dataset.chosen !== key) row.scrollLeft = 0;
    row.dataset.chosen = key;
  }
  document.addEventListener("change", (event) => {
    const row = event.target.closest && event.target.closest(".sg-chip-row .wrap");
    if (row) requestAnimationFrame(() => { showChosen(row); oneTabStop(row, event.target); });
  });

  let shown = "";
  let planned = false;
  function refresh() {
    planned = false;
    const language = document.querySelector("[data-language]")?.dataset.language;
    if (language) document.documentElement.lang = language;
    document.querySelectorAll(ROWS).forEach((row) => oneTabStop(row));
    document.querySelectorAll(".sg-chip-row .wrap").forEach(showChosen);
    const status = document.querySelector(".sg-status[data-say]");
    if (status) say(status.dataset.say);
    const song = document.querySelector(".sg-song");
    if (!song || song.dataset.song === shown) return;
    shown = song.dataset.song;
    // On a phone, the song is below the form.
    const top = song.getBoundingClientRect().top;
    if (top > innerHeight - 120 || top < -200) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      song.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
    }
  }
  function remember() {
    const song = document.querySelector(".sg-song[data-link]");
    if (!song || song.dataset.link === remember.last) return;
    remember.last = song.dataset.link;
    const query = song.dataset.link.slice(song.dataset.link.indexOf("?"));
    const language = new URLSearchParams(location.search).get("lang");
    // Reloading the page restores the settings of the song.
    try { history.replaceState(null, "", query + (language ? `&lang=${language}` : "")); } catch { /* framed */ }
  }
  new MutationObserver(() => {
    remember();
    if (!planned) { planned = true; setTimeout(refresh, 30); }
  }).observe(document.documentElement, { childList: true, subtree: true });

  const wanted = (() => { try { return localStorage.getItem("songgen-theme"); } catch { return null; } })();
  if (wanted) {
    const apply = () => document.body && document.body.classList.toggle("dark", wanted === "dark");
    document.addEventListener("DOMContentLoaded", () => { apply(); setTimeout(apply, 300); });
  }
})();
