"""The pipeline of the task "text-to-song", which generates songs with an autoregressive model.

It batches and seeds requests and reports progress; the model and the processor do the rest. It
imports only the files beside it, with which it travels to the Hub as remote code of a checkpoint.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import Pipeline
from transformers.generation.streamers import BaseStreamer

from .adapters import load_adapters
from .best_of import best_songs, check_best_of
from .progress import ProgressBar, ProgressStreamer
from .song_edges import song_waveforms
from .song_requests import (
    EXACT_OR_BOUNDED,
    check_length,
    check_mode,
    check_seconds,
    check_settings,
    make_requests,
    prepare_inputs,
    separate_voices,
)
from .swapped_tracks import SURE_MARGIN, add_swap_margin

logger = logging.getLogger(__name__)


class TextToSongPipeline(Pipeline):
    """Pipeline that generates songs: ``pipeline("text-to-song", model=...)(text, lyrics=...)``.

    Generation settings such as ``guidance_scale``, ``temperature``, ``top_k`` and ``do_sample`` can
    be given to the constructor or to a call; those of the call have precedence.

    ``pipeline("text-to-song")`` returns a :class:`MaskedSongPipeline` instead, which generates
    songs in a few steps, for a masked model, or for ``mode="masked"`` without a model.

    Args:
        adapter: LoRA adapters to use, see :func:`load_adapters`.
        mode: must be "autoregressive".
        voice_separator: function that removes the accompaniment from reference voices, as
            ``checkpoints.separators.separate_voice``, which pipelines have that songgen-hf loads;
            None for a pipeline that cannot.
        take_listener: function that scores the takes of ``best_of``, as
            ``checkpoints.take_listeners.take_listener``, which pipelines have that songgen-hf
            loads; None for a pipeline that cannot.
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
        voice_separator: Callable[..., tuple[Any, float]] | None = None,
        take_listener: Callable[..., Any] | None = None,
        **kwargs: Any,
    ):
        if check_mode(mode) != self.mode:
            raise ValueError(
                "TextToSongPipeline is for autoregressive models: use MaskedSongPipeline for "
                "masked ones (pip install 'songgen-hf[diffusers]')"
            )
        if isinstance(kwargs.get("model"), partial):  # of pipeline(pipeline_class=...)
            kwargs["model"] = kwargs["model"]()
        super().__init__(*args, **kwargs)
        self.voice_separator = voice_separator
        self.take_listener = take_listener
        if self.processor is None:
            raise ValueError(
                "TextToSongPipeline needs a processor: got None; "
                "pass processor=AutoProcessor.from_pretrained(...)"
            )
        # The base class sets the pad id of the text tokenizer, but the model has its own.
        self._generation_defaults.pop("pad_token_id", None)
        if getattr(self.model.config, "trained", True) is False:
            logger.warning(
                "This model is untrained: its weights are seeded random numbers, songs are noise."
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
        separate_voice: Any = False,
        audio_prompt: Any = None,
        language: Any = "en",
        seconds: Any = None,
        negative_text: Any = None,
        seed: int | list[int] | None = None,
        best_of: int | None = None,
        rank_by: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate one song or several songs.

        Args:
            text: style description; or a request dict with the key ``text`` and any of the next
                eight arguments and ``seed``, which have precedence over those of the call; or a
                list, generator or dataset of either. With a list of inputs, the next eight
                arguments can be lists of the same length.
            lyrics: lyrics of the song.
            reference_voice: recording of the voice that the song should have: a path, bytes,
                (array, sampling rate in Hz) or a dict in the form of the datasets library.
            voice_start: position, in seconds, at which the used part of the reference voice begins.
            separate_voice: whether the accompaniment is removed from the reference voice: False or
                "never"; "auto" if voice and accompaniment are both audible in the used part; True
                or "always"; or the name of a separator to use in any case: "mini" (the network of
                songgen-hf, which "auto" and True use), a Demucs model or the folder of a separator.
            audio_prompt: beginning of the song to continue, in the forms of ``reference_voice``;
                for models with two tracks a dict of these with the keys ``vocal`` and
                ``accompaniment``, or the tuple (accompaniment, vocal).
            language: code of the language of the lyrics.
            seconds: exact length to generate, in seconds, without the audio prompt; None for the
                length at which the model ends the song.
            negative_text: description that guidance leads away from; needs a ``guidance_scale``.
            seed: seed of the first song. Song ``j`` of input ``i`` is sampled with the seed
                ``seed + i * num_return_sequences + j``; a list holds one seed for each input.
                Without a seed, one is drawn from the operating system.
            max_seconds: largest length to generate, in seconds, without the audio prompt; None for
                the longest song of the model, the audio prompt included.
            min_seconds: smallest length to generate, in seconds, without the audio prompt.
            best_of: number of takes to generate of each input, with consecutive seeds. The one that
                listeners rank first is returned, with all takes, best first, under ``takes``.
            rank_by: the listener that ranks the takes, or a list: "recognizer-mini" (the default)
                or the folder or Hub id of a phoneme recognizer, a Whisper or a CLAP model.
            num_return_sequences: number of songs for each input.
            batch_size: number of inputs that are generated together, with ``best_of`` of takes; the
                songs do not depend on it.
            raw: whether to return the samples as they were decoded. Otherwise songs begin and end
                without a click: the first 5 ms fade in, and the last 5 ms fade out, or the last
                30 ms of a song that was cut at its longest length. The codes are the same.
            progress: True for a progress bar, or a function that is called with (number of steps
                done, total number or None).
            streamer: a streamer of transformers that gets the generated ids.
            guidance_scale: weight of the conditions against empty ones: a number, 1 for no
                guidance; two numbers, those of the first and the last step; or a dict with the
                weights of "text", "lyrics" and "voice", each a number or two. Each number that
                differs costs a row of the batch, see docs/control.md.
            guidance_schedule: "linear" or "cosine", how a weight moves between two numbers.
            guidance_interval: (start, end), the shares of the longest song, from 0 to 1, between
                which guidance is on.
            kwargs: generation settings.
        Returns:
            For one input a dict with ``audio`` (float32 [channels, samples]), ``sampling_rate`` in
            Hz, ``vocal`` and ``accompaniment`` (in the form of ``audio``; None unless the model has
            two tracks), ``seed`` and ``codes`` (int64 [tracks, codebooks, frames]; frames after the
            end of a track hold special ids), or a list of such dicts for ``num_return_sequences`` >
            1. With ``best_of`` a song has ``score``, its ``score_parts``, and ``takes``. For a list
            of inputs a list of these; for a generator or dataset an iterator.
        Raises:
            ValueError: for unknown request keys, lists of different lengths, a seed or duration out
                of range, or unknown listeners.
            TypeError: if a text or lyrics are not a string, or if a seed is not an integer.
        """
        shared = {
            "lyrics": lyrics,
            "reference_voice": reference_voice,
            "voice_start": voice_start,
            "separate_voice": separate_voice,
            "audio_prompt": audio_prompt,
            "language": language,
            "seconds": seconds,
            "negative_text": negative_text,
        }
        check_settings(kwargs)
        check_length(None, kwargs.get("min_seconds"), kwargs.get("max_seconds"))
        if isinstance(text, list | tuple) and not text:
            return []
        count = self._num_return_sequences(kwargs)
        check_best_of(best_of, rank_by, count)
        requests = make_requests(text, shared, seed, best_of or count)
        generate = super().__call__
        if best_of is None:
            return generate(requests, **kwargs)
        batch_size = kwargs.pop("batch_size", None) or self._batch_size
        kwargs.pop("num_return_sequences", None)

        def draw(part: list[dict[str, Any]], takes: int) -> list[list[dict[str, Any]]]:
            numbers = {"num_return_sequences": takes, "batch_size": len(part)}
            songs = generate(part, **kwargs, **numbers, keep_margin=True)
            return [[one] if takes == 1 else one for one in songs]

        return best_songs(
            requests,
            draw,
            best_of=best_of,
            rank_by=rank_by,
            batch_size=batch_size,
            take_listener=self.take_listener,
        )

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """Save model and processor for ``pipeline("text-to-song", model=save_directory)``."""
        self.model.save_pretrained(save_directory, save_original_format=False, **kwargs)
        self.processor.save_pretrained(save_directory)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        kwargs.pop("local_files_only", None)
        own = {"keep_margin": kwargs.pop("keep_margin")} if "keep_margin" in kwargs else {}
        return {}, kwargs, own

    def preprocess(self, request: Any, **_: Any) -> dict[str, Any]:
        """Wrap a request in a dict, so that a batch of requests is collated to a list."""
        return {"request": request}

    def _forward(
        self,
        model_inputs: dict[str, Any],
        *,
        max_seconds: float | None = None,
        min_seconds: float | None = None,
        raw: bool = False,
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
            own = self._with_length(settings, group[0]["seconds"])
            generated = self._generate(group, prompt_codes, own, progress, streamer, raw)
            for index, input_songs in zip(indices, generated, strict=True):
                songs[index] = input_songs
        return {"songs": songs if batched else songs[0]}

    def postprocess(
        self, model_outputs: dict[str, Any], *, keep_margin: bool = False, **_: Any
    ) -> Any:
        """Return the song of an input, or the list of its songs if there are several."""
        songs = model_outputs["songs"]
        for song in songs:
            if not keep_margin and song.pop("swap_margin", 0.0) > SURE_MARGIN:
                logger.warning(
                    "The song of seed %s has its voice in the accompaniment instead of the vocal "
                    "track: try another seed.",
                    song["seed"],
                )
        return songs[0] if len(songs) == 1 else songs

    def _generate(
        self,
        requests: list[dict[str, Any]],
        prompt_codes: torch.Tensor | None,
        settings: dict[str, Any],
        progress: bool | Callable[[int, int | None], None],
        streamer: BaseStreamer | None,
        raw: bool,
    ) -> list[list[dict[str, Any]]]:
        """Generate the songs of requests whose audio prompts have the same length."""
        requests = separate_voices(requests, self.voice_separator, self.processor.voice_seconds)
        inputs = prepare_inputs(self.processor, requests).to(self.device, dtype=self.dtype)
        if prompt_codes is not None:
            inputs["audio_prompt_codes"] = prompt_codes.to(self.device)

        num_songs = self._num_return_sequences(settings)
        seeds = [request["seed"] + j for request in requests for j in range(num_songs)]
        reporter = self._reporter(progress, streamer, settings, prompt_codes)
        if reporter is not None:
            settings = {**settings, "streamer": reporter}
        # Songs are sampled with their seeds, but generate() still draws from the global generator.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            codes = self.model.generate(**inputs, seed=seeds, **settings)
        sound = self.model.decode_codes(codes)

        rate = int(self.model.config.sampling_rate)
        tracks = [(sound.waveform, sound.lengths)]
        if sound.vocal is not None:
            tracks = [
                (sound.accompaniment, sound.accompaniment_lengths),
                (sound.vocal, sound.vocal_lengths),
            ]
        ended = (codes >= self.model.config.decoder.codebook_size).any(dim=-1).any(dim=-1)
        songs = []
        for row, seed in enumerate(seeds):
            waveforms = [_track(waveform, lengths, row) for waveform, lengths in tracks]
            song = {
                **song_waveforms(waveforms, rate, ended=ended[row].tolist(), raw=raw),
                "sampling_rate": rate,
                "seed": seed,
                "codes": codes[row].cpu().numpy(),
            }
            songs.append(song)
            if (voices := inputs.get("voice_values")) is not None:
                voice = voices[row // num_songs]
                add_swap_margin(song, self.model, self.processor, voice)
        return [songs[i : i + num_songs] for i in range(0, len(songs), num_songs)]

    def _groups(
        self, requests: list[dict[str, Any]]
    ) -> Iterator[tuple[list[int], list[dict[str, Any]], torch.Tensor | None]]:
        """Split a batch into groups of one length and audio prompts of one length.

        Yields (indices of the requests, requests, prompt codes [B, tracks, K, S] or None).
        """
        groups: dict[tuple[int, Any], list[int]] = {}  # an audio prompt cannot be padded
        prompts: list[torch.Tensor | None] = []
        for index, request in enumerate(requests):
            check_seconds("seconds", request["seconds"])
            prompt = self._encode_prompt(request["audio_prompt"])
            prompts.append(prompt)
            length = 0 if prompt is None else prompt.shape[-1]
            groups.setdefault((length, request["seconds"]), []).append(index)
        for indices in groups.values():
            codes = [prompt for i in indices if (prompt := prompts[i]) is not None]
            yield indices, [requests[i] for i in indices], torch.cat(codes) if codes else None

    def _encode_prompt(self, audio_prompt: Any) -> torch.Tensor | None:
        """Encode an audio prompt as codes [1, tracks, K, S]; None if it has no whole frame."""
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

    def _num_return_sequences(self, settings: Mapping[str, Any]) -> int:
        """Return the number of songs for each input with these settings."""
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

    def _with_length(self, settings: dict[str, Any], seconds: Any) -> dict[str, Any]:
        """Return the settings of songs of an exact length in seconds; None for any length."""
        if seconds is None:
            return settings
        bounds = ("min_new_frames", "max_new_frames")
        if any(bound in settings for bound in bounds):
            raise ValueError(EXACT_OR_BOUNDED)
        return {**settings, **dict.fromkeys(bounds, self._frames("seconds", seconds))}

    def _frames(self, name: str, seconds: float) -> int:
        """Return the number of codec frames of a duration in seconds, at least one."""
        check_seconds(name, seconds)
        return max(1, round(seconds * self.model.config.frame_rate))

    def _reporter(
        self,
        progress: bool | Callable[[int, int | None], None],
        streamer: BaseStreamer | None,
        settings: Mapping[str, Any],
        prompt_codes: torch.Tensor | None,
    ) -> BaseStreamer | None:
        """Return the streamer of the call, wrapped in one that reports progress if requested."""
        if progress is False or progress is None:
            return streamer
        total = None
        if (frames := settings.get("max_new_frames")) is not None:
            prompt_frames = 0 if prompt_codes is None else prompt_codes.shape[-1]
            total = self.model.config.decoder.pattern.num_steps(prompt_frames + frames)
        if callable(progress):
            return ProgressStreamer(progress, total=total, streamer=streamer)
        return ProgressBar(total=total, streamer=streamer)


def _track(waveform: Any, lengths: Any, row: int) -> np.ndarray:
    """Return a row of a waveform [B, 1, S], cut to its length: float32 [1, samples]."""
    return waveform[row, :, : int(lengths[row])].float().cpu().numpy()


__all__ = ["TextToSongPipeline"]
