"""Songs with masks, and batches of them, on which a masked model is trained.

The mask of a song follows from the seed of the run, the epoch and the index of the song alone (see
``language_model/dataset.py``): a resumed run, and any number of processes, mask the same codes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from ...modeling.masked.scheduler import mask_at_random
from ...modeling.patterns import IGNORED_LABEL
from ..language_model.collator import SongCollator
from ..language_model.dataset import SongDataset
from .options import MaskedObjectiveOptions

_MASK = 2  # separates the seed of a song's mask from those of its other random choices


class MaskedSongs(Dataset):
    """Songs of a :class:`SongDataset` with masks.

    Each has ``visible`` [N, T], the number of visible codebooks of each frame of each track.

    Args:
        songs: songs to mask.
        objective: how much is masked, and where.
    """

    def __init__(self, songs: SongDataset, objective: MaskedObjectiveOptions):
        self.songs = songs
        self.objective = objective

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every song, [N]."""
        return self.songs.lengths

    @property
    def mixture_epochs(self) -> np.ndarray:
        """The epoch of each mixture, and -1 for each song, [N]."""
        return self.songs.mixture_epochs

    @property
    def rows(self) -> Any:
        """The rows of the songs."""
        return self.songs.rows

    def __len__(self) -> int:
        return len(self.songs)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        """One song; ``key`` is (epoch, index), or an index of epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        song = self.songs[key]
        schedule: Any = self.objective.mask_schedule
        words = np.random.SeedSequence([self.songs.seed, epoch, index, _MASK]).generate_state(2)
        generator = torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
        (song["visible"],) = mask_at_random(
            song["codes"][None],
            schedule=schedule,
            generator=generator,
            track_probability=self.objective.track_probability,
            span_probability=self.objective.span_probability,
        )
        return song


class MaskedSongCollator(SongCollator):
    """Makes the arguments of ``MaskedStep.forward`` from songs of :class:`MaskedSongs`."""

    def __call__(self, songs: list[dict[str, Any]]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            The processor's tensors, ``codes`` [B, N, K, T], ``visible`` [B, N, T] and
            ``frame_mask`` [B, T], False in the padding, where all codes are visible, so that it
            does not count. If asked for, ``lyrics_labels`` [B, T] and ``frame_labels``, a
            dictionary of [B, T].
        """
        num_codebooks = songs[0]["codes"].shape[1]
        frames = [torch.ones(song["codes"].shape[-1], dtype=torch.bool) for song in songs]
        return {
            **self.conditions(songs),
            "codes": _padded([song["codes"] for song in songs], 0),
            "visible": _padded([song["visible"] for song in songs], num_codebooks),
            "frame_mask": _padded(frames, False),
            **self.annotations(songs, lambda rows: _padded(rows, IGNORED_LABEL)),
        }


def masked_positions(visible: Tensor, frame_mask: Tensor, num_codebooks: int) -> Tensor:
    """Number of positions of a batch with a masked code, int64 scalar.

    Args:
        visible: [B, N, T].
        frame_mask: [B, T].
        num_codebooks: K.
    """
    return ((visible < num_codebooks) & frame_mask[:, None]).sum()


def _padded(tensors: Sequence[Tensor], value: float) -> Tensor:
    """Join tensors [..., T_i] to [B, ..., T]."""
    last_first = [tensor.movedim(-1, 0) for tensor in tensors]
    padded = pad_sequence(last_first, batch_first=True, padding_value=value)
    return padded.movedim(1, -1).contiguous()


__all__ = ["MaskedSongCollator", "MaskedSongs", "masked_positions"]
