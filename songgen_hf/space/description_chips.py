"""Description chips: words that songgen-mini was trained on, which the visitor can switch on.

A chip is on if its word occurs in the description. Switching a chip adds or removes its word and
leaves the rest of the description unchanged. The words and phrases are those of the corpus
(``data/corpus``), so that a description made of chips resembles the captions in training.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..data.corpus.captions import join_names
from ..data.corpus.genres import GENRES
from ..data.corpus.instruments import INSTRUMENTS

GENRE, MOOD, LEAD, VOICE = "genre", "mood", "instruments", "voice"
_MOODS_SHOWN, _LEADS_SHOWN = 14, 16


def _most_common(groups: Sequence[Sequence[str]], count: int) -> tuple[str, ...]:
    words = Counter(word for group in groups for word in group)
    return tuple(word for word, _ in words.most_common(count))


_ALL = {
    GENRE: tuple(GENRES),
    MOOD: _most_common([g.moods_major + g.moods_minor for g in GENRES.values()], 999),
    LEAD: _most_common([g.leads for g in GENRES.values()], 999),
    VOICE: ("female", "male"),
}
CHIPS = {
    GENRE: _ALL[GENRE],
    MOOD: _ALL[MOOD][:_MOODS_SHOWN],
    LEAD: _ALL[LEAD][:_LEADS_SHOWN],
    VOICE: _ALL[VOICE],
}
"""The words of the chips, by kind."""


@dataclass(frozen=True)
class Example:
    """An example request: the name of its button, a description and lyrics."""

    name: str
    text: str
    lyrics: str


EXAMPLES = (
    Example(
        "River",
        "a warm folk song, led by flute, sung by a female voice, at 100 bpm",
        "the silver river runs below the hill\nthe sunlight is dancing on the water",
    ),
    Example(
        "Train",
        "a lonely country song, led by harmonica, sung by a male voice, at a walking pace",
        "the winter train is leaving in the snow\nmy heart is waiting by the window",
    ),
    Example(
        "Lullaby",
        "a tender lullaby song, led by music box, sung by a female voice, slow",
        "come and dream beside the quiet moon\nthe little stars are sleeping",
    ),
    Example(
        "City",
        "a joyful disco song, led by string ensemble, sung by a female voice, 120 bpm",
        "we are dancing in the golden light\nthe city sings tonight",
    ),
    Example(
        "Storm",
        "a bold rock song, led by distorted guitar, sung by a male voice, fast tempo",
        "the thunder calls my name\nwe will follow the burning sky",
    ),
    Example(
        "Four lines",
        "a romantic waltz song, led by violin, sung by a female voice, 120 beats per minute",
        "the garden waits for the summer rain\nmy lover walks along the lane\n"
        "the evening bell is ringing low\nI keep the letter in the snow",
    ),
)
WHOLE_EXAMPLE = Example(
    "Whole song",
    "a warm folk song, led by flute, sung by a female voice, at 100 bpm",
    "[intro]\n[verse]\nthe silver river runs below the hill\n"
    "the sunlight is dancing on the water\n"
    "[chorus]\nwe will follow the burning sky\n"
    "[inst 4s]\n[verse]\nmy heart is waiting by the window\nthe little stars are sleeping\n"
    "[chorus]\n[outro]",
)
"""A song with tags, for whole songs."""


def find_words(text: str, kind: str) -> list[str]:
    """The words of a kind in a description, in their order.

    "electric piano" does not count as "piano", nor "female" as "male".
    """
    return list(dict.fromkeys(word for _, _, word in _places(text, kind)))


def _places(text: str, kind: str) -> list[tuple[int, int, str]]:
    """Start, end and canonical form of every word of a kind in a description."""
    text = text.lower()
    if kind != LEAD:  # "rock organ" does not name the genre rock
        text = _any_of(INSTRUMENTS).sub(lambda match: " " * len(match[0]), text)
    found = [(m.start(), m.end(), m[0]) for m in _any_of(_ALL[kind]).finditer(text)]
    if kind == VOICE:
        people = {"woman": "female", "man": "male"}
        found += [(*m.span(), people[m[0]]) for m in _any_of(people).finditer(text)]
    return sorted(found)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern that matches any of the words, longer ones first."""
    alternatives = sorted(words, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, alternatives))})\b")


def chips_on(text: str, kind: str) -> list[str]:
    """The chips of a kind whose words occur in a description."""
    present = find_words(text, kind)
    return [word for word in CHIPS[kind] if word in present]


def with_chips(text: str, kind: str, chosen: Sequence[str]) -> str:
    """Update a description after a chip was switched.

    Args:
        text: the description before the change.
        kind: kind of the chip.
        chosen: the chips of that kind that are on now. If there are several genres, moods or
            voices, only the new one is kept.
    """
    before = chips_on(text, kind)
    for word in before:
        if word not in chosen:
            text = _without(text, kind, word)
    for word in chosen:
        if word not in before:
            text = _with(text, kind, word)
    return _tidy(text)


def _with(text: str, kind: str, word: str) -> str:
    """Add a word to a description; a genre, mood or voice replaces the one before."""
    present = find_words(text, kind)
    if kind == VOICE and present:
        text = re.sub(rf"\b{present[0]}\b", word, text, flags=re.IGNORECASE)
        person = "woman" if word == "female" else "man"
        return re.sub(r"\b(woman|man)\b", person, text, flags=re.IGNORECASE)
    if kind in (GENRE, MOOD) and present:
        start, end, _ = _places(text, kind)[0]
        return text[:start] + word + text[end:]
    if kind == GENRE:
        if match := re.match(r"(an? )?(.*?)\b(song|track|piece|music)\b", text, re.IGNORECASE):
            head = f"{match[1] or ''}{match[2]}"
            return f"{head}{word} {text[len(head) :]}"
        return f"a {word} song, {text}"
    if kind == MOOD:
        if genres := _places(text, GENRE):
            start = genres[0][0]
            return f"{text[:start]}{word} {text[start:]}"
        return f"{text}, {word}"
    if kind == VOICE:
        return f"{text}, sung by a {word} voice"
    if not present:
        return f"{text}, led by {word}"
    if match := re.search(r"backed by [a-z][a-z -]*((,| and) [a-z][a-z -]*)*", text):
        given = match[0].removeprefix("backed by ")
        names = [*re.split(r", | and ", given), word]
        own = [name for name in names if name in _ALL[LEAD]]
        rest = [name for name in names if name not in _ALL[LEAD]]
        phrase = ", ".join([f"backed by {join_names(own)}", *rest])
        return text.replace(match[0], phrase)
    return f"{text}, backed by {word}"


def _without(text: str, kind: str, word: str) -> str:
    """Remove a word from a description, with the phrase around it."""
    name = re.escape(word)
    if kind == VOICE:
        person = "woman" if word == "female" else "man"
        patterns = [
            rf"(sung by |with )?an? {name} (voice|singer|vocalist)", rf"{name} vocals?",
            rf"the singer is {name}", rf"an? {person} sings", rf"{name}( voice| singer)?",
            rf"\b{person}\b",
        ]  # fmt: skip
    elif kind == LEAD:
        patterns = [
            rf"{name} and (?=[a-z])(?<=backed by {name} and )", rf"(, | and ){name}(?= and |, |$)",
            rf"(led by|featuring|backed by|accompanied by|with) {name}(?! and)",
            rf"{name} (carries the melody|in the foreground|in the background)",
            rf"with {name} as the lead instrument", rf"the lead instrument is {name}",
            rf"{name},? (and )?",
        ]  # fmt: skip
    else:
        for start, end, found in reversed(_places(text, kind)):
            if found == word:
                text = text[:start] + text[end:]
        return text
    for pattern in patterns:
        shorter, count = re.subn(rf"\b{pattern}" if pattern[0] not in "(\\" else pattern, "", text,
                                 count=1, flags=re.IGNORECASE)  # fmt: skip
        if count and word not in find_words(shorter, kind):
            return shorter
    return re.sub(rf"\b{name}\b", "", text, flags=re.IGNORECASE)


def _tidy(text: str) -> str:
    """Correct the articles, commas and spaces of a description."""
    text = " ".join(text.split())
    text = re.sub(r"\s+,", ",", text)
    text = re.sub(r"(,\s*)+,", ",", text)
    text = re.sub(r",(?=\S)", ", ", text).strip(" ,")
    text = re.sub(r"\ban? (?=[aeiou])", "an ", text)
    text = re.sub(r"\ban? (?=[^aeiou\s])", "a ", text)
    return "" if text in ("a", "an", "a song", "song") else text


__all__ = [
    "CHIPS",
    "EXAMPLES",
    "Example",
    "GENRE",
    "LEAD",
    "MOOD",
    "VOICE",
    "WHOLE_EXAMPLE",
    "chips_on",
    "find_words",
    "with_chips",
]
