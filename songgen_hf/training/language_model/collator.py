"""Songs -> one batch of model inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.patterns import IGNORED_LABEL, shift_right
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.frame_labels import SoundClasses
from ..auxiliary.guided_attention import sung_tokens, targets_of_steps, tokens_of_words


class SongCollator:
    """Makes labels in the model's token pattern and prepares the conditions.

    Args:
        config: of the model.
        processor: of the model; a condition that is None becomes the null branch.
        align_lyrics: say which lyrics token is sung at each step, where the songs know it.
        sounds: say what else sounds at each step, in these classes.
    """

    def __init__(
        self,
        config: SongGenConfig,
        processor: SongGenProcessor,
        *,
        align_lyrics: bool = False,
        sounds: SoundClasses | None = None,
    ):
        decoder: Any = config.decoder
        self.config = config
        self.align_lyrics = align_lyrics
        self.sounds = sounds
        self.pattern = decoder.pattern
        self.ids = {
            "bos_token_id": decoder.bos_token_id,
            "eos_token_id": decoder.eos_token_id,
        }
        self.processor = processor

    def __call__(self, songs: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Songs of :class:`SongDataset` -> the arguments of the model's ``forward``.

        Returns:
            The processor's tensors, ``labels`` [B, L, rows] and, where the songs bring
            ``vocal_codes``, ``vocal_labels`` [B, L, K], padded or cut to the length of ``labels``;
            where they bring ``heard_codes``, ``decoder_input_ids`` [B, rows, L] made of those;
            with ``align_lyrics``, ``lyrics_targets`` [B, L]; with ``sounds``, ``sound_targets``, a
            dictionary of [B, L].
        """
        batch = self.conditions(songs)
        batch["labels"] = self.pattern.labels([song["codes"] for song in songs], **self.ids)
        if "heard_codes" in songs[0]:
            heard = self.pattern.labels([song["heard_codes"] for song in songs], **self.ids)
            batch["decoder_input_ids"] = shift_right(
                heard, self.config.decoder_start_token_id, self.config.pad_token_id
            )
        if "vocal_codes" in songs[0]:
            vocal = self.pattern.labels([song["vocal_codes"] for song in songs], **self.ids)
            longer = batch["labels"].shape[1] - vocal.shape[1]
            # Matches upstream: a vocal of another length is cut, or padded with ignored labels.
            batch["vocal_labels"] = pad(vocal, (0, 0, 0, longer), value=IGNORED_LABEL)
        if self.align_lyrics:
            sung = [self._sung(song) for song in songs]
            batch["lyrics_targets"] = targets_of_steps(sung, self.config)
        if self.sounds is not None:
            rate = self.config.frame_rate
            told = [self.sounds.targets(song, song["codes"].shape[-1], rate) for song in songs]
            batch["sound_targets"] = {
                kind: targets_of_steps([song[kind] for song in told], self.config)
                for kind in self.sounds.names
            }
        return batch

    def conditions(self, songs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The processor's tensors of the songs' texts, lyrics and voices."""
        return dict(
            self.processor(
                text=[song["text"] for song in songs],
                lyrics=[song["lyrics"] for song in songs],
                reference_voice=[song["voice"] for song in songs],
                language=[song["language"] for song in songs],
                voice_start=[song["voice_start"] for song in songs],
            )
        )

    def _sung(self, song: dict[str, Any]) -> Tensor:
        """The sung lyrics token of each frame of a song, [T]."""
        num_frames = song["codes"].shape[-1]
        known = song["lyrics"] and song.get("words") and song.get("phonemes") is not None
        if not known:
            return torch.full((num_frames,), IGNORED_LABEL)
        words = tokens_of_words(self.processor, song["lyrics"], song["language"])
        return sung_tokens(
            words, song["words"], song["phonemes"], num_frames, self.config.frame_rate
        )


def counted_positions(labels: Tensor, *, bos_token_id: int, pad_token_id: int) -> Tensor:
    """How many targets one row of a batch has: its codes and one end of sequence a song.

    Args:
        labels: [B, L, rows]; every row has the same number.
    Returns:
        int64 scalar.
    """
    row = labels[:, :, 0]
    before = torch.full_like(row, bos_token_id)
    before[:, 1:] = row[:, :-1]
    counted = (row != IGNORED_LABEL) & (row != bos_token_id)
    return (counted & (before != pad_token_id)).sum()


__all__ = ["SongCollator", "counted_positions"]
