"""The sections of a whole song as cards: of a plan in the form, and of a song in its player."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..pipelines.song_plan import KINDS
from .song_files import Song
from .strings import ENGLISH, Say

Line = Mapping[str, Any]


def plan_cards(sections: Sequence[Mapping[str, Any]], say: Say = ENGLISH) -> str:
    """The cards of a plan, with the length of the song."""
    length = say("plan_length", count=len(sections), time=clock(sections[-1]["end"]))
    return f'<p class="sg-hint">{escape(length)}</p>{section_cards(sections, say)}'


def section_cards(
    sections: Sequence[Mapping[str, Any]],
    say: Say = ENGLISH,
    *,
    song: Song | None = None,
    plays: bool = False,
) -> str:
    """The cards of sections.

    Args:
        sections: ``name``, ``start``, ``end`` and ``lyrics`` of each; ``state`` and ``quotes`` of
            some.
        say: words of the page.
        song: the finished or stopped song that they belong to.
        plays: whether a press on a card plays from there.
    """
    if not sections:
        return ""
    lines = _lines_of(sections, song.lines if song else ())
    cards = "".join(
        _card(place, section, own, say, song, plays)
        for place, (section, own) in enumerate(zip(sections, lines, strict=True))
    )
    states = " ".join(f'data-{one}="{escape(say(f"state:{one}"))}"' for one in _STATES)
    return f'<ol class="sg-sections" aria-label="{escape(say("sections"))}" {states}>{cards}</ol>'


def section_name(name: str, say: Say) -> str:
    """The name of a section in the language of the page."""
    kind, _, rest = name.partition(" ")
    if kind in KINDS:
        return f"{say(f'section:{kind}')} {rest}".strip()
    return say("section:part", number=name) if name[:1].isdigit() else name


def marks(sections: Sequence[Mapping[str, Any]]) -> str:
    """Lines over the picture where sections begin."""
    if not sections:
        return ""
    end = sections[-1]["end"]
    return "".join(
        f'<b class="sg-mark" style="left:{100 * section["start"] / end:.2f}%"></b>'
        for section in sections[1:]
    )


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"


_STATES = ("waiting", "singing", "sung")


def _card(
    place: int,
    section: Mapping[str, Any],
    lines: Sequence[tuple[int, Line]],
    say: Say,
    song: Song | None,
    plays: bool,
) -> str:
    name, start, end = section_name(section["name"], say), section["start"], section["end"]
    state = section.get("state", "sung")
    seconds = f"{end - start:.1f}"
    if song is None and not plays:
        said = say("section_length", seconds=seconds)
    else:
        said = say("section_at", at=clock(start), seconds=seconds)
    words = _words(lines) or escape(section["lyrics"]).replace("\n", "<br>")
    if "quotes" in section:
        words = escape(say("section_quotes", name=section_name(section["quotes"], say)))
    buttons = ""
    if plays:
        label = escape(say("section_play_label", name=name))
        buttons += (
            f'<button type="button" class="sg-small" data-sg="from" data-start="{start}" '
            f'aria-label="{label}">{escape(say("section_play"))}</button>'
        )
    if song is not None and not song.is_unfinished:
        label = escape(say("section_redo_label", name=name))
        buttons += (
            f'<button type="button" class="sg-small" data-resing="{place}" data-song="{song.id}" '
            f'aria-label="{label}">{escape(say("section_redo"))}</button>'
        )
    shown = f'<span class="sg-state">{escape(say(f"state:{state}"))}</span>' if plays else ""
    foot = f'<p class="sg-section-foot">{shown}{buttons}</p>' if plays else ""
    return (
        f'<li class="sg-section" data-section="{place}" data-from="{start}" data-to="{end}" '
        f'data-state="{state}"><p class="sg-section-head"><strong>{escape(name)}</strong>'
        f"<span>{escape(said)}</span></p>"
        f'<p class="sg-section-lines">{words or escape(say("section_wordless"))}</p>{foot}</li>'
    )


def _lines_of(
    sections: Sequence[Mapping[str, Any]], lines: Sequence[Line]
) -> list[list[tuple[int, Line]]]:
    """The timed lines of each section, with their numbers."""
    found: list[list[tuple[int, Line]]] = [[] for _ in sections]
    for number, line in enumerate(lines):
        middle = (line["start"] + line["end"]) / 2
        inside = [place for place, one in enumerate(sections) if one["start"] <= middle]
        found[inside[-1] if inside else 0].append((number, line))
    return found


def _words(lines: Sequence[tuple[int, Line]]) -> str:
    """Lines of words, which ``player.js`` plays and lights up."""
    rows = []
    for number, line in lines:
        words = (word_button(word, number) or left_out(word) for word in line["words"])
        rows.append(f"<span data-roving>{''.join(words)}</span>" if line["words"] else "")
    return "".join(rows)


def left_out(word: Mapping[str, Any]) -> str:
    """A word that was not sung, struck through."""
    return f"<s>{escape(word['word'])}</s>"


def word_button(word: Mapping[str, Any], line: int) -> str:
    """A sung word as a button; "" for one that was left out."""
    if word["end"] <= word["start"]:
        return ""
    return (
        f'<button type="button" data-sg="word" data-start="{word["start"]}" '
        f'data-end="{word["end"]}" data-line="{line}">{escape(word["word"])}</button>'
    )


__all__ = ["clock", "marks", "plan_cards", "section_cards", "section_name", "word_button"]
