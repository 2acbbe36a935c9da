"""The collator that makes a batch of model inputs from songs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.patterns import IGNORED_LABEL, shift_right
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.frame_labels import FrameLabels
from ..auxiliary.guided_attention import labels_of_steps, sung_tokens, tokens_of_words


class SongCollator:
    """Makes labels in the model's token pattern and prepares the conditions.

    Args:
        config: configuration of the model.
        processor: processor of the model; a condition that is None becomes the null condition.
        align_lyrics: add the lyrics token sung in each step, where the songs have timed words.
        frame_labels: add these labels of each step.
    """

    def __init__(
        self,
        config: SongGenConfig,
        processor: SongGenProcessor,
        *,
        align_lyrics: bool = False,
        frame_labels: FrameLabels | None = None,
    ):
        decoder: Any = config.decoder
        self.config, self.processor = config, processor
        self.align_lyrics, self.frame_labels = align_lyrics, frame_labels
        self.pattern = decoder.pattern
        self.ids = {"bos_token_id": decoder.bos_token_id, "eos_token_id": decoder.eos_token_id}

    def __call__(self, songs: list[dict[str, Any]]) -> dict[str, Any]:
        """Songs of :class:`SongDataset` -> the arguments of the model's ``forward``.

        Returns:
            The processor's tensors and ``labels`` [B, L, rows]. If the songs have ``vocal_codes``,
            ``vocal_labels`` [B, L, K], padded or cut to the length of ``labels``. If they have
            ``input_codes``, ``decoder_input_ids`` [B, rows, L] made of these codes. If asked for,
            ``lyrics_labels`` [B, L] and ``frame_labels``, a dictionary of [B, L].
        """
        batch = self.conditions(songs)
        batch["labels"] = self._labels(songs, "codes")
        if "input_codes" in songs[0]:
            batch["decoder_input_ids"] = shift_right(
                self._labels(songs, "input_codes"),
                self.config.decoder_start_token_id,
                self.config.pad_token_id,
            )
        if "vocal_codes" in songs[0]:
            vocal = self._labels(songs, "vocal_codes")
            longer = batch["labels"].shape[1] - vocal.shape[1]
            # Matches upstream: a vocal of another length is cut, or padded with ignored labels.
            batch["vocal_labels"] = pad(vocal, (0, 0, 0, longer), value=IGNORED_LABEL)
        return batch | self.annotations(songs, lambda rows: labels_of_steps(rows, self.config))

    def _labels(self, songs: list[dict[str, Any]], name: str) -> Tensor:
        return self.pattern.labels([song[name] for song in songs], **self.ids)

    def conditions(self, songs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The processor's tensors of the songs' texts, lyrics and voices."""
        if "text_ids" in songs[0]:
            return self._packed_conditions(songs)
        return dict(
            self.processor(
                text=[song["text"] for song in songs],
                lyrics=[song["lyrics"] for song in songs],
                reference_voice=[song["voice"] for song in songs],
                language=[song["language"] for song in songs],
                voice_start=[song["voice_start"] for song in songs],
            )
        )

    def _packed_conditions(self, songs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The tensors of :meth:`conditions` for songs whose texts and lyrics are ids already."""
        processor = self.processor
        text, text_mask = padded_ids([song["text_ids"] for song in songs], processor.tokenizer)
        lyrics, lyrics_mask = padded_ids(
            [song["lyrics_ids"] for song in songs], processor.lyrics_tokenizer
        )
        voices = processor.prepare_voice(
            [song["voice"] for song in songs], [song["voice_start"] for song in songs]
        )
        return {
            "input_ids": text,
            "attention_mask": text_mask,
            "lyrics_ids": lyrics,
            "lyrics_attention_mask": lyrics_mask,
            **{name: torch.from_numpy(values) for name, values in voices.items()},
        }

    def annotations(
        self, songs: list[dict[str, Any]], join: Callable[[list[Tensor]], Tensor]
    ) -> dict[str, Any]:
        """``lyrics_labels`` and ``frame_labels`` of a batch, as far as they are asked for.

        Args:
            songs: the songs of the batch.
            join: turns labels of frames, [T_i] for each song, into one tensor.
        """
        found: dict[str, Any] = {}
        if self.align_lyrics:
            found["lyrics_labels"] = join([self._sung_tokens(song) for song in songs])
        if self.frame_labels is not None:
            rate = self.config.frame_rate
            labels = [
                self.frame_labels.of_song(song, song["codes"].shape[-1], rate) for song in songs
            ]
            found["frame_labels"] = {
                kind: join([song[kind] for song in labels]) for kind in self.frame_labels.classes
            }
        return found

    def _sung_tokens(self, song: dict[str, Any]) -> Tensor:
        """The lyrics token sung in each frame of a song, [T]."""
        num_frames = song["codes"].shape[-1]
        if "sung_tokens" in song:  # packed
            return torch.from_numpy(song["sung_tokens"][:num_frames].astype(np.int64))
        known = song["lyrics"] and song.get("words") and song.get("phonemes") is not None
        if not known:
            return torch.full((num_frames,), IGNORED_LABEL)
        words = tokens_of_words(self.processor, song["lyrics"], song["language"])
        return sung_tokens(
            words, song["words"], song["phonemes"], num_frames, self.config.frame_rate
        )


def padded_ids(rows: Sequence[np.ndarray], tokenizer: Any) -> tuple[Tensor, Tensor]:
    """Ids and attention mask [B, L] int64 of rows of ids, padded as the tokenizer pads."""
    longest = max(map(len, rows))
    ids = np.full((len(rows), longest), tokenizer.pad_token_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        start = longest - len(row) if tokenizer.padding_side == "left" else 0
        ids[place, start : start + len(row)] = row
        mask[place, start : start + len(row)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def counted_positions(labels: Tensor, *, bos_token_id: int, pad_token_id: int) -> Tensor:
    """Number of labels that the loss of one row counts: codes and one end of sequence per song.

    Args:
        labels: [B, L, rows]; every row has the same number.
        bos_token_id, pad_token_id: ids of the decoder.
    Returns:
        int64 scalar.
    """
    row = labels[:, :, 0]
    before = torch.full_like(row, bos_token_id)
    before[:, 1:] = row[:, :-1]
    counted = (row != IGNORED_LABEL) & (row != bos_token_id)
    return (counted & (before != pad_token_id)).sum()


__all__ = ["SongCollator", "counted_positions"]
