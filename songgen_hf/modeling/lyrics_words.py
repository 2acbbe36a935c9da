"""The words of lyrics: which tokens of the lyrics tokenizer spell each of them, and in which line.

Lyrics are cleaned before they are tokenized: numbers become words, and line ends full stops. Tokens
of punctuation, which has no sound, belong to no word.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .tokenization_songgen import LYRICS_SPACE

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")  # the cleaner leaves line ends without a space
SECTION = re.compile(r"\[[^\[\]]*\]")
"""The mark of a section, such as ``[verse]``, which is not sung."""


@dataclass(frozen=True)
class TokenizedWord:
    """A word that is to be sung.

    Args:
        text: the word as it is written, or as it was cleaned, such as the words of a number.
        tokens: positions of its tokens among ``lyrics_ids``.
        line: index of its line among the lines that are sung.
    """

    text: str
    tokens: tuple[int, ...]
    line: int


def letters(text: str) -> str:
    """The letters and digits of a text in lower case, for comparing written and sung words."""
    return re.sub(r"[\W_]", "", text.lower())


def words_of_text(tagged: str, tokenizer: Any) -> list[tuple[str, list[int]]]:
    """The words of tagged, cleaned lyrics, each with the positions of its tokens."""
    encoded = tokenizer(tagged, return_offsets_mapping=True)
    plain = tagged.replace(LYRICS_SPACE, " " * len(LYRICS_SPACE))
    words = []
    for word in WORD.finditer(plain, tagged.index("]") + 1):
        tokens = [
            index
            for index, (first, last) in enumerate(encoded["offset_mapping"])
            if word.start() <= first < last <= word.end() and letters(tagged[first:last])
        ]
        words.append((word.group(), tokens))
    return words


def sung_words(
    lyrics: str, tagged: str, tokenizer: Any, tag_line: Callable[[str], str]
) -> tuple[list[TokenizedWord], list[str]]:
    """The words of lyrics that are to be sung, and their lines.

    Args:
        lyrics: the lyrics as they were given.
        tagged: the same, tagged and cleaned.
        tokenizer: the lyrics tokenizer.
        tag_line: tags and cleans one line.
    Returns:
        The words, and the lines as they were given, without empty ones and without sections.
    """
    cleaned = iter(words_of_text(tagged, tokenizer))
    words: list[TokenizedWord] = []
    lines: list[str] = []
    for line in lyrics.strip().splitlines():
        alone = tag_line(line).replace(LYRICS_SPACE, " ")
        count = len(WORD.findall(alone, alone.index("]") + 1))
        own = list(islice(cleaned, count))
        written = list(WORD.finditer(line))
        if len(written) == len(own):
            marks = [mark.span() for mark in SECTION.finditer(line)]
            own = [
                (word.group(), tokens)
                for word, (_, tokens) in zip(written, own, strict=True)
                if not any(start <= word.start() < end for start, end in marks)
            ]
        if not own or SECTION.fullmatch(line.strip()):
            continue
        words += [TokenizedWord(text, tuple(tokens), len(lines)) for text, tokens in own if tokens]
        lines.append(SECTION.sub("", line).strip())
    return words, lines


__all__ = ["TokenizedWord", "letters", "sung_words", "words_of_text"]
