"""Prepares masked generation and edits: encoded conditions, and codes and waveforms of songs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..modeling.conditioning import SongGenConditioner, SongGenConditionOutput
from ..modeling.guidance import Branch, given_conditions
from ..modeling.lyrics_attention import read_attention
from .editing import KnownSong, check_edits, load_song, visible_codebooks
from .masked_settings import MaskedSettings
from .song_edges import song_waveforms
from .timestamps import TimestampsMixin


def encode_conditions(
    conditioner: SongGenConditioner,
    inputs: Mapping[str, Tensor],
    *,
    branches: Sequence[Branch] = (),
) -> tuple[Tensor, Tensor]:
    """Encode the tensors of the processor as conditions of the masked model.

    Returns:
        States [B, E, H] and their mask [B, E]; as many rows follow for each branch of guidance.
    """
    inputs = dict(inputs)
    if "voice" not in given_conditions(inputs):
        for name in ("voice_values", "voice_attention_mask"):
            inputs.pop(name, None)  # all states would be masked
    # With the text projection, as in training, which the reference leaves out in generation.
    output = conditioner(**inputs, guidance_branches=branches, for_generation=False)
    return conditions_of(output)


def conditions_of(output: SongGenConditionOutput) -> tuple[Tensor, Tensor]:
    """Return the states [B, E, H] and the mask [B, E] of a conditioner's output, lyrics last.

    Raises:
        ValueError: if the checkpoint prepends lyrics to the decoder's input.
    """
    if output.get("lyrics_hidden_states") is not None:
        raise ValueError(
            "the conditioner prepends lyrics to the decoder's input, which a masked model does not "
            "have: use a checkpoint with lyrics_cross_attention=True"
        )
    assert output.last_hidden_state is not None and output.attention_mask is not None
    return output.last_hidden_state, output.attention_mask


def known_codes(
    requests: Sequence[Mapping[str, Any]],
    expected: Sequence[int],
    *,
    load: Callable[[Any], tuple[Tensor, list[Any] | None]],
    settings: MaskedSettings,
    num_tracks: int,
    num_codebooks: int,
    frame_rate: float,
) -> list[KnownSong]:
    """Return what is known of each song, all of whose frames there are, before its generation.

    Args:
        requests: requests with ``song``, ``audio_prompt``, ``seconds`` and the edits of ``song``.
        expected: number of frames that the model predicts for each song.
        load: returns the codes [N, K, T] and the waveforms of a song or an audio prompt.
        settings: settings of the call, which bound the lengths of new songs.
        num_tracks: N, number of tracks of the model.
        num_codebooks: K, number of codebooks of the model.
        frame_rate: frames per second of the codec.
    Raises:
        ValueError: if arguments of a request exclude each other or do not fit the song.
    """
    bounded = (settings.min_seconds, settings.max_seconds) != (None, None)
    known = []
    for request, frames in zip(requests, expected, strict=True):
        edits = check_edits(request, bounded=bounded)
        if request["song"] is not None:
            codes, recorded = load(request["song"])
            visible = visible_codebooks(codes.shape, frame_rate=frame_rate, **edits)
            known.append(KnownSong(codes, visible, recorded, is_edit=True))
            continue
        prompt, recorded = None, None
        if request["audio_prompt"] is not None:
            prompt, recorded = load(request["audio_prompt"])
        done = 0 if prompt is None else prompt.shape[-1]
        new = settings.new_frames(request["seconds"], expected=frames - done, frame_rate=frame_rate)
        codes = torch.zeros(num_tracks, num_codebooks, done + new, dtype=torch.int64)
        visible = torch.zeros(num_tracks, done + new, dtype=torch.int64)
        if prompt is not None:
            codes[..., :done], visible[:, :done] = prompt, num_codebooks
        known.append(KnownSong(codes, visible, recorded))
    return known


class MaskedCodecMixin(TimestampsMixin):
    """Encodes and decodes the songs of a masked pipeline."""

    transformer: Any
    conditioner: Any
    codec: Any
    processor: Any
    _execution_device: torch.device
    vocal_extractor: Any
    codes_reader: Any = None
    """Function (path, codec=) -> codes [tracks, K, T] of a file of codes; None to read none."""

    @property
    def sampling_rate(self) -> int:
        """Sampling rate of the songs, in Hz."""
        return int(self.codec.config.sample_rate)

    @torch.no_grad()
    def encode(self, song: Any) -> Tensor:
        """Return the codes [N, K, T] of a song, on the CPU.

        Args:
            song: codes; a song dict of a pipeline, whose codes are used if it has any; or a
                recording, for models with two tracks (accompaniment, vocal) or a mapping with both.
        """
        return self._load_song(song)[0]

    def _load_song(self, song: Any) -> tuple[Tensor, list[Any] | None]:
        """The codes [N, K, T] of a song and, if there are any, its waveforms."""

        def encode(values: Tensor) -> Tensor:
            onload(self.codec)
            values = values.to(self._execution_device, dtype=self.codec.dtype)
            codes: Tensor = self.codec.encode(values, return_dict=False)
            return codes

        config = self.transformer.config
        return load_song(
            song,
            self.processor,
            encode,
            num_tracks=config.num_tracks,
            num_codebooks=config.num_codebooks,
            codebook_size=config.codebook_size,
            sampling_rate=self.sampling_rate,
            extract_vocal=self.vocal_extractor,
            read_codes=self.codes_reader and partial(self.codes_reader, codec=self.codec),
        )

    @property
    def _hop_length(self) -> int:
        return int(self.codec.config.hop_length)

    def _lyrics_attention(self, codes: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """The attention [T, P] of a song [N, K, T], of which all codes are visible."""
        device = self._execution_device
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        inputs["voice_values"] = inputs["voice_values"].to(self.conditioner.dtype)
        conditions, mask = encode_conditions(self.conditioner, inputs)
        codes = codes[None].to(device)
        visible = torch.full(codes[:, :, 0].shape, codes.shape[2], device=device)
        attention, _ = read_attention(
            self.transformer.layers,
            lambda: self.transformer(codes, visible, conditions, mask),
            steps=torch.arange(codes.shape[-1], device=device),
            mask=mask,
            num_lyrics=inputs["lyrics_ids"].shape[1],
            heads=None,
        )
        return attention

    @property
    def _networks(self) -> list[Any]:
        return [self.conditioner, self.transformer, self.codec]

    @property
    def _sizes(self) -> Any:
        return self.transformer.config

    @torch.no_grad()
    def _decode(self, codes: Tensor, raw: bool = False) -> dict[str, Any]:
        """Decode the codes [N, K, T] of one song to waveforms, float32 [1, samples]."""
        onload(self.codec)
        # One track at a time, so that a track that is kept has the same samples bit for bit.
        tracks = [
            self.codec.decode(track[None], return_dict=False)[0].float().cpu().numpy()
            for track in codes.to(self._execution_device)
        ]
        # A masked model writes no end-of-song code.
        rate = self.sampling_rate
        sounds = song_waveforms(tracks, rate, ended=[False] * len(tracks), raw=raw)
        return {**sounds, "sampling_rate": rate}


def onload(module: Any) -> None:
    """Move an offloaded part to its device before another method than ``forward`` is called."""
    hook: Any = getattr(module, "_hf_hook", None)
    if hasattr(hook, "pre_forward"):
        hook.pre_forward(module)


__all__ = ["MaskedCodecMixin", "conditions_of", "encode_conditions", "known_codes", "onload"]
