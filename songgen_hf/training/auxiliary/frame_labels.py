"""Tell the decoder what sounds at each step, beside the codes: phoneme, beat, instrument, voice.

A code mixes what is sung with pitch, singer and band, so a small model takes long to find out which
part of it the lyrics and the description decide. Where the data knows what sounds, linear heads
read it from a decoder layer, and their loss makes that layer know it (deep supervision, arXiv
1409.5185). The heads are of the training alone: the model, its weights and how it sings are those
of any other run.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...modeling.patterns import IGNORED_LABEL

NAMED_COLUMNS = ("lead_instrument", "gender", "genre", "voice_id")
SOUND_COLUMNS = ("tempo", *NAMED_COLUMNS)
SOUND_HEADS_FILE = "sound_heads.safetensors"
SILENCE = 0  # class of a frame in which no phoneme sounds
BEAT_PARTS = 16  # classes of a beat's phase
TEMPO_STEP = 1.04  # ratio of neighboring classes of tempo
SLOWEST_TEMPO, FASTEST_TEMPO = 40.0, 400.0


class SoundClasses:
    """Classes of what can sound, as a dataset's columns name it.

    Args:
        names: of the values of each kind, in the order of their classes; ``phoneme`` without
            silence, which is class 0.
    """

    def __init__(self, names: Mapping[str, Sequence[str]]):
        self.names = {kind: list(values) for kind, values in names.items()}
        self._numbers = {
            kind: {value: number for number, value in enumerate(values)}
            for kind, values in self.names.items()
        }

    @classmethod
    def of_rows(cls, rows: Any) -> "SoundClasses":
        """The classes that occur in a ``datasets.Dataset``.

        Raises:
            ValueError: if it has no column that says what sounds.
        """
        rows = rows.with_format(None)
        found: dict[str, list[str]] = {}
        for kind in NAMED_COLUMNS:
            if kind in rows.column_names:
                found[kind] = sorted({str(value) for value in rows[kind] if value is not None})
        if "phonemes" in rows.column_names:
            found["phoneme"] = sorted(
                {one["symbol"] for song in rows["phonemes"] for one in song or ()}
            )
        if "tempo" in rows.column_names:
            found |= {"beat": [], "tempo": []}
        if not found:
            raise ValueError(
                "frame_label_weight needs songs that say what sounds: expected one of phonemes, "
                f"{', '.join(SOUND_COLUMNS)}, got {', '.join(rows.column_names)}; pass "
                "--frame-label-weight 0"
            )
        return cls(found)

    def sizes(self) -> dict[str, int]:
        """Number of classes of each kind."""
        fixed = {"beat": BEAT_PARTS, "tempo": NUM_TEMPI}
        more = {"phoneme": 1}
        return {
            kind: fixed.get(kind, len(values) + more.get(kind, 0))
            for kind, values in self.names.items()
        }

    def targets(
        self, song: Mapping[str, Any], num_frames: int, frame_rate: float
    ) -> dict[str, Tensor]:
        """Class of each kind in each frame of a song, [T] int64; -100 where it is not known.

        Args:
            song: ``phonemes`` (``{"symbol", "start", "end"}`` in seconds), ``tempo`` in beats a
                minute with a beat at 0 s, and the ``NAMED_COLUMNS``, each or None.
            num_frames: T.
            frame_rate: frames a second.
        """
        time = (np.arange(num_frames) + 0.5) / frame_rate
        targets = {}
        for kind, numbers in self._numbers.items():
            values = np.full(num_frames, IGNORED_LABEL, dtype=np.int64)
            tempo = song.get("tempo")
            if kind == "phoneme":
                phonemes = song.get("phonemes")
                if phonemes is not None:
                    values[:] = SILENCE
                for one in phonemes or ():
                    inside = (time >= one["start"]) & (time < one["end"])
                    values[inside] = numbers.get(one["symbol"], IGNORED_LABEL - 1) + 1
            elif kind in ("beat", "tempo"):
                if tempo is not None and tempo > 0:
                    phase = (time * tempo / 60) % 1
                    beat = np.minimum((phase * BEAT_PARTS).astype(np.int64), BEAT_PARTS - 1)
                    values[:] = beat if kind == "beat" else tempo_class(tempo)
            else:
                values[:] = numbers.get(str(song.get(kind)), IGNORED_LABEL)
            targets[kind] = torch.from_numpy(values)
        return targets


def tempo_class(tempo: float) -> int:
    """The class of a tempo in beats a minute; classes are 4 % wide."""
    ratio = min(max(tempo, SLOWEST_TEMPO), FASTEST_TEMPO) / SLOWEST_TEMPO
    return round(math.log(ratio, TEMPO_STEP))


NUM_TEMPI = tempo_class(FASTEST_TEMPO) + 1


def tempo_of_class(classes: Tensor) -> Tensor:
    """The middle of classes, in beats a minute."""
    return SLOWEST_TEMPO * TEMPO_STEP ** classes.double()


class SoundHeads(nn.Module):
    """One linear head a kind, on the states of a decoder layer.

    Args:
        sizes: number of classes of each kind.
        width: H of the states.
        seed: of the weights.
    """

    def __init__(self, sizes: Mapping[str, int], width: int, *, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.norm = nn.LayerNorm(width)
            self.heads = nn.ModuleDict({k: nn.Linear(width, size) for k, size in sizes.items()})

    def forward(
        self, states: Tensor, targets: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """How badly the states tell what sounds.

        Args:
            states: [B, L, H].
            targets: [B, L] of each kind, -100 where it is not known.
        Returns:
            The sum of the kinds' mean cross-entropies, and detached by name each kind's loss and
            the part of its steps that is told right.
        """
        states = self.norm(states.to(self.norm.weight.dtype))
        total = states.new_zeros(())
        metrics = {}
        for kind, head in self.heads.items():
            target = targets[kind]
            known = target != IGNORED_LABEL
            number = known.sum().clamp(min=1)
            logits = head(states)
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(),
                target.flatten(),
                ignore_index=IGNORED_LABEL,
                reduction="sum",
            )
            total = total + loss / number
            right = (logits.argmax(dim=-1) == target) & known
            metrics[f"sound_loss/{kind}"] = (loss / number).detach()
            metrics[f"sound_accuracy/{kind}"] = right.sum() / number
        return total, metrics


def sound_layer(num_layers: int) -> int:
    """Number of the decoder layer that is told: two thirds up, so that the rest can use it."""
    return max(0, (2 * num_layers) // 3 - 1)


@contextmanager
def watched_layer(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collect, within the block, the states [B, L, H] that a layer gives."""
    seen: list[Tensor] = []

    def keep(module: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        seen.append(output)

    hook = layer.register_forward_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()


__all__ = [
    "NUM_TEMPI",
    "SOUND_COLUMNS",
    "SOUND_HEADS_FILE",
    "SoundClasses",
    "SoundHeads",
    "sound_layer",
    "tempo_class",
    "tempo_of_class",
    "watched_layer",
]
