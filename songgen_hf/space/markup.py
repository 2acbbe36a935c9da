"""The HTML of the page around songs: header, progress, messages and the history.

Only this module and ``song_markup`` put text of visitors into HTML, and they escape all of it.
"""

from collections.abc import Sequence
from html import escape

from .error_messages import Told
from .progress import Progress
from .section_markup import section_name
from .song_files import Song
from .strings import ENGLISH, Say

_BARS = (18, 34, 26, 52, 40, 68, 84, 60, 46, 72, 56, 30, 44, 24, 36, 16)


def header(say: Say = ENGLISH) -> str:
    """The header of the page."""
    other = "de" if say("sing") == ENGLISH("sing") else "en"
    return f"""
<header class="sg-header" data-language="{"en" if other == "de" else "de"}">
  <div class="sg-brand">
    <svg viewBox="0 0 32 32" width="34" height="34" aria-hidden="true">{_mark()}</svg>
    <div><h1>songgen</h1><p>{escape(say("subtitle"))}</p></div>
  </div>
  <p class="sg-hidden" role="status" data-sg="live"></p>
  <div class="sg-tools">
  <a class="sg-quiet" href="?lang={other}" hreflang="{other}" lang="{other}">{
        escape(say("other_language"))
    }</a>
  <button type="button" class="sg-quiet" data-sg="theme" aria-label="{escape(say("theme_label"))}">
    <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path d="M12 3a9 9 0 1 0 0
    18zM12 3a9 9 0 0 1 0 18" fill="none" stroke="currentColor" stroke-width="1.6"/><path
    d="M12 3a9 9 0 0 0 0 18z"/></svg><span>{escape(say("theme"))}</span>
  </button>
  </div>
</header>"""


def footer(model: str, say: Say = ENGLISH) -> str:
    """The footer of the page: which model generates the songs, and the rules for voices."""
    name = f"<strong>{escape(model)}</strong>"
    text = escape(say("footer", model="MODEL")).replace("MODEL", name)
    return f"""
<footer class="sg-footer">
  <p>{text}</p>
</footer>"""


def hint(text: str) -> str:
    """A hint within a part of the form."""
    return f'<p class="sg-hint">{escape(text)}</p>'


def legend(text: str) -> str:
    """The words before a row of buttons."""
    return f'<span class="sg-legend">{escape(text)}</span>'


def empty_stage(say: Say = ENGLISH, key: str = "empty") -> str:
    """The placeholder that is shown before the first song, or before what else ``key`` names."""
    bars = "".join(
        f'<rect x="{12 * place}" y="{50 - height / 2}" width="6" height="{height}" rx="3"/>'
        for place, height in enumerate(_BARS)
    )
    return f"""
<div class="sg-empty">
  <svg viewBox="0 0 186 100" width="186" height="100" aria-hidden="true">{bars}</svg>
  <h2>{escape(say(f"{key}_title"))}</h2>
  <p>{escape(say(key))}</p>
</div>"""


def waiting(say: Say = ENGLISH) -> str:
    """The status from the press of the button to the first progress report."""
    return progress(Progress(), say)


def progress(state: Progress, say: Say = ENGLISH) -> str:
    """The status while songs are generated."""
    percent = round(100 * state.done)
    if state.waiting:
        said, detail = say("waiting"), say("waiting_fact")
    else:
        said = say("singing")
        if state.songs > 1:
            said = say("singing_of", song=state.song, songs=state.songs)
        detail = say("starting", percent=percent)
        if state.seconds_left is not None:
            detail = say("left", percent=percent, time=duration(state.seconds_left))
    # Screen readers announce every change of this text, so it changes only every 25 percent.
    spoken = said if state.waiting else say("spoken", what=said, percent=percent // 25 * 25)
    return f"""
<div class="sg-status sg-busy" data-say="{escape(spoken)}">
  <div class="sg-status-line"><strong>{escape(said)}</strong><span>{escape(detail)}</span></div>
  <div class="sg-bar" role="progressbar" aria-label="{escape(say("singing"))}" aria-valuemin="0"
   aria-valuemax="100" aria-valuenow="{percent}"
   ><span style="width:{max(2, percent)}%"></span></div>
</div>"""


def done(songs: Sequence[Song], say: Say = ENGLISH) -> str:
    """The status after the last song."""
    count = say("done") if len(songs) == 1 else say("done_many", count=len(songs))
    # The takes of one song are generated together.
    taken = {song.family or song.id: song.seconds_taken for song in songs}
    seconds = f"{sum(song.seconds for song in songs):.1f}"
    text = say("done_fact", what=count, time=duration(sum(taken.values())), seconds=seconds)
    return f'<div class="sg-status sg-done" data-say="{escape(count)}">{escape(text)}</div>'


def stopped(kept: bool = False, say: Say = ENGLISH) -> str:
    """The status after the visitor stopped the request."""
    return note(say("stopped_kept" if kept else "stopped"))


def note(message: str) -> str:
    """A message to the visitor."""
    said = escape(message)
    return f'<div class="sg-status sg-note" data-say="{said}">{said}</div>'


def problem(message: Told, say: Say = ENGLISH, *, title: str = "problem", rest: str = "") -> str:
    """An error message to the visitor.

    Args:
        message: the message and its language.
        say: words of the page.
        title: key of the line above the message.
        rest: what the visitor can do now, in the language of the page.
    """
    after = f"<p>{escape(rest)}</p>" if rest else ""
    return (
        f'<div class="sg-status sg-problem" role="alert"><strong>{escape(say(title))}</strong>'
        f'<p lang="{message.language}">{escape(message.text)}</p>{after}</div>'
    )


def history_view(songs: Sequence[Song], shown: str | None, say: Say = ENGLISH) -> str:
    """The list of the songs of this session."""
    if not songs:
        return ""
    items = "".join(_item(song, song.id == shown, say) for song in songs)
    return f"""
<nav class="sg-history" aria-label="{escape(say("session_label"))}">
  <h2>{escape(say("session"))}</h2><ol>{items}</ol>
</nav>"""


def _item(song: Song, shown: bool, say: Say) -> str:
    here = ' aria-current="true"' if shown else ""
    mode, seed = say(f"mode:{song.settings.mode}"), say("with_seed", seed=song.settings.seed)
    facts = [made_of(song, say)] if song.made else []
    facts += [f"{song.seconds:.0f} s", mode, seed]
    title = escape(song.title)
    return f"""
<li{' class="sg-shown"' if shown else ""}>
  <button type="button" data-song="{song.id}" data-action="show"{here}>
    <span class="sg-item-title">{title}</span><span class="sg-item-facts">{
        escape(" · ".join(facts))
    }</span>
  </button>
  <button type="button" class="sg-restore" data-song="{song.id}" data-action="restore"
   aria-label="{escape(say("restore_label", title=song.title))}">{escape(say("restore"))}</button>
</li>"""


def made_of(song: Song, say: Say) -> str:
    """What was done to make a song, in a few words."""
    kind, *details = song.made.split(" ")
    if kind == "redo" and len(details) == 3:
        track, start, end = details
        return say("made:redo", track=say(f"redo:{track}"), start=start, end=end)
    if kind == "section":
        name = song.sections[int(details[0])]["name"]
        return say("made:section", name=section_name(name, say))
    return say(f"made:{kind}")


def duration(seconds: float) -> str:
    """A rounded duration in seconds or minutes."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


def _mark() -> str:
    """The bars of the logo."""
    bars = ((3, 12, 8), (9, 7, 18), (15, 3, 26), (21, 9, 14), (27, 13, 6))
    return "".join(
        f'<rect x="{x}" y="{y}" width="3.2" height="{height}" rx="1.6"/>' for x, y, height in bars
    )


__all__ = [
    "done",
    "duration",
    "empty_stage",
    "footer",
    "header",
    "hint",
    "history_view",
    "legend",
    "made_of",
    "note",
    "problem",
    "progress",
    "stopped",
    "waiting",
]
