"""Lines of many different words with the phonemes that espeak-ng speaks for them, without audio.

They teach a lyrics encoder how words are spelled, more of them than songs can be rendered of. The
words are those of the training songs of the large edition and made-up names; words that are held
out of its training songs are held out here, too.
"""

import random
from collections.abc import Iterator
from typing import Any

from .made_up_names import draw_names
from .speech import Speaker
from .vocabulary import is_unseen, vocabulary

VOICE = "en-us"
WORDS_PER_LINE = (3, 7)


def training_words(count: int, *, seed: int = 0) -> list[str]:
    """Draw different words: those of the vocabulary in random order, then made-up names.

    Args:
        count: number of words.
        seed: seed of the order and of the names.
    Raises:
        ValueError: if ``count`` is not positive.
    """
    if count < 1:
        raise ValueError(f"got {count} words to speak, expected 1 or more")
    rng = random.Random(f"songgen-spoken-words/{seed}")
    known = sorted({text for forms in vocabulary().values() for text in forms.texts})
    known = [word for word in known if word.isalpha()]
    rng.shuffle(known)
    words = dict.fromkeys(known[:count])
    while len(words) < count:
        names = (name.text for name in draw_names(rng, count - len(words)))
        words |= dict.fromkeys(name for name in names if not is_unseen(name))
    return list(words)


def spoken_lines(
    count: int, *, seed: int = 0, speaker: Speaker | None = None
) -> Iterator[dict[str, Any]]:
    """Speak lines that together hold so many different words.

    Args:
        count: number of words.
        seed: seed of the words and of the lines.
        speaker: espeak-ng, if it is open already in this process.
    Yields:
        ``lyrics``, ``words`` (``{"word"}``) and ``phonemes`` (``{"symbol", "word"}``, ``word`` an
        index) of each line, as the columns of the corpus hold them. Lines in which espeak-ng joins
        two words are left out.
    Raises:
        ImportError: if espeak-ng is missing.
    """
    speaker = speaker or Speaker()
    words = training_words(count, seed=seed)
    rng = random.Random(f"songgen-spoken-lines/{seed}")
    rng.shuffle(words)
    while words:
        size = rng.randint(*WORDS_PER_LINE)
        line, words = words[:size], words[size:]
        phonemes = speaker.speak(" ".join(line), VOICE, skip_unnamed=True).phonemes
        if {phoneme.word for phoneme in phonemes} == set(range(len(line))):
            yield {
                "lyrics": " ".join(line),
                "words": [{"word": word} for word in line],
                "phonemes": [{"symbol": p.symbol, "word": p.word} for p in phonemes],
            }


__all__ = ["spoken_lines", "training_words"]
