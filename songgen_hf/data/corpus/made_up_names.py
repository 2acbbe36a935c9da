"""Made-up names of places and people, from a grammar of syllables with regular spelling.

The names extend the combinations of sounds in the lyrics beyond those of the dictionary. A fixed
seed makes them; espeak-ng pronounces them by its rules of spelling.
"""

import random
from functools import cache

from .lexicon import Word

_ONSETS = """b bl br d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sh sk sl sm sn sp st str
sw t th tr v w y z""".split()
_MIDDLES = "b d f g k l m n p r s t v z ld lm lv mb mp nd ng nt rd rk rl rm rn rv sk st".split()
_VOWELS = "a e i o u a e i o ai ee oo".split()
_PLACE_ENDS = {
    1: """dale ford wick ton mere moor stead croft field gate holm hurst land ley mouth port shaw
    shore thorpe well wood worth burg den fell garth glen""".split(),
    2: "haven ora ana ova inda ando essa arra oma umi aska olo".split(),
}
_PERSON_ENDS = {
    1: "a o i in en el is an on us ek or im al ette ine ard win bert mund".split(),
    2: "ana ella ina ora ira issa adi eron amir olas enna".split(),
}
PLACES, PEOPLE = 600, 600


@cache
def made_up_names() -> dict[str, tuple[Word, ...]]:
    """The names by word class: ``place`` and ``person``, of two to four syllables."""
    rng = random.Random("songgen-corpus/names")
    return {
        "place": _names(rng, "place", _PLACE_ENDS, PLACES),
        "person": _names(rng, "person", _PERSON_ENDS, PEOPLE),
    }


def draw_names(rng: random.Random, count: int) -> list[Word]:
    """Draw names of places and people alike, also ones that occur in no song."""
    places = _names(rng, "place", _PLACE_ENDS, count // 2)
    return [*places, *_names(rng, "person", _PERSON_ENDS, count - count // 2)]


def _names(
    rng: random.Random, kind: str, ends: dict[int, list[str]], count: int
) -> tuple[Word, ...]:
    names: dict[str, Word] = {}
    while len(names) < count:
        text, syllables = rng.choice(_ONSETS) + rng.choice(_VOWELS), 1
        if rng.random() < 0.3:
            text, syllables = text + rng.choice(_MIDDLES) + rng.choice("aio"), 2
        size = rng.choice(sorted(ends))
        end = rng.choice(ends[size])
        if end[0] in "aeiou":
            text += rng.choice(_MIDDLES)
        elif rng.random() < 0.6:
            text += rng.choice("lmnrs")
        text += end
        if "quu" not in text and len(text) > 3:
            names.setdefault(text, Word(text, kind, syllables + size))
    return tuple(names.values())


__all__ = ["draw_names", "made_up_names"]
