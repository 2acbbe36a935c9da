"""Composes lyric lines with a grammar: templates are filled until the syllables fit.

A hash of its text assigns every line to one split, so that a line never occurs in two splits,
however many songs are rendered. Held-out words (one in ten) occur in test lines only. Syllables are
counted with the lexicon.
"""

import hashlib
import random
from collections.abc import Callable
from functools import cache

from .lexicon import Word, is_held_out, lexicon
from .morphology import inflect

SPLITS = ("train", "validation", "test")
MIN_SYLLABLES, MAX_SYLLABLES = 3, 14

_LINE_BUCKETS = {"test": range(0, 10), "validation": range(10, 20), "train": range(20, 100)}
_HELD_OUT_CHANCE = 0.3  # for each word of a test line
_MAX_TRIES = 20_000

# Slots are in capitals, and literal words in small letters.
_TEMPLATES = """
D N VIS P D N
D A N VIS P D N
D A N VIS T
D N VIS T
D N VIS U
D N VTS D N
D N VTS D A N
D N VTS O T
D A N VTS O
D A N VTS D N
D N is A
D N is A and A
D N is VING P D N
D N is VING T
S VT D N
S VT D A N
S VT D N T
S VT D N P D N
S VT O T
S VT O P D N
S will VT D N
S will VT D A N
S will VT O T
S will VI T
S will VI P D N
S can VI P D N
S can VT D A N
S never VT D N
S VI P D A N
S VI P D N
S VI U T
we are VING P D N
they are VING T
you are VING P D A N
come VI with me T
come and VI P D N
oh my A N
oh my A A N
oh D N of D N
let D N VI
let D A N VI P D N
let us VI T
let us VT D A N
P D N of D N
P D A N S VI
P D N S VT D N
T S VI P D N
T S VT D N
T D N VIS
no N can VT D N
no A N can VT O
where D N VIS
when D A N VIS P D N
if S VT D N
who will VT D N
who will VT O T
all D NS VI
all D A NS VI T
A NS VI P D N
A NS and A NS
NS and NS VI T
a N and a N
give O D A N
S VT and S VI
"""
CLOSED = {
    "D": (("the", 1),) * 4
    + tuple((word, 1) for word in ("a", "my", "your", "our", "this", "that", "her", "his", "one"))
    + (("every", 2), ("another", 3)),
    "S": tuple((word, 1) for word in ("I", "you", "we", "they")),
    "O": tuple((word, 1) for word in ("me", "you", "us", "them", "him", "her")),
    "P": tuple((word, 1) for word in ("in", "on", "by", "through", "near", "past", "with", "for"))
    + tuple(
        (word, 2)
        for word in "under over beyond above across behind beside along around below".split()
    ),
    "T": (("now", 1), ("still", 1), ("once more", 2), ("tonight", 2), ("again", 2), ("today", 2))
    + (("at dawn", 2), ("all day", 2), ("in june", 2), ("all night long", 3), ("for a while", 3))
    + (("until morning", 4), ("in the evening", 4), ("tomorrow", 3), ("forever", 3)),
    "U": (("down", 1), ("home", 1), ("far", 1), ("away", 2), ("alone", 2), ("together", 3)),
}
PLURAL_DETERMINERS = (("the", 1), ("my", 1), ("your", 1), ("our", 1), ("these", 1), ("those", 1))


def split_of(line: str) -> str:
    """The split of a line, which depends only on its text."""
    digest = hashlib.sha256(f"line:{line.lower()}".encode()).digest()
    bucket = int.from_bytes(digest[:4], "big") % 100
    return next(split for split, buckets in _LINE_BUCKETS.items() if bucket in buckets)


def compose_line(rng: random.Random, syllables: int, split: str) -> tuple[str, tuple[str, ...]]:
    """Compose one line of a split.

    Args:
        rng: random number generator.
        syllables: number of syllables, 3 to 14.
        split: one of ``SPLITS``.
    Returns:
        The line, as words separated by single spaces, and the dictionary forms in it that no
        training line contains (none unless the split is ``test``).
    Raises:
        ValueError: if the split is unknown, or the grammar has no line of so many syllables.
    """
    templates = [line.split() for line in _TEMPLATES.strip().splitlines()]
    fitting = [template for template in templates if len(template) <= syllables]
    return fitting_line(lambda: _fill(rng, rng.choice(fitting), split), syllables, split)


def fitting_line(
    fill: Callable[[], tuple[list[str], int, list[str]]], syllables: int, split: str
) -> tuple[str, tuple[str, ...]]:
    """Fill templates until a line fits.

    Args:
        fill: returns words, syllables and unseen words of a filled template.
        syllables, split: as of :func:`compose_line`.
    Returns:
        As :func:`compose_line`.
    Raises:
        ValueError: as :func:`compose_line`.
    """
    _check_line(syllables, split)
    for _ in range(_MAX_TRIES):
        words, count, unseen = fill()
        if count != syllables:
            continue
        line = " ".join(with_articles(words))
        if split_of(line) == split:
            return line, tuple(unseen)
    raise ValueError(
        f"the grammar found no {split} line of {syllables} syllables: request 4 to 10 syllables"
    )


def _check_line(syllables: int, split: str) -> None:
    """Check the arguments of a line.

    Raises:
        ValueError: if the split is unknown, or the number of syllables out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"got split {split!r}, expected one of {', '.join(SPLITS)}")
    if not MIN_SYLLABLES <= syllables <= MAX_SYLLABLES:
        raise ValueError(
            f"got {syllables} syllables, expected {MIN_SYLLABLES} to {MAX_SYLLABLES} for a line"
        )


def _fill(rng: random.Random, template: list[str], split: str) -> tuple[list[str], int, list[str]]:
    """Fill the slots of a template; return words, syllables and held-out dictionary forms."""
    words: list[str] = []
    count = 0
    unseen: list[str] = []
    plural = "NS" in template
    for slot in template:
        if slot.islower():
            text, syllables = slot, 2 if slot == "never" else 1
        elif slot in CLOSED:
            choices = PLURAL_DETERMINERS if slot == "D" and plural else CLOSED[slot]
            text, syllables = rng.choice(choices)
        else:
            word = _pick(rng, _KINDS[slot], split)
            if is_held_out(word.text):
                unseen.append(word.text)
            text, syllables = inflect(word, slot)
        words.extend(text.split())
        count += syllables
    return words, count, unseen


_KINDS = {
    "N": "noun",
    "NS": "noun",
    "A": "adjective",
    "VT": "transitive",
    "VTS": "transitive",
    "VI": "intransitive",
    "VIS": "intransitive",
    "VING": "intransitive",
}


def _pick(rng: random.Random, kind: str, split: str) -> Word:
    held_out = split == "test" and rng.random() < _HELD_OUT_CHANCE
    return rng.choice(_pool(kind, held_out))


@cache
def _pool(kind: str, held_out: bool) -> tuple[Word, ...]:
    return tuple(word for word in lexicon()[kind] if is_held_out(word.text) == held_out)


def with_articles(words: list[str]) -> list[str]:
    """Replace ``a`` by ``an`` before a vowel letter."""
    following = [*words[1:], ""]
    return [
        "an" if word == "a" and after[:1] in tuple("aeiou") else word
        for word, after in zip(words, following, strict=True)
    ]


__all__ = ["CLOSED", "PLURAL_DETERMINERS", "SPLITS", "compose_line", "fitting_line", "split_of"]
