"""The vocabulary of the large edition: every form of every slot of the grammar, with weights.

Forms come from the words of ``lexicon.py`` and ``word_stems.py`` by inflection, from words derived
of them (``dreamer``, ``darkness``, ``cloudless``, ``unpainted``, ``rebuild``), from compounds
(``moonlight``) and from made-up names. Within a slot, the words of ``lexicon.py`` are the most
frequent ones and derived words the rarest; frequencies fall with a power of the rank.

Three words in a hundred, and all forms of the words that the small edition holds out, are held out
from training (``is_unseen``). The rule is applied to the form that is sung.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from .lexicon import Word, is_held_out, lexicon
from .made_up_names import made_up_names
from .morphology import agent, inflect, quality, with_prefix, with_suffix
from .word_stems import (
    ADJECTIVES,
    ADVERBS,
    COMPOUND_ENDS,
    COMPOUND_STARTS,
    INTRANSITIVE,
    IRREGULAR_PASTS,
    NOUNS,
    TRANSITIVE,
)

HELD_OUT_PER_HUNDRED = 3

_EXPONENT, _OFFSET = 0.6, 10  # of the frequencies: 1 / (rank + offset) ** exponent
_COMPOUNDS = 700
_STEMS = {
    "noun": NOUNS,
    "adjective": ADJECTIVES,
    "transitive": TRANSITIVE,
    "intransitive": INTRANSITIVE,
}
_INFLECTED = {
    "noun": ("N", "NS"),
    "adjective": ("A",),
    "transitive": ("VT", "VTS", "VTG", "VTD"),
    "intransitive": ("VI", "VIS", "VING", "VID"),
}


@dataclass(frozen=True)
class Forms:
    """The forms that can fill a slot: texts, numbers of syllables and cumulative weights."""

    texts: tuple[str, ...]
    syllables: tuple[int, ...]
    cumulative_weights: tuple[float, ...]


def is_unseen(form: str) -> bool:
    """Whether a form never occurs in training songs of the large edition."""
    return form in _forms_held_out_in_small_edition() or (
        _number(f"form:{form}") % 100 < HELD_OUT_PER_HUNDRED
    )


@cache
def vocabulary(unseen: bool = False) -> dict[str, Forms]:
    """All forms by slot.

    Args:
        unseen: whether to return the held-out forms instead of those of training.
    """
    slots: dict[str, dict[str, tuple[int, int]]] = {}  # form -> tier, syllables
    for tier, words in enumerate((_common_words(), _stems(), _derived_words())):
        for word in words:
            for slot in _slots(word, common=tier == 0, derived=tier == 2):
                text, syllables = inflect(word, slot)
                slots.setdefault(slot, {}).setdefault(text, (tier, syllables))
    result = {}
    for slot, forms in slots.items():
        ranked = sorted(forms, key=lambda text: (forms[text][0], _number(f"rank:{text}")))
        ranked = [text for text in ranked if is_unseen(text) == unseen]
        weights = ((rank + _OFFSET) ** -_EXPONENT for rank in range(len(ranked)))
        result[slot] = Forms(
            tuple(ranked), tuple(forms[text][1] for text in ranked), tuple(accumulate(weights))
        )
    return result


def _common_words() -> Iterable[Word]:
    return (word for words in lexicon().values() for word in words)


def _stems() -> Iterable[Word]:
    for kind, by_syllables in _STEMS.items():
        for syllables, words in by_syllables.items():
            yield from (Word(text, kind, syllables) for text in words.split())
    for syllables, words in ADVERBS.items():
        yield from (Word(text, "adverb", syllables) for text in words.split())


def _derived_words() -> Iterable[Word]:
    """Words derived from all common words and from some of the others."""
    roots = [*_common_words(), *(word for word in _stems() if _one_in(4, word.text))]
    for word in roots:
        single = word.syllables == 1
        if word.kind == "adjective" and not word.text.endswith(("ly", "ness")):
            if word.syllables < 3:
                yield quality(word)
        elif word.kind in ("transitive", "intransitive") and word.syllables < 3:
            yield agent(word)
            if word.kind == "transitive" and single and word.text not in IRREGULAR_PASTS:
                text, syllables = inflect(word, "VTD")
                yield with_prefix(Word(text, "adjective", syllables), "un", "adjective")
                if _one_in(3, f"re{word.text}"):
                    yield with_prefix(word, "re", "transitive")
        elif word.kind == "noun" and single and word.text[-1] not in "sy":
            yield with_suffix(word, "less" if _one_in(2, f"less:{word.text}") else "like")
    yield from _compounds()
    for names in made_up_names().values():
        yield from names


def _compounds() -> list[Word]:
    nouns = [word for word in (*_common_words(), *_stems()) if word.kind == "noun"]
    syllables = {word.text: word.syllables for word in nouns}
    pairs = [
        (start, end)
        for start in COMPOUND_STARTS
        for end in COMPOUND_ENDS
        if start != end and start[-1] != end[0]
    ]
    pairs = sorted(pairs, key=lambda pair: _number(f"compound:{pair[0]}{pair[1]}"))[:_COMPOUNDS]
    return [Word(start + end, "noun", 1 + syllables[end]) for start, end in pairs]


def _slots(word: Word, *, common: bool = False, derived: bool = False) -> tuple[str, ...]:
    """The slots that a word can fill: all inflections of the common words, some of the others."""
    if word.kind in ("place", "person"):
        return (word.kind.upper(),)
    if word.kind == "adverb":
        return ("ADV",)
    if word.text.endswith("ness") and derived:
        return ("N",)
    base, *inflected = _INFLECTED[word.kind]
    if word.kind == "adjective" and not derived and not word.text.endswith(("ly", "ed")):
        inflected.append("ADV")
        if word.syllables == 1 or word.syllables == 2 and word.text.endswith("y"):
            inflected += ["AR", "AE"]
    return (base, *(slot for slot in inflected if common or _one_in(2, f"{slot}:{word.text}")))


def _one_in(count: int, text: str) -> bool:
    return _number(text) % count == 0


@cache
def _forms_held_out_in_small_edition() -> frozenset[str]:
    return frozenset(
        inflect(word, slot)[0]
        for word in _common_words()
        if is_held_out(word.text)
        for slot in _slots(word, common=True)
    )


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


__all__ = ["HELD_OUT_PER_HUNDRED", "Forms", "is_unseen", "vocabulary"]
