"""The task "text-to-song": a description, lyrics and a voice in, a waveform out.

Knows how requests are batched, seeded and reported. It asks the model and the processor for
everything else, and imports nothing of this package, so that the file can travel to the Hub with a
checkpoint.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from transformers import Pipeline
from transformers.generation.streamers import BaseStreamer

from .adapters import load_adapters
from .progress import ProgressBar, ProgressStreamer
from .song_requests import (
    check_mode,
    lazy_requests,
    make_request,
    one_each,
    one_seed_each,
    processed,
)

logger = logging.getLogger(__name__)


class TextToSongPipeline(Pipeline):
    """Sing: ``pipeline("text-to-song", model=...)(text, lyrics=...)``.

    Generation settings (``guidance_scale``, ``temperature``, ``top_k``, ``do_sample``, ...) can be
    given to the constructor or to a call, which wins.

    With a masked model, or ``mode="masked"`` for the package's own, ``pipeline("text-to-song")``
    is a :class:`MaskedSongPipeline`, which sings in a few steps.

    Args:
        adapter: LoRA adapters to sing with, see :func:`load_adapters`.
        mode: "autoregressive", or "masked".
    """

    mode = "autoregressive"

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False
    _load_video_processor = False
    _pipeline_calls_generate = True

    def __init__(
        self,
        *args: Any,
        adapter: str | Mapping[str, float] | None = None,
        mode: str = "autoregressive",
        **kwargs: Any,
    ):
        if check_mode(mode) != self.mode:
            raise ValueError(
                "TextToSongPipeline is for autoregressive models: use MaskedSongPipeline for "
                "masked ones (pip install 'songgen-hf[diffusers]')"
            )
        super().__init__(*args, **kwargs)
        if self.processor is None:
            raise ValueError(
                "TextToSongPipeline needs a processor: got None; "
                "pass processor=AutoProcessor.from_pretrained(...)"
            )
        # The base class offers the text tokenizer's pad id as a default; the model pads with its
        # own.
        self._generation_defaults.pop("pad_token_id", None)
        if getattr(self.model.config, "trained", True) is False:
            logger.warning(
                "This model is untrained: its weights are seeded random numbers, the song is noise."
            )
        if adapter is not None:
            load_adapters(self.model, adapter)

    def __call__(
        self,
        text: Any,
        lyrics: Any = None,
        *,
        reference_voice: Any = None,
        voice_start: Any = 0.0,
        audio_prompt: Any = None,
        language: Any = "en",
        seed: int | list[int] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Sing one song or many.

        Args:
            text: style description, or a request dict: the key ``text`` and any of this call's next
                five arguments and ``seed``, which win over this call's; or a list, generator or
                dataset of either. With a list of inputs, the next five arguments can be lists of
                the same length.
            lyrics: words to sing.
            reference_voice: voice to sing with: a path, bytes, (array, rate in Hz) or a dict as the
                datasets library gives.
            voice_start: the second at which the used part of the reference voice begins.
            audio_prompt: beginning of the song to continue, in the forms of ``reference_voice``;
                for two-track models a dict of these with the keys ``vocal`` and
                ``accompaniment``, or the tuple (accompaniment, vocal).
            language: language of the lyrics.
            seed: where sampling starts. Song ``j`` of input ``i`` uses
                ``seed + i * num_return_sequences + j``; a list has one seed an input. Without one,
                a seed is drawn from the operating system and reported.
            max_seconds: longest song, in seconds, the audio prompt excluded.
            min_seconds: shortest song, likewise.
            num_return_sequences: songs for each input.
            batch_size: inputs sung at once; it does not change any song's sampling.
            progress: True for a progress bar, or a function called with (steps done, steps in all
                or None).
            streamer: a transformers streamer that is fed while the song is sung.
            kwargs: generation settings.
        Returns:
            For one input a dict with ``audio`` (float32 [channels, samples]), ``sampling_rate`` in
            Hz, ``vocal`` and ``accompaniment`` (as ``audio``; None unless the model writes two
            tracks), ``seed`` and ``codes`` (int64 [tracks, codebooks, frames] as sung; frames after
            a track's end hold ids that are no codes); a list of them for ``num_return_sequences`` >
            1. For a list of inputs a list of these; for a generator or dataset an iterator.
        Raises:
            ValueError: for unknown request keys, lists of different lengths, or a seed or duration
                out of range.
            TypeError: for a text or lyrics that is no string, or a seed that is no integer.
        """
        shared = {
            "lyrics": lyrics,
            "reference_voice": reference_voice,
            "voice_start": voice_start,
            "audio_prompt": audio_prompt,
            "language": language,
        }
        songs_each = self._songs_each(kwargs)
        if isinstance(text, str | Mapping):
            seeds = one_seed_each(seed, 1, songs_each)
            return super().__call__(make_request(text, shared, seeds[0]), **kwargs)
        if isinstance(text, list | tuple):
            if not text:
                return []
            columns = {name: one_each(name, value, len(text)) for name, value in shared.items()}
            seeds = one_seed_each(seed, len(text), songs_each)
            requests = [
                make_request(item, {name: column[i] for name, column in columns.items()}, seeds[i])
                for i, item in enumerate(text)
            ]
            return super().__call__(requests, **kwargs)
        if isinstance(text, Iterable) or hasattr(text, "__getitem__"):
            return super().__call__(lazy_requests(text, shared, seed, songs_each), **kwargs)
        raise TypeError(
            "text must be a string, a request dict, or a list, generator or dataset of them: "
            f"got {type(text).__name__}"
        )

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """Write model and processor, for ``pipeline("text-to-song", model=save_directory)``."""
        self.model.save_pretrained(save_directory, save_original_format=False, **kwargs)
        self.processor.save_pretrained(save_directory)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        kwargs.pop("local_files_only", None)
        return {}, kwargs, {}

    def preprocess(self, request: Any, **_: Any) -> dict[str, Any]:
        """Wrap a request, so that a batch of requests collates to a list of them."""
        return {"request": request}

    def _forward(
        self,
        model_inputs: dict[str, Any],
        *,
        max_seconds: float | None = None,
        min_seconds: float | None = None,
        progress: bool | Callable[[int, int | None], None] = False,
        streamer: BaseStreamer | None = None,
        **generate_kwargs: Any,
    ) -> dict[str, Any]:
        requests = model_inputs["request"]
        batched = isinstance(requests, list)
        settings = self._prepare_generate_kwargs(generate_kwargs)
        for bound, seconds in (("max", max_seconds), ("min", min_seconds)):
            if seconds is None:
                continue
            if f"{bound}_new_frames" in settings:
                raise ValueError(
                    f"{bound}_seconds and {bound}_new_frames were both given: "
                    "they say the same; give one"
                )
            settings[f"{bound}_new_frames"] = self._frames(f"{bound}_seconds", seconds)

        songs: list[list[dict[str, Any]]] = [[] for _ in requests] if batched else [[]]
        for indices, group, prompt_codes in self._groups(requests if batched else [requests]):
            sung = self._sing(group, prompt_codes, settings, progress, streamer)
            for index, its_songs in zip(indices, sung, strict=True):
                songs[index] = its_songs
        return {"songs": songs if batched else songs[0]}

    def postprocess(self, model_outputs: dict[str, Any], **_: Any) -> Any:
        """The song, or the list of songs if several were asked for."""
        songs = model_outputs["songs"]
        return songs[0] if len(songs) == 1 else songs

    def _sing(
        self,
        requests: list[dict[str, Any]],
        prompt_codes: torch.Tensor | None,
        settings: dict[str, Any],
        progress: bool | Callable[[int, int | None], None],
        streamer: BaseStreamer | None,
    ) -> list[list[dict[str, Any]]]:
        """Songs of requests whose audio prompts are of one length, in their order."""
        inputs = processed(self.processor, requests).to(self.device, dtype=self.dtype)
        if prompt_codes is not None:
            inputs["audio_prompt_codes"] = prompt_codes.to(self.device)

        songs_each = self._songs_each(settings)
        seeds = [request["seed"] + j for request in requests for j in range(songs_each)]
        reporter = self._reporter(progress, streamer, settings, prompt_codes)
        if reporter is not None:
            settings = {**settings, "streamer": reporter}
        # Songs draw from their seeds; the library's loop still consumes the global stream.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            codes = self.model.generate(**inputs, seed=seeds, **settings)
        sound = self.model.decode_codes(codes)

        songs = []
        for row, seed in enumerate(seeds):
            song = {
                "audio": _track(sound.waveform, sound.lengths, row),
                "sampling_rate": int(self.model.config.sampling_rate),
                "vocal": _track(sound.vocal, sound.vocal_lengths, row),
                "accompaniment": _track(sound.accompaniment, sound.accompaniment_lengths, row),
                "seed": seed,
                "codes": codes[row].cpu().numpy(),
            }
            songs.append(song)
        return [songs[i : i + songs_each] for i in range(0, len(songs), songs_each)]

    def _groups(
        self, requests: list[dict[str, Any]]
    ) -> Iterator[tuple[list[int], list[dict[str, Any]], torch.Tensor | None]]:
        """Split a batch by the audio prompts' lengths: no prompt is padded to a batch mate's."""
        groups: dict[int, list[int]] = {}
        prompts: list[torch.Tensor | None] = []
        for index, request in enumerate(requests):
            prompt = self._encode_prompt(request["audio_prompt"])
            prompts.append(prompt)
            length = 0 if prompt is None else prompt.shape[-1]
            groups.setdefault(length, []).append(index)
        for indices in groups.values():
            codes = [prompt for i in indices if (prompt := prompts[i]) is not None]
            yield indices, [requests[i] for i in indices], torch.cat(codes) if codes else None

    def _encode_prompt(self, audio_prompt: Any) -> torch.Tensor | None:
        """Codes [1, tracks, K, S] of the audio to continue; None if it has no whole frame."""
        if audio_prompt is None:
            return None
        if isinstance(audio_prompt, Mapping) and audio_prompt.keys() == {"vocal", "accompaniment"}:
            audio_prompt = (audio_prompt["accompaniment"], audio_prompt["vocal"])
        features = self.processor(audio=[audio_prompt], return_tensors="pt")
        codes = self.model.encode_audio(
            features["input_values"].to(self.device, dtype=self.dtype),
            padding_mask=features["padding_mask"].to(self.device),
        )
        return codes if codes.shape[-1] > 0 else None

    def _songs_each(self, settings: Mapping[str, Any]) -> int:
        """Songs for each input under these settings."""
        value = settings.get(
            "num_return_sequences", self._generate_kwargs.get("num_return_sequences")
        )
        if value is None:
            config = settings.get("generation_config") or self.model.generation_config
            value = config.num_return_sequences
        value = 1 if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"num_return_sequences must be an integer of at least 1: got {value!r}"
            )
        return value

    def _frames(self, name: str, seconds: float) -> int:
        """Codec frames of a duration in seconds, at least one."""
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(f"{name} must be a number of seconds: got {seconds!r}")
        if not 0 < seconds < float("inf"):
            raise ValueError(f"{name} must be above 0 and finite: got {seconds!r}")
        return max(1, round(seconds * self.model.config.frame_rate))

    def _reporter(
        self,
        progress: bool | Callable[[int, int | None], None],
        streamer: BaseStreamer | None,
        settings: Mapping[str, Any],
        prompt_codes: torch.Tensor | None,
    ) -> BaseStreamer | None:
        """The caller's streamer, wrapped in one that reports progress if that is asked for."""
        if progress is False or progress is None:
            return streamer
        total = None
        if (frames := settings.get("max_new_frames")) is not None:
            prompt_frames = 0 if prompt_codes is None else prompt_codes.shape[-1]
            total = self.model.config.decoder.pattern.num_steps(prompt_frames + frames)
        if callable(progress):
            return ProgressStreamer(progress, total=total, streamer=streamer)
        return ProgressBar(total=total, streamer=streamer)


def _track(
    waveform: torch.Tensor | None, lengths: torch.Tensor | None, row: int
) -> np.ndarray | None:
    """Row of a waveform [B, 1, S], cut to its length: float32 [1, samples]; None for None."""
    if waveform is None:
        return None
    length = waveform.shape[-1] if lengths is None else int(lengths[row])
    return waveform[row, :, :length].float().cpu().numpy()


__all__ = ["TextToSongPipeline"]
