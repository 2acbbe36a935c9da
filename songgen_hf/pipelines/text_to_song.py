"""The pipeline of the task "text-to-song", which generates songs with an autoregressive model.

It batches and seeds requests and reports progress; the model and the processor do the rest. It
imports only the files beside it, with which it travels to the Hub as remote code of a checkpoint.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import Pipeline
from transformers.generation.streamers import BaseStreamer

from .adapters import load_adapters
from .best_of import check_best_of
from .editing import KnownSong
from .known_songs import KnownSongsMixin
from .progress import ProgressBar, ProgressStreamer
from .redo_section import RedoSectionMixin
from .song import Song
from .song_requests import (
    check_length,
    check_mode,
    check_settings,
    make_requests,
    plain,
    prepare_inputs,
    seed_after,
    separate_voices,
)
from .swapped_tracks import SURE_MARGIN
from .takes import best_take, check_ranked, check_takes, number_of_takes, take_score
from .timestamps import check_timestamps, sung_whole

logger = logging.getLogger(__name__)


class TextToSongPipeline(RedoSectionMixin, KnownSongsMixin, Pipeline):
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
        text: Any = "",
        lyrics: Any = None,
        *,
        reference_voice: Any = None,
        voice_start: Any = 0.0,
        separate_voice: Any = False,
        audio_prompt: Any = None,
        language: Any = "en",
        seconds: Any = None,
        negative_text: Any = None,
        song: Any = None,
        regions: Any = None,
        keep_track: Any = None,
        keep_codebooks: Any = 0,
        seed: int | list[int] | None = None,
        best_of: int | None = None,
        best_of_by: str = "song",
        rank_by: str | Sequence[str] | None = None,
        timestamps: bool = False,
        retries: int = 0,
        **kwargs: Any,
    ) -> Any:
        """Generate one song or several songs, or generate parts of a ``song`` again.

        What an edit keeps is returned bit for bit, as codes and, outside of the crossfades of 20 ms
        at the edges of what is new, as the samples of ``song``. Text and lyrics are those of the
        whole song.

        Args:
            text: style description; or a request dict with the key ``text``, any of the arguments
                up to ``keep_codebooks`` and ``seed``, which have precedence over those of the call;
                or a list, generator or dataset of either. With a list of inputs, the arguments
                ``lyrics`` to ``keep_codebooks`` can be lists of the same length (the ``regions`` of
                one song are then a tuple of tuples).
            lyrics: lyrics of the song.
            reference_voice: recording of the voice that the song should have: a path, bytes,
                (array, sampling rate in Hz), a dict in the form of the datasets library, or a song
                of a pipeline, whose vocal is the voice if it has one.
            voice_start: position, in seconds, at which the used part of the reference voice begins.
            separate_voice: whether the accompaniment is removed from the reference voice: False or
                "never"; "auto" if voice and accompaniment are both audible in the used part; True
                or "always"; or the name of a separator to use in any case: "mini" (the network of
                songgen-hf, which "auto" and True use), a Demucs model or the folder of a separator.
            audio_prompt: beginning of the song to continue, in the forms of ``reference_voice``;
                for models with two tracks also a dict of these with the keys ``vocal`` and
                ``accompaniment``, or the tuple (accompaniment, vocal), while one recording is
                separated, in pipelines that songgen-hf loads; or a song dict of a pipeline, or
                codes [tracks, codebooks, frames], which are kept, or the path of their .npz file in
                pipelines that songgen-hf loads.
            language: code of the language of the lyrics.
            seconds: exact length to generate, in seconds, without the audio prompt; None for the
                length at which the model ends the song.
            negative_text: description that guidance leads away from; needs a ``guidance_scale``.
            song: a song to edit, in the forms of ``audio_prompt``. Its length stays.
            regions: (start, end) in seconds of a region of ``song`` to generate again, or a tuple
                or list of regions; an end of None is the end of the song. None for the whole song.
            keep_track: track of ``song`` to keep, "accompaniment" or "vocal", while the other one
                is generated to it.
            keep_codebooks: number of coarse codebooks to keep in what is generated again.
            seed: seed of the first song. Song ``j`` of input ``i`` is sampled with the seed
                ``seed + i * num_return_sequences + j``; a list holds one seed for each input.
                Without a seed, one is drawn from the operating system.
            max_seconds: largest length to generate, in seconds, without the audio prompt; None for
                the longest song of the model, the audio prompt included.
            min_seconds: smallest length to generate, in seconds, without the audio prompt.
            best_of: number of takes to generate of each input, with consecutive seeds. The one that
                listeners rank first is returned, with all takes, best first, under ``takes``.
            best_of_by: "song", or "line": takes of each line continue the lines that were kept;
                the song has their scores under ``line_takes``.
            rank_by: the listener that ranks the takes, or a list: "recognizer-mini" (the default)
                or the folder or Hub id of a phoneme recognizer, a Whisper or a CLAP model.
            timestamps: whether songs have ``words``, ``lines`` and ``coverage``, read from the
                attention to the lyrics in one more run of the model; warns of skipped and repeated
                words. Not with streaming.
            retries: how often a song that sings less than 80 % of its letters is generated again,
                with the seeds after its own; the one that sings most is returned. With
                ``check_tracks`` also one with ``misplaced_seconds`` above 0.5, whose share of the
                song is subtracted from that of the letters.
            check_tracks: whether the codes of the tracks are exchanged where voice and instruments
                have changed places, see ``put_tracks_in_place``; not in edits and with streaming.
                A song of two tracks has ``exchanged`` and ``misplaced_seconds``, for how long the
                vocal still has instruments or the accompaniment sings.
            takes: number of times that an edit is generated, with consecutive seeds; the one after
                which the model finds the kept codes most probable is returned, with the others
                under ``takes``. By default 4 if a region is followed by kept codes, else 1.
            num_return_sequences: number of songs for each input.
            batch_size: number of inputs that are generated together, with ``best_of`` of takes; the
                songs do not depend on it.
            raw: whether to return the samples as they were decoded. Otherwise songs begin and end
                without a click: the first 5 ms fade in, and the last 5 ms fade out, or the last
                30 ms of a song that was cut at its longest length; and what is kept of a recording
                has its samples. The codes are the same.
            progress: True for a progress bar, or a function that is called with (number of steps
                done, total number or None).
            compile: whether the steps of the decoder are compiled. The first song then waits for
                the compiler; see docs/speed.md.
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
            For one input a :class:`Song`, a dict with ``audio`` (float32 [channels, samples]),
            ``sampling_rate`` in Hz, ``vocal`` and ``accompaniment`` (in the form of ``audio``; None
            unless the model has two tracks), ``seed`` and ``codes`` (int64 [tracks, codebooks,
            frames]; frames after the end of a track hold special ids), or a list of songs for
            ``num_return_sequences`` > 1. With ``best_of`` a song has ``score``, its
            ``score_parts``, and ``takes``. For a list of inputs a list of these; for a generator or
            dataset an iterator.
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
            "song": song,
            "regions": regions,
            "keep_track": keep_track,
            "keep_codebooks": keep_codebooks,
        }
        kwargs = {name: plain(value) for name, value in kwargs.items()}
        best_of, retries = plain(best_of), plain(retries)
        check_settings(kwargs)
        check_length(None, kwargs.get("min_seconds"), kwargs.get("max_seconds"))
        if isinstance(text, list | tuple) and not text:
            return []
        count = self._num_return_sequences(kwargs)
        check_best_of(best_of, rank_by, count, best_of_by)
        takes = kwargs.get("takes")
        check_takes(takes, best_of or count)
        if best_of is not None and kwargs.pop("takes", None) is not None:
            raise ValueError("takes and best_of were both given: both rank takes; give one")
        requests = make_requests(text, shared, seed, best_of or takes or count)
        check_timestamps(timestamps, retries, best_of, count)
        if timestamps or retries:
            kwargs["timestamps"] = timestamps = True
        generate = super().__call__
        if best_of is None:
            songs = partial(generate, **kwargs)
            return sung_whole(requests, songs, retries) if timestamps else songs(requests)
        batch_size = kwargs.pop("batch_size", None) or self._batch_size
        kwargs.pop("num_return_sequences", None)

        def draw(part: list[dict[str, Any]], takes: int, **own: Any) -> list[list[dict[str, Any]]]:
            numbers = {"num_return_sequences": takes, "batch_size": len(part), "takes": 1}
            songs = generate(part, **{**kwargs, **numbers, **own}, keep_margin=True)
            return [[one] if takes == 1 else one for one in songs]

        return self._best_of(
            requests,
            draw,
            best_of=best_of,
            best_of_by=best_of_by,
            rank_by=rank_by,
            batch_size=batch_size,
            device=self.device,
            timestamps=timestamps,
            max_seconds=kwargs.get("max_seconds"),
            min_seconds=kwargs.get("min_seconds"),
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

    def _ensure_tensor_on_device(self, inputs: Any, device: Any) -> Any:
        """Return requests and songs unchanged; the base class would copy songs to plain dicts."""
        return inputs

    def _forward(
        self,
        model_inputs: dict[str, Any],
        *,
        max_seconds: float | None = None,
        min_seconds: float | None = None,
        takes: int | None = None,
        raw: bool = False,
        timestamps: bool = False,
        check_tracks: bool = False,
        progress: bool | Callable[[int, int | None], None] = False,
        streamer: BaseStreamer | None = None,
        **generate_kwargs: Any,
    ) -> dict[str, Any]:
        requests = model_inputs["request"]
        batched = isinstance(requests, list)
        check_ranked(takes, requests if batched else [requests])
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
        for indices, group, known in self._groups(requests if batched else [requests]):
            own = self._with_length(settings, group[0]["seconds"], known[0])
            count = takes or 1
            if takes is None and self._num_return_sequences(settings) == 1:
                count = number_of_takes(known[0])
            if count > 1:
                own = {**own, "num_return_sequences": count}
            options = (raw, timestamps, check_tracks)
            generated = self._generate(group, known, own, progress, streamer, *options)
            if count > 1:
                generated = [[best_take(candidates)] for candidates in generated]
            for index, input_songs in zip(indices, generated, strict=True):
                songs[index] = input_songs
        return {"songs": songs if batched else songs[0]}

    def postprocess(
        self, model_outputs: dict[str, Any], *, keep_margin: bool = False, **_: Any
    ) -> Any:
        """Return the song of an input, or the list of its songs if there are several."""
        songs = model_outputs["songs"]
        for song in songs:
            if not keep_margin and "exchanged" in song:
                continue  # check_tracks has put the tracks in their places
            margin = self._swap_margin(song)
            if margin is None:
                continue
            if keep_margin:
                song["swap_margin"] = margin
            elif margin > SURE_MARGIN:
                logger.warning(
                    "The song of seed %s has its voice in the accompaniment instead of the vocal "
                    "track: give check_tracks=True (--check-tracks), or another seed.",
                    song["seed"],
                )
        return songs[0] if len(songs) == 1 else songs

    def _generate(
        self,
        requests: list[dict[str, Any]],
        known: list[KnownSong | None],
        settings: dict[str, Any],
        progress: bool | Callable[[int, int | None], None],
        streamer: BaseStreamer | None,
        raw: bool,
        timestamps: bool,
        check_tracks: bool,
    ) -> list[list[dict[str, Any]]]:
        """Generate the songs of requests of which as many frames are known."""
        requests = separate_voices(requests, self.voice_separator, self.processor.voice_seconds)
        inputs = prepare_inputs(self.processor, requests).to(self.device, dtype=self.dtype)
        given = [song for song in known if song is not None]
        if given:
            inputs["known_codes"] = torch.stack([song.codes_with(-1) for song in given])
            inputs["known_codes"] = inputs["known_codes"].to(self.device)

        num_songs = self._num_return_sequences(settings)
        seeds = [seed_after(request["seed"], j) for request in requests for j in range(num_songs)]
        beginning = given[0].beginning if given else 0
        reporter = self._reporter(progress, streamer, settings, beginning)
        if reporter is not None:
            settings = {**settings, "streamer": reporter}
        # Songs are sampled with their seeds, but generate() still draws from the global generator.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            codes = self.model.generate(**inputs, seed=seeds, **settings)
        hop_length = self.model.config.audio_encoder.hop_length
        songs: list[dict[str, Any]] = []
        for row, (seed, sounds) in enumerate(zip(seeds, self._waveforms(codes, raw), strict=True)):
            before = known[row // num_songs]
            if before is not None and not raw:
                sounds = before.keep_recorded(sounds, hop_length, self._decode)
            request = {**settings, **requests[row // num_songs]}
            if request["seconds"] is not None:  # the bounds follow from it
                request |= {"min_new_frames": None, "max_new_frames": None}
            content = {**sounds, "seed": seed, "codes": codes[row].cpu().numpy()}
            song = Song(content, request=request, model=self.model)
            songs.append(song)
            if check_tracks and (before is None or not before.is_edit):
                self._check_tracks(song, beginning, before, raw=raw)
                codes[row] = torch.as_tensor(song["codes"])
            own = {name: tensor[row // num_songs, None] for name, tensor in inputs.items()}
            if timestamps:
                request = requests[row // num_songs]
                self._add_timestamps(song, request, self._sung_frames(codes[row]), own)
            if before is not None and before.is_edit and num_songs > 1:
                song["score"] = take_score(self.model, codes[row, None], before, own)
        return [songs[i : i + num_songs] for i in range(0, len(songs), num_songs)]

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

    def _reporter(
        self,
        progress: bool | Callable[[int, int | None], None],
        streamer: BaseStreamer | None,
        settings: Mapping[str, Any],
        prompt_frames: int,
    ) -> BaseStreamer | None:
        """Return the streamer of the call, wrapped in one that reports progress if requested."""
        if progress is False or progress is None:
            return streamer
        total = None
        if (frames := settings.get("max_new_frames")) is not None:
            total = self.model.config.decoder.pattern.num_steps(prompt_frames + frames)
        if callable(progress):
            return ProgressStreamer(progress, total=total, streamer=streamer)
        return ProgressBar(total=total, streamer=streamer)


__all__ = ["TextToSongPipeline"]
