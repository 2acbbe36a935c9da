"""Frame labels: heads that predict phoneme, beat, tempo, instrument and voice of each frame.

A code mixes the phoneme with pitch, singer and accompaniment, so a small model is slow to learn
which part of it the lyrics and the description determine. For songs with annotations, linear heads
predict labels of each frame from the states of a layer, which makes the layer represent them (deep
supervision, arXiv 1409.5185). The heads are discarded after training; the model is unchanged.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...modeling.patterns import IGNORED_LABEL
from ..seeding import seeded

CATEGORY_COLUMNS = ("lead_instrument", "gender", "genre", "voice_id")
FRAME_LABEL_COLUMNS = ("tempo", *CATEGORY_COLUMNS)
HEADS_FILE = "sound_heads.safetensors"  # in checkpoints only
SILENCE = 0  # class of a frame without a phoneme
BEAT_PHASES = 16  # classes of the position within a beat
TEMPO_STEP = 1.04  # ratio of neighboring classes of tempo
SLOWEST_TEMPO, FASTEST_TEMPO = 40.0, 400.0


class FrameLabels:
    """Labels of frames and the classes they have in a dataset.

    Args:
        classes: names of the classes of each kind of label, in order; ``phoneme`` without silence,
            which is class 0. ``beat`` and ``tempo`` have no names.
        phoneme_names: phonemes by the ids, from 1, that songs may have in their place.
    """

    def __init__(
        self, classes: Mapping[str, Sequence[str]], phoneme_names: Sequence[str] | None = None
    ):
        self.classes = {kind: list(names) for kind, names in classes.items()}
        self._indices = {
            kind: {name: index for index, name in enumerate(names)}
            for kind, names in self.classes.items()
        }
        phonemes = self._indices.get("phoneme", {})
        known = [self._phoneme_class(name, phonemes) for name in phoneme_names or ()]
        self._class_of_id = np.array([SILENCE, *known], dtype=np.int64)

    @staticmethod
    def _phoneme_class(symbol: str, indices: Mapping[str, int]) -> int:
        return indices.get(symbol, IGNORED_LABEL - 1) + 1

    @classmethod
    def from_rows(cls, rows: Any) -> "FrameLabels":
        """The labels that a ``datasets.Dataset`` has, or packed songs.

        Raises:
            ValueError: if it has no column of labels.
        """
        is_packed = hasattr(rows, "distinct")
        rows = rows if is_packed else rows.with_format(None)
        distinct = rows.distinct if is_packed else partial(distinct_names, rows)
        found: dict[str, list[str]] = {}
        for kind in CATEGORY_COLUMNS:
            if kind in rows.column_names:
                found[kind] = distinct(kind)
        if "phonemes" in rows.column_names:
            found["phoneme"] = distinct("phonemes")
        if "tempo" in rows.column_names:
            found |= {"beat": [], "tempo": []}
        if not found:
            raise ValueError(
                "frame_label_weight needs songs with labels: expected one of phonemes, "
                f"{', '.join(FRAME_LABEL_COLUMNS)}, got {', '.join(rows.column_names)}; pass "
                "--frame-label-weight 0"
            )
        return cls(found, rows.index["phonemes"] if is_packed else None)

    def sizes(self) -> dict[str, int]:
        """Number of classes of each kind."""
        fixed = {"beat": BEAT_PHASES, "tempo": NUM_TEMPI}
        return {
            kind: fixed.get(kind, len(names) + (kind == "phoneme"))
            for kind, names in self.classes.items()
        }

    def of_song(
        self, song: Mapping[str, Any], num_frames: int, frame_rate: float
    ) -> dict[str, Tensor]:
        """The labels of a song: for each kind [T] int64, -100 where the label is unknown.

        Args:
            song: ``phonemes`` (``{"symbol", "start", "end"}`` in seconds, or an id for each frame,
                0 for silence), ``tempo`` in beats per minute with a beat at 0 s, and the
                ``CATEGORY_COLUMNS``, each or None.
            num_frames: T.
            frame_rate: frames per second.
        """
        time = (np.arange(num_frames) + 0.5) / frame_rate
        tempo, phonemes = song.get("tempo"), song.get("phonemes")
        labels = {}
        for kind, indices in self._indices.items():
            values = np.full(num_frames, IGNORED_LABEL, dtype=np.int64)
            if kind == "phoneme":
                if isinstance(phonemes, np.ndarray):
                    values = self._class_of_id[phonemes[:num_frames]]
                elif phonemes is not None:
                    values[:] = SILENCE
                    for first, last, symbol in phoneme_frames(phonemes, time):
                        values[first:last] = self._phoneme_class(symbol, indices)
            elif kind in ("beat", "tempo"):
                if tempo is not None and tempo > 0:
                    phase = (time * tempo / 60) % 1
                    beat = np.minimum((phase * BEAT_PHASES).astype(np.int64), BEAT_PHASES - 1)
                    values[:] = beat if kind == "beat" else tempo_class(tempo)
            else:
                values[:] = indices.get(str(song.get(kind)), IGNORED_LABEL)
            labels[kind] = torch.from_numpy(values)
        return labels


def distinct_names(rows: Any, column: str) -> list[str]:
    """The sorted names that occur in a column of a ``datasets.Dataset``."""
    if column == "phonemes":
        return sorted({one["symbol"] for song in rows[column] for one in song or ()})
    return sorted({str(value) for value in rows[column] if value is not None})


def phoneme_frames(
    phonemes: Sequence[Mapping[str, Any]], time: np.ndarray
) -> Iterator[tuple[int, int, str]]:
    """The first frame of each phoneme, the frame after its last one, and its symbol.

    Args:
        phonemes: ``{"symbol", "start", "end"}`` in seconds.
        time: [T], middles of the frames in seconds, ascending.
    """
    for one in phonemes:
        first, last = np.searchsorted(time, [one["start"], one["end"]])
        yield int(first), int(last), one["symbol"]


def tempo_class(tempo: float) -> int:
    """The class of a tempo in beats per minute; the classes have equal ratios."""
    ratio = min(max(tempo, SLOWEST_TEMPO), FASTEST_TEMPO) / SLOWEST_TEMPO
    return round(math.log(ratio, TEMPO_STEP))


NUM_TEMPI = tempo_class(FASTEST_TEMPO) + 1


def tempo_of_class(classes: Tensor) -> Tensor:
    """The middle of tempo classes, in beats per minute."""
    return SLOWEST_TEMPO * TEMPO_STEP ** classes.double()


class FrameLabelHeads(nn.Module):
    """Linear heads on the states of a layer, one for each kind of label.

    Args:
        sizes: number of classes of each kind.
        width: H of the states.
        seed: seed of the weights.
    """

    def __init__(self, sizes: Mapping[str, int], width: int, *, seed: int = 0):
        super().__init__()
        with seeded(seed):
            self.norm = nn.LayerNorm(width)
            self.heads = nn.ModuleDict({k: nn.Linear(width, size) for k, size in sizes.items()})

    def forward(
        self, states: Tensor, labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of all heads.

        Args:
            states: [B, L, H].
            labels: [B, L] of each kind, -100 where the label is unknown.
        Returns:
            The sum of the kinds' mean cross-entropies, and the detached loss and accuracy of each
            kind by name.
        """
        states = self.norm(states.to(self.norm.weight.dtype))
        total = states.new_zeros(())
        metrics = {}
        for kind, head in self.heads.items():
            label = labels[kind]
            known = label != IGNORED_LABEL
            number = known.sum().clamp(min=1)
            logits = head(states)
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(),
                label.flatten(),
                ignore_index=IGNORED_LABEL,
                reduction="sum",
            )
            total = total + loss / number
            right = (logits.argmax(dim=-1) == label) & known
            metrics[f"sound_loss/{kind}"] = (loss / number).detach()
            metrics[f"sound_accuracy/{kind}"] = right.sum() / number
        return total, metrics


def frame_label_layer(num_layers: int) -> int:
    """Index of the layer that the heads read: at two thirds, so that later layers can use it."""
    return max(0, (2 * num_layers) // 3 - 1)


@contextmanager
def recorded_output(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Record the states [B, L, H] that a layer returns at every call within the block."""
    recorded: list[Tensor] = []

    def record(module: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        recorded.append(output)

    hook = layer.register_forward_hook(record)
    try:
        yield recorded
    finally:
        hook.remove()


__all__ = [
    "FRAME_LABEL_COLUMNS",
    "HEADS_FILE",
    "NUM_TEMPI",
    "FrameLabelHeads",
    "FrameLabels",
    "frame_label_layer",
    "recorded_output",
    "tempo_class",
    "tempo_of_class",
]
