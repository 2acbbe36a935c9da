"""Plans a whole song: lyrics with tags such as ``[verse]`` become sections of known lengths.

A section is what is generated in one window of the model, after the last seconds of what precedes
it. The file travels to the Hub with the pipelines and imports nothing of this package.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

KINDS = ("intro", "verse", "chorus", "bridge", "inst", "outro")
DEFAULT_SECONDS = {"intro": 4.0, "inst": 8.0, "outro": 4.0}
"""Length of sections without words."""
PLANNED = ("context", "window", "extend_stride", "repeat_chorus")
"""Arguments of :func:`plan` besides the lyrics."""
DEFAULT_WINDOW = 20.0
DEFAULT_CONTEXT = 4.0
LETTERS_PER_SECOND = 7.5
"""About 2.3 syllables, as in the rendered corpus."""
LINE_SECONDS = 0.25
"""Pause after a line."""
SHORTEST_SECTION = 2.0
TAG = re.compile(r"(\[[^\[\]]*\])")
_SECONDS = r"(\d+(?:\.\d+)?)"
_IN_TAG = re.compile(
    rf"\[\s*([a-z]+)(?:\s*(\d+))?(?:\s*:\s*{_SECONDS}\s*s?|\s+{_SECONDS}\s*s)?\s*\]"
)
IDEOGRAPH = "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
"""Ideographs, kana and Hangul syllables: each is sung as a syllable."""


@dataclass(frozen=True)
class Section:
    """A section of a song.

    Args:
        name: such as "verse 2", or "verse 2 (1/3)" for a part of a long one.
        kind: one of ``KINDS``; "part" for lyrics without tags.
        lyrics: its lines; "" for an instrumental section.
        seconds: its length.
        quotes: index of the earlier section whose codes it repeats; None if it is generated.
    """

    name: str
    kind: str
    lyrics: str
    seconds: float
    quotes: int | None = None


@dataclass(frozen=True)
class SongPlan:
    """The sections of a song, which ``str()`` shows as a table.

    Args:
        sections: the sections in their order.
        window: largest number of seconds that the model hears and generates at a time.
        context: seconds of the song that a section continues.
    Raises:
        ValueError: if there is no section, or one does not fit into the window with its context.
    """

    sections: tuple[Section, ...]
    window: float = DEFAULT_WINDOW
    context: float = DEFAULT_CONTEXT

    def __post_init__(self) -> None:
        if not self.sections:
            raise ValueError(
                "the song is empty: got no words and no sections; give lyrics, or such as "
                "[inst 20s] for a song without words"
            )
        for place, section in enumerate(self.sections):
            longest = self.window if place == 0 else self.window - self.context
            if section.seconds > longest + 1e-6:
                raise ValueError(
                    f"section {section.name!r} takes {section.seconds:.1f} s: expected at most "
                    f"{longest:g} s in a window of {self.window:g} s"
                    + (f" after {self.context:g} s of context" if place else "")
                    + "; split it with another tag, or give a longer window or an extend_stride"
                )
            if section.quotes is not None and not 0 <= section.quotes < place:
                raise ValueError(
                    f"section {section.name!r} quotes section {section.quotes}: expected an "
                    f"earlier one, 0 to {place - 1}"
                )

    @property
    def seconds(self) -> float:
        """Length of the song."""
        return sum(section.seconds for section in self.sections)

    @property
    def starts(self) -> list[float]:
        """The second at which each section begins."""
        lengths = [section.seconds for section in self.sections]
        return [sum(lengths[:place]) for place in range(len(lengths))]

    def to_list(self) -> list[dict[str, Any]]:
        """The sections as JSON values, with the second at which each ``start``s."""
        pairs = zip(self.starts, self.sections, strict=True)
        return [{**asdict(section), "start": round(start, 3)} for start, section in pairs]

    def __str__(self) -> str:
        rows = [("section", "start", "length", "words")]
        for start, section in zip(self.starts, self.sections, strict=True):
            words = " ".join(section.lyrics.split())
            words = words if len(words) <= 40 else f"{words[:37].rstrip()}..."
            if section.quotes is not None:
                words = f"(as {self.sections[section.quotes].name})"
            rows.append((section.name, clock(start), f"{section.seconds:.1f} s", words))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            f"{name:<{widths[0]}}  {start:>{widths[1]}}  {length:>{widths[2]}}  {words}".rstrip()
            for name, start, length, words in rows
        ]
        count = len(self.sections)
        plural = "" if count == 1 else "s"
        return "\n".join([*lines, f"{count} section{plural}, {clock(self.seconds)}"])


def plan(
    lyrics: str | None,
    *,
    window: float | None = None,
    context: float | None = None,
    extend_stride: float | None = None,
    repeat_chorus: bool = True,
) -> SongPlan:
    """Plan the sections of a song.

    Args:
        lyrics: lines under tags: ``[intro]``, ``[verse]``, ``[chorus]``, ``[bridge]``, ``[inst]``
            or ``[outro]`` in upper or lower case, with a number (``[verse 2]``) and a length
            (``[inst 8s]``, ``[verse 2: 12]``) if you like. Sung sections are as long as their
            letters take, others as ``DEFAULT_SECONDS``. A chorus without lines has those of the
            first one. Lyrics without tags have a section for each stanza, or for as many of its
            lines as fit.
        window: largest number of seconds that the model hears and generates at a time (default
            20): at most what it was trained on.
        context: seconds of the song that a section continues (default 4).
        extend_stride: seconds by which the window moves within sections that do not fit, as in
            AudioGen; the context is what remains of the window. Without it such sections are an
            error.
        repeat_chorus: whether a chorus with the words of an earlier one is planned as its quote.
    Raises:
        ValueError: for an unknown tag, a song without sections, a section without words or length,
            one that does not fit, or numbers that do not fit each other.
        TypeError: if the lyrics are not a string or None.
    """
    if lyrics is not None and not isinstance(lyrics, str):
        raise TypeError(f"lyrics must be a string or None: got {type(lyrics).__name__}")
    window, context = check_window(window, context, extend_stride)
    parsed, tagged = _parsed(lyrics or "")
    sections: list[Section] = []
    for section in _numbered(parsed):
        longest = window - context if sections else window
        parts = [section]
        if section.seconds > longest and (extend_stride is not None or not tagged):
            parts = _parts(section, longest, window - context)
        sections += parts
    if not tagged:  # stanzas that were split have no names of their own
        sections = [replace(one, name=str(i)) for i, one in enumerate(sections, 1)]
    if repeat_chorus:
        sections = [_quote(section, sections[:place]) for place, section in enumerate(sections)]
    return SongPlan(tuple(sections), window, context)


def by_line(plan: SongPlan) -> SongPlan:
    """Return the plan with a section for each line; lines of a quote quote those of the section."""
    sections: list[Section] = []
    firsts = []  # the place of the first line of each section
    for section in plan.sections:
        firsts.append(len(sections))
        lines = section.lyrics.splitlines() or [""]
        pace = section.seconds / max(1e-9, sum(map(_line_seconds, lines)))
        for place, line in enumerate(lines):
            own = replace(section, lyrics=line)
            if len(lines) > 1:
                name = f"{section.name} ({place + 1}/{len(lines)})"
                own = replace(own, name=name, seconds=pace * _line_seconds(line))
            if section.quotes is not None:
                own = replace(own, quotes=firsts[section.quotes] + place)
            sections.append(own)
    return replace(plan, sections=tuple(sections))


def check_window(window: Any, context: Any, extend_stride: Any) -> tuple[float, float]:
    """Return the checked window and context in seconds.

    Raises:
        TypeError: for a value that is no number.
        ValueError: for numbers out of range, or both a context and a stride.
    """
    given = {"window": window, "context": context, "extend_stride": extend_stride}
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number of seconds: got {value!r}")
        if not (0 <= value if name == "context" else 0 < value) or not math.isfinite(value):
            raise ValueError(f"{name} must be above 0 seconds and finite: got {value:g}")
    window = DEFAULT_WINDOW if window is None else window
    if extend_stride is not None:
        if context is not None:
            raise ValueError(
                "context and extend_stride were both given: the context is the window less the "
                "stride; give one"
            )
        if extend_stride > window:
            raise ValueError(
                f"extend_stride is {extend_stride:g} s: expected at most the window of {window:g} s"
            )
        return float(window), float(window - extend_stride)
    context = DEFAULT_CONTEXT if context is None else context
    if context >= window:
        raise ValueError(f"context is {context:g} s: expected less than the window of {window:g} s")
    return float(window), float(context)


def sung_seconds(lyrics: str) -> float:
    """Estimate how long lines take to sing, in seconds."""
    lines = [line for line in lyrics.splitlines() if letter_count(line)]
    return max(SHORTEST_SECTION, round(sum(map(_line_seconds, lines)), 1)) if lines else 0.0


def letter_count(text: str) -> int:
    """The number of letters and digits; an ideograph, kana or Hangul syllable counts as three."""
    return sum(letter.isalnum() for letter in text) + 2 * len(re.findall(IDEOGRAPH, text))


def clock(seconds: float) -> str:
    """Seconds as m:ss.s."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _parsed(lyrics: str) -> tuple[list[Section], bool]:
    """The sections of lyrics as they are written, and whether there are tags.

    Names are those of the tags, lengths those of the tags or estimates.
    """
    first, *rest = TAG.split(lyrics)
    if not rest:
        stanzas = [_clean(stanza) for stanza in re.split(r"\n\s*\n", lyrics)]
        return [
            Section("part", "part", stanza, sung_seconds(stanza)) for stanza in stanzas if stanza
        ], False
    sections = []
    if _clean(first):
        sections.append(Section("verse", "verse", _clean(first), sung_seconds(first)))
    for tag, text in zip(rest[::2], rest[1::2], strict=True):
        found = _IN_TAG.fullmatch(tag.lower())
        if found is None or found[1] not in KINDS:
            raise ValueError(
                f"unknown tag {tag}: expected {', '.join(f'[{kind}]' for kind in KINDS)}, with a "
                "number and a length if you like, such as [verse 2] or [inst 8s]"
            )
        kind, number, words = found[1], found[2], _clean(text)
        length = found[3] or found[4]
        if kind == "chorus" and not words:
            words = next((one.lyrics for one in sections if one.kind == kind), "")
        estimate = sung_seconds(words) or DEFAULT_SECONDS.get(kind, 0.0)
        seconds = estimate if length is None else float(length)
        if seconds <= 0:
            raise ValueError(
                f"{tag} has {'no words' if length is None else 'no length'}: write lines below "
                f"it, or give it a length, such as [{kind} 8s]"
            )
        name = kind if number is None else f"{kind} {int(number)}"
        sections.append(Section(name, kind, words, seconds))
    return sections, True


def _clean(text: str) -> str:
    """Lines with letters, without space at both ends."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if letter_count(line))


def _numbered(sections: Sequence[Section]) -> list[Section]:
    """Sections of which no two have the same name: ``verse 1``, ``verse 2``."""
    total = Counter(section.name for section in sections)
    taken, seen = set(total), Counter[str]()
    numbered = []
    for section in sections:
        name = section.name
        if total[name] > 1:
            again = name
            while again in taken:
                seen[name] += 1
                again = f"{name} {seen[name]}" if name in KINDS else f"{name}, {seen[name]}"
            taken.add(again)
            name = again
        numbered.append(replace(section, name=name))
    return numbered


def _parts(section: Section, first: float, longest: float) -> list[Section]:
    """Split a section into parts, the first of at most ``first`` seconds, others of ``longest``."""
    lines = section.lyrics.splitlines()
    if not lines:
        parts = _slices(section, first, longest)
    else:
        # Where the tag gives a length, all lines are that much faster or slower.
        pace = section.seconds / sum(map(_line_seconds, lines))
        parts, room = [], 0.0
        for line in lines:
            seconds = pace * _line_seconds(line)
            if parts and seconds <= room + 1e-6:
                last = parts[-1]
                parts[-1] = replace(
                    last, lyrics=f"{last.lyrics}\n{line}", seconds=last.seconds + seconds
                )
            else:
                room = longest if parts else first
                own = replace(section, lyrics=line, seconds=max(SHORTEST_SECTION, seconds))
                # A line that the tag makes longer than a window is followed by its accompaniment.
                slow = _line_seconds(line) <= room < seconds
                parts += _slices(own, room, longest) if slow else [own]
                seconds = room if slow else own.seconds
            room -= seconds
    count = len(parts)
    return [
        replace(part, name=f"{part.name} ({i}/{count})" if count > 1 else part.name)
        for i, part in enumerate(parts, 1)
    ]


def _slices(section: Section, first: float, longest: float) -> list[Section]:
    """Split a section by time, with its words in the first part."""
    count = 1 + math.ceil((section.seconds - first) / longest - 1e-6)
    even = (section.seconds - first) / max(1, count - 1)
    rest = min(longest, max(SHORTEST_SECTION, even))
    lengths = [section.seconds - rest * (count - 1)] + [rest] * (count - 1)
    return [
        replace(section, lyrics="" if i else section.lyrics, seconds=seconds)
        for i, seconds in enumerate(lengths)
    ]


def _line_seconds(line: str) -> float:
    return letter_count(line) / LETTERS_PER_SECOND + LINE_SECONDS


def _quote(section: Section, earlier: Sequence[Section]) -> Section:
    """The section; a chorus that was sung before as its quote."""
    if section.kind != "chorus":
        return section
    for place, other in enumerate(earlier):
        same = (other.kind, other.lyrics, other.seconds) == (
            section.kind, section.lyrics, section.seconds,
        )  # fmt: skip
        if same and section.lyrics:
            return replace(section, quotes=place)
    return section


__all__ = [
    "DEFAULT_CONTEXT",
    "DEFAULT_WINDOW",
    "IDEOGRAPH",
    "KINDS",
    "PLANNED",
    "Section",
    "SongPlan",
    "by_line",
    "letter_count",
    "plan",
    "sung_seconds",
]
