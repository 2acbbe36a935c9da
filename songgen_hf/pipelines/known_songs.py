"""What is known of songs before an autoregressive model generates the rest, and their waveforms.

The file travels to the Hub with the pipeline.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from .editing import EDIT_LENGTH, KnownSong, check_edits, load_song, visible_codebooks
from .song_edges import song_waveforms
from .song_requests import EXACT_OR_BOUNDED, check_seconds
from .takes import number_of_takes
from .timestamps import TimestampsMixin


class KnownSongsMixin(TimestampsMixin):
    """Encodes and decodes the songs of a pipeline with an autoregressive model."""

    model: Any
    processor: Any
    device: torch.device
    dtype: torch.dtype
    vocal_extractor: Any
    codes_reader: Any = None
    """Function (path, codec=) -> codes [tracks, K, T] of a file of codes; None to read none."""

    def _groups(
        self, requests: list[dict[str, Any]]
    ) -> Iterator[tuple[list[int], list[dict[str, Any]], list[KnownSong | None]]]:
        """Split a batch into groups of one length, whose songs have as many known frames.

        Yields (indices of the requests, requests, what is known of their songs).
        """
        groups: dict[tuple[Any, ...], list[int]] = {}  # a known beginning cannot be padded
        known = []
        for index, request in enumerate(requests):
            check_seconds("seconds", request["seconds"])
            song = self._known_song(request)
            known.append(song)
            shape = None if song is None else (song.is_edit, song.beginning, song.visible.shape)
            takes = None if song is None else number_of_takes(song)
            groups.setdefault((shape, takes, request["seconds"]), []).append(index)
        for indices in groups.values():
            yield indices, [requests[i] for i in indices], [known[i] for i in indices]

    def _known_song(self, request: Mapping[str, Any]) -> KnownSong | None:
        """What a request gives of its song: one to edit, or a beginning; None for nothing."""
        edits = check_edits(request)
        if request["song"] is not None:
            codes, recorded = self._load_song(request["song"])
            rate = self.model.config.frame_rate
            visible = visible_codebooks(codes.shape, frame_rate=rate, **edits)
            return KnownSong(codes, visible, recorded, is_edit=True)
        if request["audio_prompt"] is None:
            return None
        codes, recorded = self._load_song(request["audio_prompt"])
        visible = torch.full(codes.shape[::2], codes.shape[1])
        return KnownSong(codes, visible, recorded)

    def _with_length(
        self, settings: dict[str, Any], seconds: Any, known: KnownSong | None
    ) -> dict[str, Any]:
        """Return the settings of songs of an exact length: in seconds, or that of an edited one."""
        is_edit = known is not None and known.is_edit
        if seconds is None and not is_edit:
            return settings
        bounds = ("min_new_frames", "max_new_frames")
        if any(bound in settings for bound in bounds):
            raise ValueError(EDIT_LENGTH if is_edit else EXACT_OR_BOUNDED)
        frames = (
            known.visible.shape[-1] - known.beginning
            if known is not None and is_edit
            else self._frames("seconds", seconds)
        )
        return {**settings, **dict.fromkeys(bounds, max(1, frames))}

    def _frames(self, name: str, seconds: float) -> int:
        """Return the number of codec frames of a duration in seconds, at least one."""
        check_seconds(name, seconds)
        return max(1, round(seconds * self.model.config.frame_rate))

    @torch.no_grad()
    def encode(self, song: Any) -> torch.Tensor:
        """Return the codes [tracks, K, T] of a song in one of the forms of ``audio_prompt``."""
        return self._load_song(song)[0]

    def _load_song(self, song: Any) -> tuple[torch.Tensor, list[np.ndarray] | None]:
        """The codes of a song and, if there are any, its waveforms."""

        def encode(values: torch.Tensor) -> torch.Tensor:
            values = values.transpose(0, 1).to(self.device, dtype=self.dtype)
            codes: torch.Tensor = self.model.encode_audio(values)[0]
            return codes

        decoder, codec = self.model.config.decoder, self.model.audio_encoder
        read_codes = self.codes_reader and partial(self.codes_reader, codec=codec)
        return load_song(
            song,
            self.processor,
            encode,
            num_tracks=decoder.num_tracks,
            num_codebooks=decoder.num_codebooks,
            codebook_size=decoder.codebook_size,
            sampling_rate=int(self.model.config.sampling_rate),
            extract_vocal=self.vocal_extractor,
            read_codes=read_codes,
        )

    @property
    def sampling_rate(self) -> int:
        """Sampling rate of the songs, in Hz."""
        return int(self.model.config.sampling_rate)

    @property
    def _hop_length(self) -> int:
        return int(self.model.config.audio_encoder.hop_length)

    def _lyrics_attention(self, codes: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> Any:
        """The attention [T, P] of a song [tracks, K, T] to its lyrics."""
        voice = inputs["voice_values"].to(self.dtype)
        return self.model.lyrics_attention(codes[None], **{**inputs, "voice_values": voice})[0]

    def _sung_frames(self, codes: torch.Tensor) -> torch.Tensor:
        """The frames of generated codes [tracks, K, T] up to the end of the vocal."""
        whole = (codes[-1] < self.model.config.decoder.codebook_size).all(dim=0)
        return codes[..., : int(whole.int().cumprod(dim=0).sum())]

    @property
    def _networks(self) -> list[Any]:
        return [self.model]

    @property
    def _sizes(self) -> Any:
        return self.model.config.decoder

    def _decode(self, codes: torch.Tensor, raw: bool = False) -> dict[str, Any]:
        """The waveforms of one song [tracks, K, T]."""
        return self._waveforms(codes[None].to(self.device), raw)[0]

    def _waveforms(self, codes: torch.Tensor, raw: bool) -> list[dict[str, Any]]:
        """The decoded tracks of songs [B, tracks, K, T], their mixture and sampling rate."""
        sound = self.model.decode_codes(codes)
        tracks = [(sound.waveform, sound.lengths)]
        if sound.vocal is not None:
            tracks = [
                (sound.accompaniment, sound.accompaniment_lengths),
                (sound.vocal, sound.vocal_lengths),
            ]
        del sound  # with its mixture, whose tracks have no edges yet
        rate = int(self.model.config.sampling_rate)
        ended = (codes >= self.model.config.decoder.codebook_size).any(dim=-1).any(dim=-1)
        songs = []
        for row, ends in enumerate(ended.tolist()):
            waveforms = [
                waveform[row, :, : int(lengths[row])].float().cpu().numpy()
                for waveform, lengths in tracks
            ]
            sounds = song_waveforms(waveforms, rate, ended=ends, raw=raw)
            songs.append({**sounds, "sampling_rate": rate})
        return songs


__all__ = ["KnownSongsMixin"]
