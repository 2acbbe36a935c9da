"""Forced alignment: the frames of each phoneme of known lyrics (Viterbi over the CTC trellis).

State 2 i + 1 of the trellis is phoneme i, the even states are the blanks between phonemes. Memory
grows little with the length of a recording: only the states around the best path are kept, and the
way back is computed in segments, from scores that are kept at their beginnings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .frame_file import Frames
from .phoneme_recognizer import BLANK

BAND = 4096  # states around the best path, which are about 500 words
_SEGMENT = 1024  # frames whose way back is computed at once
_LOWEST = -1e30


class Alignment(NamedTuple):
    """First frame and the one after the last of each phoneme, int64 [N], and its score [N].

    A score is the mean log probability of the phoneme in its frames, relative to their best class.
    """

    first: np.ndarray
    last: np.ndarray
    score: np.ndarray


def align(
    log_probabilities: Frames,
    classes: np.ndarray,
    word_starts: np.ndarray,
    *,
    filler_penalty: float = 2.0,
    band: int = BAND,
) -> Alignment | None:
    """Find the most probable frames of a sequence of phonemes.

    Between words there may be sounds that the lyrics do not have: the most probable class of a
    frame, at a cost.

    Args:
        log_probabilities: float32 [T, classes], class 0 the blank; they are read in blocks.
        classes: int64 [N], at least one, none of them the blank.
        word_starts: bool [N], whether a phoneme is the first one of its word.
        filler_penalty: cost of a frame with another sound between words, in nats.
        band: states that are kept in each frame.
    Returns:
        The alignment, or None if there are fewer frames than phonemes.
    """
    repeated = np.concatenate([[False], classes[1:] == classes[:-1]])
    if not len(classes) or len(log_probabilities) < len(classes) + repeated.sum():
        return None
    trellis = _Trellis(log_probabilities, classes, repeated, word_starts, filler_penalty, band)
    path = trellis.best_path()
    phonemes = np.flatnonzero(path % 2)
    places = path[phonemes] // 2
    first = phonemes[np.searchsorted(places, np.arange(len(classes)))]
    last = phonemes[np.searchsorted(places, np.arange(len(classes)), side="right") - 1] + 1
    heard = _relative_scores(log_probabilities, phonemes, classes[places])
    score = np.add.reduceat(heard, np.searchsorted(places, np.arange(len(classes))))
    return Alignment(first, last, score / np.bincount(places, minlength=len(classes)))


def _relative_scores(
    log_probabilities: Frames, frames: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """The log probability of a class in each of some frames, relative to the best class."""
    scores = np.zeros(len(frames), dtype=np.float32)
    for begin in range(0, len(log_probabilities), _SEGMENT):
        inside = slice(*np.searchsorted(frames, [begin, begin + _SEGMENT]))
        rows = log_probabilities[begin : begin + _SEGMENT][frames[inside] - begin]
        scores[inside] = rows[np.arange(len(rows)), classes[inside]] - rows.max(
            axis=1, initial=-np.inf
        )
    return scores


class _Trellis:
    def __init__(
        self,
        log_probabilities: Frames,
        classes: np.ndarray,
        repeated: np.ndarray,
        word_starts: np.ndarray,
        filler_penalty: float,
        band: int,
    ) -> None:
        self.log_probabilities, self.filler_penalty = log_probabilities, filler_penalty
        self.num_frames = len(log_probabilities)
        self.rows, self.begin = np.zeros((0, 0), dtype=np.float32), 0
        self.states = 2 * len(classes) + 1
        self.classes = np.full(self.states, BLANK)
        self.classes[1::2] = classes
        self.classes[:-1:2][word_starts] = -1  # the last column of the rows
        self.classes[-1] = -1
        self.skips = np.zeros(self.states, dtype=np.float32)  # from the state two before
        self.skips[::2] = _LOWEST
        self.skips[1::2][repeated] = _LOWEST
        self.band = min(band, self.states)

    def best_path(self) -> np.ndarray:
        """The state of each frame, int32 [T]."""
        scores = np.full(self.band, _LOWEST, dtype=np.float32)
        scores[:2] = self._emissions(0, slice(2))
        offsets = np.zeros(self.num_frames, dtype=np.int32)
        kept = {}
        for frame in range(1, self.num_frames):
            if (frame - 1) % _SEGMENT == 0:
                kept[frame - 1] = scores
            offsets[frame] = self._offset(frame, int(offsets[frame - 1]), scores)
            scores, _ = self._advance(frame, offsets, scores)
        path = np.zeros(self.num_frames, dtype=np.int32)
        final = self.states - 1 - int(offsets[-1])
        path[-1] = self.states - 1 - int(scores[final - 1] > scores[final])
        for begin in sorted(kept, reverse=True):
            scores, end = kept[begin], min(begin + _SEGMENT, self.num_frames - 1)
            steps = []
            for frame in range(begin + 1, end + 1):
                scores, taken = self._advance(frame, offsets, scores)
                steps.append(taken)
            for frame in range(end, begin, -1):
                path[frame - 1] = path[frame] - steps.pop()[path[frame] - offsets[frame]]
        return path

    def _offset(self, frame: int, before: int, scores: np.ndarray) -> int:
        """The first state of the band: it follows the best state and reaches the last in time."""
        highest = self.states - self.band
        if before == highest:
            return before
        wanted = max(
            before + int(np.argmax(scores)) - self.band // 2,
            highest - (self.num_frames - 1 - frame),
        )
        return min(max(before, wanted), highest, before + self.band // 2)

    def _advance(
        self, frame: int, offsets: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The scores of the next frame, and how many states each of them advanced, int8."""
        offset, moved = int(offsets[frame]), int(offsets[frame] - offsets[frame - 1])
        before = np.full(self.band + 2, _LOWEST, dtype=np.float32)  # from the state offset - 2 on
        source = scores[max(0, moved - 2) :]
        begin = max(0, 2 - moved)
        before[begin : begin + len(source)] = source[: self.band + 2 - begin]
        window = slice(offset, offset + self.band)
        best, step = before[2:].copy(), before[1:-1]
        skip = before[:-2] + self.skips[window]
        taken = (step > best).astype(np.int8)
        np.maximum(best, step, out=best)
        taken[skip > best] = 2
        np.maximum(best, skip, out=best)
        best += self._emissions(frame, window)
        return best, taken

    def _emissions(self, frame: int, window: slice) -> np.ndarray:
        """The log probabilities of some states in a frame."""
        if not self.begin <= frame < self.begin + len(self.rows):
            self.begin = max(0, frame - 1) // _SEGMENT * _SEGMENT + (frame > 0)
            self.rows = self._with_other(self.log_probabilities[self.begin : self.begin + _SEGMENT])
        return self.rows[frame - self.begin, self.classes[window]]

    def _with_other(self, rows: np.ndarray) -> np.ndarray:
        """Rows with one more class: the blank between words, which may also be another sound."""
        other = rows[:, BLANK + 1 :].max(axis=1) - np.float32(self.filler_penalty)
        return np.column_stack([rows, np.maximum(rows[:, BLANK], other)])


__all__ = ["BAND", "Alignment", "align"]
