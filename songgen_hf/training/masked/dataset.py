"""Songs with a mask, and batches of them: what a masked model is trained on.

As everything else about a song, its mask follows from the run's seed, the epoch and the song's
index alone (see ``songs.py``): a resumed run, and any number of processes, mask the same codes.
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

_MASK = 2  # tells a song's mask from its other random choices


class MaskedSongs(Dataset):
    """Songs of a :class:`SongDataset`, each with ``visible`` [N, T]: how many of its codebooks a
    frame of a track shows.

    Args:
        songs: to mask.
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
    """Songs of :class:`MaskedSongs` -> the arguments of ``MaskedStep.forward``.

    Args are those of :class:`SongCollator`.
    """

    def __call__(self, songs: list[dict[str, Any]]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            The processor's tensors, ``codes`` [B, N, K, T], ``visible`` [B, N, T] and
            ``frame_mask`` [B, T], False where a song is padded: padded frames show everything, so
            that nothing of them counts. With ``align_lyrics`` also ``lyrics_targets`` [B, T], with
            ``sounds`` ``sound_targets``, a dictionary of [B, T].
        """
        batch = self.conditions(songs)
        num_codebooks = songs[0]["codes"].shape[1]
        frames = [torch.ones(song["codes"].shape[-1], dtype=torch.bool) for song in songs]
        batch["codes"] = _padded([song["codes"] for song in songs], 0)
        batch["visible"] = _padded([song["visible"] for song in songs], num_codebooks)
        batch["frame_mask"] = _padded(frames, False)
        if self.align_lyrics:
            batch["lyrics_targets"] = _padded([self._sung(song) for song in songs], IGNORED_LABEL)
        if self.sounds is not None:
            rate = self.config.frame_rate
            heard = [self.sounds.targets(song, song["codes"].shape[-1], rate) for song in songs]
            batch["sound_targets"] = {
                kind: _padded([song[kind] for song in heard], IGNORED_LABEL)
                for kind in self.sounds.names
            }
        return batch


def masked_positions(visible: Tensor, frame_mask: Tensor, num_codebooks: int) -> Tensor:
    """How many positions of a batch have a masked code, int64 scalar.

    Args:
        visible: [B, N, T].
        frame_mask: [B, T].
        num_codebooks: K.
    """
    return ((visible < num_codebooks) & frame_mask[:, None]).sum()


def _padded(tensors: Sequence[Tensor], value: float) -> Tensor:
    """Tensors [..., T_i] in one [B, ..., T]."""
    last_first = [tensor.movedim(-1, 0) for tensor in tensors]
    padded = pad_sequence(last_first, batch_first=True, padding_value=value)
    return padded.movedim(1, -1).contiguous()


__all__ = ["MaskedSongCollator", "MaskedSongs", "masked_positions"]
