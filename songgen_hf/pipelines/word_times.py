"""Times of sung words from the attention of the frames to the lyrics, and what was left out.

One path leads through the letters of the lyrics (Viterbi): each frame sings a letter or nothing,
and the letters follow one another. The file travels to the Hub with the pipelines and imports
nothing of this package.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

_LEAST = 0.02  # weight of a letter that a frame does not attend to
_SILENT = 0.15  # weight at which a frame rather sings nothing
_QUIET = 0.9  # the same where the vocal is quiet
_SKIP = 1.5  # nats for a letter that is left out
_HEARD = 0.25  # mean weight from which a word counts as sung
_LETTERS_PER_SECOND = 25  # faster than anybody sings
_AGAIN_SECONDS = 0.12  # how long a word must be attended to once more to count as repeated
_QUIET_DECIBELS = 40.0  # below the loudest frames


class LyricsWord(NamedTuple):
    """A word of the lyrics as it is written, the ids of its letters among them, and its line."""

    text: str
    tokens: Sequence[int]
    line: int


class WordTimes(NamedTuple):
    """The keys that timestamps add to a song."""

    words: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    coverage: dict[str, Any]


def quiet_frames(waveform: np.ndarray, hop_length: int, num_frames: int) -> np.ndarray:
    """Return in which frames a vocal is far below its loudest ones, bool [T].

    Args:
        waveform: [channels, samples].
        hop_length: samples of a frame.
        num_frames: T.
    """
    samples = np.asarray(waveform, np.float64).mean(axis=0)[: num_frames * hop_length]
    samples = np.pad(samples, (0, num_frames * hop_length - len(samples)))
    level = np.sqrt((samples.reshape(num_frames, hop_length) ** 2).mean(axis=1))
    loud = np.quantile(level, 0.95) if num_frames else 0.0
    return level < loud * 10 ** (-_QUIET_DECIBELS / 20)


def word_times(
    attention: np.ndarray,
    words: Sequence[LyricsWord],
    frame_rate: float,
    *,
    quiet: np.ndarray | None = None,
    lines: Sequence[str] | None = None,
    unheard: Collection[int] = (),
) -> WordTimes:
    """Place words in a song.

    Args:
        attention: [T, P], how much each frame attends to each lyrics token, from 0 to 1.
        words: the words in their order.
        frame_rate: frames per second.
        quiet: bool [T], where the vocal is quiet; None if it is not known.
        lines: text of each line; by default its words.
        unheard: lines that a listener did not hear, whose words count as skipped.
    Returns:
        ``words``: each with ``word``, ``start`` and ``end`` in seconds, and ``confidence``, the
        mean weight of its letters in its frames, from 0 to 1. ``lines``: each with ``line``,
        ``start``, ``end`` and its ``words``. ``coverage``: the ``share`` of the letters that were
        sung in order, and the words ``skipped`` and ``repeated``. A word to which no frame attends
        has the confidence 0 and lasts no time, at the place where it is missing.
    """
    words = [word for word in words if len(word.tokens)]
    num_frames = len(attention)
    if not words or not num_frames:
        coverage = {
            "share": 0.0 if words else 1.0,
            "skipped": [word.text for word in words],
            "repeated": [],
        }
        return WordTimes([], [], coverage)
    tokens = np.concatenate([word.tokens for word in words])
    owner = np.repeat(np.arange(len(words)), [len(word.tokens) for word in words])
    weights = _smoothed(np.asarray(attention, np.float64))[:, tokens]
    letter = best_path(weights, owner, quiet)  # [T], -1 where nothing is sung

    timed: list[dict[str, Any]] = []
    num_sung, end = 0, 0.0
    skipped = []
    for place, word in enumerate(words):
        frames = np.flatnonzero((letter >= 0) & (owner[letter] == place))
        sung = letter[frames]
        share = np.zeros(0)
        if len(frames):
            share = np.minimum(1, weights[frames][:, owner == place].sum(axis=1))
        confidence = float(share.mean()) if len(frames) else 0.0
        start = frames[0] / frame_rate if len(frames) else end
        too_short = len(frames) * _LETTERS_PER_SECOND < len(word.tokens) * frame_rate
        if confidence < _HEARD or too_short or word.line in unheard:
            skipped.append(word.text)
        else:
            num_sung += len(np.unique(sung))
        end = (frames[-1] + 1) / frame_rate if len(frames) else start
        timed.append(
            {
                "word": word.text,
                "start": round(float(start), 3),
                "end": round(float(end), 3),
                "confidence": round(confidence, 3),
            }
        )
    coverage = {
        "share": round(num_sung / len(tokens), 3),
        "skipped": skipped,
        "repeated": _repeated(weights, owner, letter, words, frame_rate),
    }
    return WordTimes(timed, _lines(words, timed, lines), coverage)


def _smoothed(attention: np.ndarray) -> np.ndarray:
    """Weights with half of those of the neighbors, as letters and sounds differ in number."""
    padded = np.pad(attention, ((0, 0), (1, 1)))
    return np.minimum(1.0, padded[:, 1:-1] + 0.5 * (padded[:, :-2] + padded[:, 2:]))


def best_path(weights: np.ndarray, owner: np.ndarray, quiet: np.ndarray | None) -> np.ndarray:
    """Return the letter of each frame, int64 [T], -1 where nothing is sung.

    Args:
        weights: [T, N], how much each frame has of each letter, from 0 to 1.
        owner: [N], the word of each letter.
        quiet: bool [T], where the vocal is quiet; None if it is not known.

    State 2 i + 1 is letter i, and state 2 i the silence before it, which only words have.
    """
    num_frames, num_letters = weights.shape
    silence = np.full(num_frames, np.log(_SILENT))
    scores = np.full((num_frames, 2 * num_letters + 1), -np.inf, dtype=np.float32)
    scores[:, 1::2] = np.log(np.maximum(weights, _LEAST))
    if quiet is not None:
        silence[quiet] = np.log(_QUIET)
        scores[quiet, 1::2] += np.log(_SILENT)
    first = np.flatnonzero(np.append(np.diff(owner, prepend=-1) != 0, True))
    scores[:, 2 * first] = silence[:, None]

    # Letters may be left out, each at a cost: a linear cost is a running maximum.
    states = np.arange(scores.shape[1])
    passed = (states // 2) * _SKIP  # cost of the letters before a state
    total = scores[0] - passed
    back = np.zeros(scores.shape, dtype=np.int32)
    for frame in range(1, num_frames):
        lifted = total + ((states + 1) // 2) * _SKIP  # letters up to this state are not left out
        best = np.maximum.accumulate(lifted)
        source = np.maximum.accumulate(np.where(lifted >= best, states, 0))
        source = np.concatenate([[0], source[:-1]])
        moved = np.concatenate([[-np.inf], best[:-1]]) - passed
        stays = total >= moved
        back[frame] = np.where(stays, states, source)
        total = np.where(stays, total, moved) + scores[frame]
    total -= (num_letters - (states + 1) // 2) * _SKIP
    path = np.zeros(num_frames, dtype=np.int64)
    path[-1] = int(np.argmax(total))
    for frame in range(num_frames - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return np.where(path % 2, path // 2, -1)


def _repeated(
    weights: np.ndarray,
    owner: np.ndarray,
    letter: np.ndarray,
    words: Sequence[LyricsWord],
    frame_rate: float,
) -> list[str]:
    """The words to which frames attend once more after the path has left them."""
    attended = owner[weights.argmax(axis=1)]
    strong = weights.max(axis=1) >= 0.5
    reached = np.maximum.accumulate(np.where(letter >= 0, owner[letter], -1))
    again = np.where(strong & (attended < reached), attended, -1)
    least = max(1, round(_AGAIN_SECONDS * frame_rate))
    return [words[i].text for i in range(len(words)) if (again == i).sum() >= least]


def _lines(
    words: Sequence[LyricsWord], timed: Sequence[dict[str, Any]], texts: Sequence[str] | None
) -> list[dict[str, Any]]:
    lines: dict[int, list[dict[str, Any]]] = {}
    for word, times in zip(words, timed, strict=True):
        lines.setdefault(word.line, []).append(times)
    return [
        {
            "line": " ".join(word["word"] for word in inside) if texts is None else texts[place],
            "start": inside[0]["start"],
            "end": max(word["end"] for word in inside),
            "words": inside,
        }
        for place, inside in lines.items()
    ]


__all__ = ["LyricsWord", "WordTimes", "best_path", "quiet_frames", "word_times"]
