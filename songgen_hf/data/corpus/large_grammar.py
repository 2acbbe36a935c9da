"""Composes lyric lines of the large edition from ``vocabulary.py``.

As in the small edition (``lyrics_grammar.py``), a hash of its text assigns every line to one split;
forms that are held out from training occur in validation and test lines only.
"""

import random
from functools import cache

from .lyrics_grammar import CLOSED, PLURAL_DETERMINERS, fitting_line
from .vocabulary import vocabulary

_UNSEEN_CHANCE = 0.12  # for each word of a validation or test line

# Slots are in capitals (those of ``vocabulary.py`` and of ``CLOSED``), literal words in small
# letters.
_TEMPLATES = """
D N VIS P D N
D A N VIS P D N
D A N VIS T
D N VIS ADV
D N VTS D N
D N VTS D A N
D N VTS D NS
D A N VTS O
D N VTD D N
D N VTD A NS
D A N VTD D N
D N VTD D N P D N
D N VID P D A N
D N VID ADV
D N VID U
D N is A
D N is A and A
D N was A
D N is VING P D N
D N is VTG D N
D N was VTG NS
D N of NS
D A N of D N
D AE N of D N
D N is AR than D N
AR than D N
AR and AR
the AE N P D N
S VT D N
S VT D A N
S VT D NS ADV
S VT D N P D N
S VTD D N
S VTD D A N
S VTD A NS
S VTD O ADV
S VTD D N T
S VID P D N
S VID ADV
S will VT D A N
S will VT NS
S will VI P D N
S can VI P D NS
S can VT D A N
S never VT D N
S never VTD D NS
we are VING P D NS
we were VING ADV
they are VTG D N
they were VTG D A N
you are VING P D A N
you were VTG NS
come VI with me T
come and VT D N
oh my A N
oh my A A N
oh D N of D NS
let D N VI
let D NS VI P D N
let us VT D A N
let us VT D N ADV
ADV D N VIS
ADV D N VID
ADV S VT D N
ADV S VID
VING P D A N
VTG D A N
VTG NS and NS
VING and VING P D N
VTD and VTD P D N
P D A N S VI
P D N S VTD D N
P D NS S VID
T S VTD D N
T D NS VI
no N can VT D N
no A N can VT O
no NS P D N
where D N VIS
where D NS VI ADV
when D A N VID
if S VT D N
if D N VIS
who will VT D N
who VTD D A N
who VTS D N
all D NS VI
all D A NS VI T
all D NS VID P D N
A NS VI P D N
A NS VID
A NS and A NS
A and A NS
NS and NS VI T
NS of D N
NS P D N VI
NS VT NS
D NS are A
D NS are VING
D NS of D N VT O
a N and a N
a N for D N
give O D A N
give O NS and NS
S VT and S VI
PERSON VTS D N
PERSON VTD D N
PERSON VTD D A N
PERSON VTD NS
PERSON VIS P D N
PERSON VID P PLACE
PERSON and PERSON VI
PERSON is VTG D N
PERSON was VING
PERSON of PLACE
dear PERSON VT D N
oh PERSON VT O
PERSON will VT D N
let PERSON VT NS
D N of PERSON
S VTD PERSON
from PLACE to PLACE
in PLACE D N VIS
in PLACE D NS VI
D NS of PLACE
D AE N in PLACE
D N VID near PLACE
S VID from PLACE
S VT D N in PLACE
D A N of PLACE
"""
_LITERAL_SYLLABLES = {"never": 2}


@cache
def _templates() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in _TEMPLATES.strip().splitlines())


def compose_line(rng: random.Random, syllables: int, split: str) -> tuple[str, tuple[str, ...]]:
    """Compose one line of a split.

    Args:
        rng: random number generator.
        syllables: number of syllables, 3 to 14.
        split: one of ``SPLITS``.
    Returns:
        The line, as words separated by single spaces, and the words in it that no training line
        contains (none in a training line).
    Raises:
        ValueError: if the split is unknown, or the grammar has no line of so many syllables.
    """
    return fitting_line(lambda: _fill(rng, rng.choice(_templates()), split), syllables, split)


def _fill(
    rng: random.Random, template: tuple[str, ...], split: str
) -> tuple[list[str], int, list[str]]:
    """Fill the slots of a template; return words, syllables and held-out words."""
    words: list[str] = []
    count = 0
    unseen: list[str] = []
    for index, slot in enumerate(template):
        if slot.islower():
            text, syllables = slot, _LITERAL_SYLLABLES.get(slot, 1)
        elif slot in CLOSED:
            noun = next((later for later in template[index:] if later in ("N", "NS")), "N")
            plural = slot == "D" and noun == "NS"
            text, syllables = rng.choice(PLURAL_DETERMINERS if plural else CLOSED[slot])
        else:
            held_out = split != "train" and rng.random() < _UNSEEN_CHANCE
            forms = vocabulary(held_out)[slot]
            (chosen,) = rng.choices(range(len(forms.texts)), cum_weights=forms.cumulative_weights)
            text, syllables = forms.texts[chosen], forms.syllables[chosen]
            if held_out:
                unseen.append(text)
        words.extend(text.split())
        count += syllables
    return words, count, unseen


__all__ = ["compose_line"]
