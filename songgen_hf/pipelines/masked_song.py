"""The pipeline of diffusers that generates and edits songs with a masked model in a few steps.

Masked generation (ResGen, arXiv 2412.10208) runs the transformer a fixed number of times, which
depends neither on the length of a song nor on the number of codebooks. Text, lyrics, voice and
codec are those of a SongGen checkpoint, and songs are returned as by :class:`TextToSongPipeline`.
Edits are expressed as a mask over codes, see ``editing.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..modeling.conditioning import SongGenConditioner
from ..modeling.guidance import check_course, check_negative, given_conditions

# Raises an ImportError with a remedy if diffusers is not installed.
from ..modeling.masked.model import MaskedSongModel, MaskedSongOutput
from ..modeling.masked.scheduler import MaskedRVQScheduler
from ..modeling.modeling_songgen import SongGenForConditionalGeneration
from ..modeling.modeling_xcodec import XCodecModel
from ..modeling.processing_songgen import SongGenProcessor
from .best_of import check_best_of
from .editing import pad_frames
from .masked_editing import MaskedCodecMixin, encode_conditions, known_codes, onload
from .masked_folders import MaskedFolderMixin
from .masked_settings import DEFAULT_STEPS, TENSORS, MaskedSettings
from .progress import step_counter
from .redo_section import RedoSectionMixin
from .song import Song
from .song_requests import make_requests, plain, prepare_inputs, seed_after, separate_voices
from .timestamps import check_timestamps, sung_whole

# isort: split
from diffusers import DiffusionPipeline


class MaskedSongPipeline(RedoSectionMixin, MaskedCodecMixin, MaskedFolderMixin, DiffusionPipeline):
    """Pipeline that generates songs in a few steps with a masked model, and edits songs.

    Args:
        transformer: model that predicts the hidden codes.
        scheduler: scheduler that determines which codes are revealed at each step.
        conditioner: text, lyrics and voice encoders of a SongGen model.
        codec: codec of the SongGen model.
        processor: processor of the SongGen model.
    """

    mode = "masked"
    voice_separator: Callable[..., tuple[Any, float]] | None = None  # as of TextToSongPipeline
    take_listener: Callable[..., Any] | None = None  # as of TextToSongPipeline
    model_cpu_offload_seq = "conditioner->transformer->codec"
    # Offloading layer by layer follows calls of forward only, and the codec is used otherwise.
    _exclude_from_cpu_offload = ["codec"]
    _callback_tensor_inputs = list(TENSORS)

    transformer: MaskedSongModel
    scheduler: MaskedRVQScheduler
    conditioner: SongGenConditioner
    codec: XCodecModel
    processor: SongGenProcessor

    def __init__(
        self,
        transformer: MaskedSongModel,
        scheduler: MaskedRVQScheduler,
        conditioner: SongGenConditioner,
        codec: XCodecModel,
        processor: SongGenProcessor,
    ):
        super().__init__()
        config: Any = conditioner.config
        width = config.decoder.hidden_size
        if transformer.config.condition_size != width:
            raise ValueError(
                f"the transformer reads conditions of width {transformer.config.condition_size}, "
                f"the conditioner makes {width}: use the SongGen checkpoint that it was trained on"
            )
        if not transformer.has_codebooks_of(codec):
            raise ValueError(
                "the transformer was made for another codec: use the one of the SongGen checkpoint "
                "that it was trained on, or transformer.set_codebooks(codec) before training"
            )
        self.register_modules(
            transformer=transformer,
            scheduler=scheduler,
            conditioner=conditioner,
            codec=codec,
            processor=processor,
        )

    @classmethod
    def from_song_model(
        cls,
        song_model: SongGenForConditionalGeneration,
        processor: SongGenProcessor,
        transformer: MaskedSongModel,
        scheduler: MaskedRVQScheduler | None = None,
    ) -> "MaskedSongPipeline":
        """Create a pipeline with the conditioner and codec of a SongGen model, without copies."""
        return cls(
            transformer=transformer,
            scheduler=MaskedRVQScheduler() if scheduler is None else scheduler,
            conditioner=song_model.conditioner,
            codec=song_model.audio_encoder,
            processor=processor,
        )

    def __call__(
        self,
        text: Any = "",
        lyrics: Any = None,
        *,
        reference_voice: Any = None,
        voice_start: Any = 0.0,
        separate_voice: Any = False,
        language: Any = "en",
        seconds: Any = None,
        max_seconds: float | None = None,
        min_seconds: float | None = None,
        audio_prompt: Any = None,
        song: Any = None,
        regions: Any = None,
        keep_track: Any = None,
        keep_codebooks: Any = 0,
        num_inference_steps: int = DEFAULT_STEPS,
        guidance_scale: float | Sequence[float] | Mapping[str, Any] | None = None,
        guidance_schedule: str | None = None,
        guidance_interval: Sequence[float] | None = None,
        negative_text: Any = None,
        temperature: float | None = None,
        top_p: float | None = None,
        reveal: str | None = None,
        schedule: str | None = None,
        seed: int | list[int] | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        best_of: int | None = None,
        best_of_by: str = "song",
        rank_by: str | Sequence[str] | None = None,
        num_return_sequences: int = 1,
        timestamps: bool = False,
        retries: int = 0,
        check_tracks: bool = False,
        batch_size: int | None = None,
        output_type: str = "audio",
        raw: bool = False,
        callback_on_step_end: Callable[..., dict[str, Any] | None] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = TENSORS,
        progress: bool | Callable[[int, int | None], None] = True,
    ) -> Any:
        """Generate one song or several songs, or generate parts of a ``song`` again.

        What an edit keeps is returned bit for bit, see :class:`TextToSongPipeline`.

        Args:
            text: style description; or a request dict with the key ``text``, any of the arguments
                that can be lists, and ``seed``; or a list, generator or dataset of either. With a
                list of inputs, the arguments ``lyrics`` to ``seconds``, ``audio_prompt`` and
                ``song`` to ``keep_codebooks`` can be lists of the same length (the ``regions`` of
                one song are then a tuple of tuples).
            lyrics: lyrics of the song.
            reference_voice: recording of a voice, in the forms of :class:`TextToSongPipeline`.
            voice_start: position, in seconds, at which the used part of the reference voice begins.
            separate_voice: as of :class:`TextToSongPipeline`.
            language: code of the language of the lyrics.
            seconds: exact length to generate, in seconds, without the audio prompt; None for the
                length that the model predicts.
            max_seconds: largest predicted length, without the audio prompt; None for 30.
            min_seconds: smallest predicted length, without the audio prompt.
            audio_prompt: beginning of the song to continue, in the forms of
                :class:`TextToSongPipeline`.
            song, regions, keep_track, keep_codebooks: as of :class:`TextToSongPipeline`.
            num_inference_steps: number of steps, with one run of the transformer each.
            guidance_scale, guidance_schedule, guidance_interval, negative_text: as of
                :class:`TextToSongPipeline`. None for the settings of the scheduler, as for the next
                four arguments.
            temperature: sampling temperature of the proposals; 0 takes the most probable ones.
            top_p: total probability of the most probable codes or components to propose from.
            reveal: "confidence" or "random".
            schedule: "circle", "cosine", "linear" or "exp".
            seed: seed of the first song, in the forms of :class:`TextToSongPipeline`.
            generator: random generator in place of a seed, or a list with one for each song: an
                unused one gives its own seed to the first song, other seeds are drawn from it.
            best_of, best_of_by, rank_by: as of :class:`TextToSongPipeline`.
            num_return_sequences: number of songs for each input.
            timestamps, retries, check_tracks: as of :class:`TextToSongPipeline`.
            batch_size: number of songs that are generated together; None for all. The songs do not
                depend on it.
            output_type: "audio", or "codes" to leave out the waveforms.
            raw: whether to return the samples as they were decoded. Otherwise songs begin and end
                without a click: the first 5 ms fade in, and the last 30 ms fade out. The codes are
                the same.
            callback_on_step_end: called as ``callback(pipeline, step, timestep, tensors)`` after
                each step; the tensors that it returns replace ``codes`` and ``visible``.
            callback_on_step_end_tensor_inputs: names of the tensors that the callback gets.
            progress: False for no progress bar, or a function that is called with (number of steps
                done, total number of steps).
        Returns:
            As :class:`TextToSongPipeline`: for one input a :class:`Song`, a dict with ``audio``
            (float32 [channels, samples]), ``sampling_rate`` in Hz, ``vocal`` and ``accompaniment``
            (None unless the model has two tracks), ``seed`` and ``codes`` (int64 [tracks,
            codebooks, frames]), or a list of songs for ``num_return_sequences`` > 1. With
            ``best_of`` a song has ``score``, its ``score_parts``, and ``takes``. For a list of
            inputs a list of these; for a generator or dataset an iterator.
        Raises:
            ValueError: for unknown request keys, lists of different lengths, a number out of range,
                or arguments that do not fit the song or the model.
            TypeError: for an argument of a wrong type.
        """
        scheduler = {
            "guidance_scale": guidance_scale,
            "guidance_schedule": guidance_schedule,
            "guidance_interval": guidance_interval,
            "temperature": temperature,
            "top_p": top_p,
            "reveal": reveal,
            "schedule": schedule,
        }
        counts = (best_of, retries, num_return_sequences)
        best_of, retries, num_return_sequences = map(plain, counts)
        check_best_of(best_of, rank_by, num_return_sequences, best_of_by)
        check_timestamps(timestamps, retries, best_of, num_return_sequences)
        if best_of is not None and (generator is not None or output_type != "audio"):
            raise ValueError(
                "best_of needs seeds and audio to rank: leave generator and output_type out"
            )
        settings = MaskedSettings(
            max_seconds=max_seconds,
            min_seconds=min_seconds,
            num_inference_steps=num_inference_steps,
            scheduler={name: value for name, value in scheduler.items() if value is not None},
            generator=generator,
            num_return_sequences=num_return_sequences,
            batch_size=batch_size,
            output_type=output_type,
            raw=raw,
            callback=callback_on_step_end,
            callback_tensors=callback_on_step_end_tensor_inputs,
            progress=progress,
            timestamps=timestamps or retries > 0,
            check_tracks=check_tracks,
        )
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
        if generator is not None:
            if seed is not None:
                raise ValueError("seed and generator were both given: give one")
            seed = 0  # replaced by that of the generator
        requests = make_requests(text, shared, seed, best_of or num_return_sequences)
        if best_of is not None:

            def draw(part: list[Any], takes: int, **own: Any) -> list[list[dict[str, Any]]]:
                own = {"num_return_sequences": takes, "keep_margin": True, **own}
                songs = self._generate(part, replace(settings, **own))
                return [[one] if takes == 1 else one for one in songs]

            return self._best_of(
                requests,
                draw,
                best_of=best_of,
                best_of_by=best_of_by,
                rank_by=rank_by,
                batch_size=batch_size,
                device=self._execution_device,
                timestamps=settings.timestamps,
                max_seconds=max_seconds,
                min_seconds=min_seconds,
            )
        if isinstance(generator, list) and not isinstance(requests, list | dict):
            raise ValueError("a list for generator needs a list of inputs: give one generator")
        if retries and generator is not None:
            raise ValueError("retries need seeds: leave generator out")

        def generate(part: Any) -> Any:
            if isinstance(part, list):
                return self._generate(part, settings) if part else []
            if isinstance(part, dict):
                return self._generate([part], settings)[0]
            return (self._generate([request], settings)[0] for request in part)

        if settings.timestamps:
            return sung_whole(requests, generate, retries)
        return generate(requests)

    @torch.no_grad()
    def _generate(self, inputs: list[dict[str, Any]], settings: MaskedSettings) -> list[Any]:
        """Generate a song, or a list of songs, for each input, ``batch_size`` songs at a time."""
        num_songs = settings.num_return_sequences
        inputs = separate_voices(inputs, self.voice_separator, self.processor.voice_seconds)
        requests = [
            {**one, "seed": seed_after(one["seed"], j)} for one in inputs for j in range(num_songs)
        ]
        for request, seed in zip(requests, settings.seeds(requests), strict=True):
            request["seed"] = seed
        size = settings.batch_size or len(requests)
        batches = [slice(i, i + size) for i in range(0, len(requests), size)]
        songs: list[dict[str, Any]] = []
        try:
            total = len(batches) * settings.num_inference_steps
            with step_counter(settings.progress, total, self.progress_bar) as report:
                for batch in batches:
                    songs += self._generate_batch(requests[batch], settings, report)
        finally:
            self.maybe_free_model_hooks()
        if num_songs == 1:
            return songs
        return [songs[i : i + num_songs] for i in range(0, len(songs), num_songs)]

    def _generate_batch(
        self,
        requests: list[dict[str, Any]],
        settings: MaskedSettings,
        report: Callable[[], None],
    ) -> list[dict[str, Any]]:
        """Generate the songs of one batch."""
        # A scheduler of its own, so that calls in several threads do not share one.
        replaced = settings.scheduler
        scheduler: Any = type(self.scheduler).from_config(self.scheduler.config, **replaced)
        check_course(scheduler.guidance, replaced)
        inputs = prepare_inputs(self.processor, requests)
        inputs = inputs.to(self._execution_device, dtype=self.conditioner.dtype)
        conditioner_config: Any = self.conditioner.config
        given = given_conditions(inputs, conditioner_config.lyrics_encoder.null_ids)
        branches = scheduler.guidance.branches(given)
        check_negative(inputs, branches)
        conditions, condition_mask = encode_conditions(self.conditioner, inputs, branches=branches)
        count, config = len(requests), self.transformer.config
        known = known_codes(
            requests,
            self._expected_frames(requests, conditions[:count], condition_mask[:count]),
            load=self._load_song,
            settings=settings,
            num_tracks=config.num_tracks,
            num_codebooks=config.num_codebooks,
            frame_rate=self.codec.config.frame_rate,
        )
        lengths = [song.visible.shape[-1] for song in known]
        frame_mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        codes = torch.stack([pad_frames(song.codes, max(lengths)) for song in known])
        visible = torch.stack([pad_frames(song.visible, max(lengths)) for song in known])
        device = self._execution_device
        codes = self._reveal(
            codes.to(device),
            visible.to(device),
            frame_mask.to(device),
            conditions,
            condition_mask,
            given,
            scheduler,
            [torch.Generator(device).manual_seed(request["seed"]) for request in requests],
            settings,
            report,
        )
        songs: list[Any] = []
        for row, (request, before) in enumerate(zip(requests, known, strict=True)):
            own = codes[row, ..., : lengths[row]]
            sounds: dict[str, Any] = dict.fromkeys(("audio", "vocal", "accompaniment"))
            sounds["sampling_rate"] = self.sampling_rate
            if settings.output_type == "audio":
                sounds = self._decode(own, settings.raw)
                if not settings.raw:
                    sounds = before.keep_recorded(sounds, self._hop_length, self._decode)
            song = {**sounds, "seed": request["seed"], "codes": own.cpu().numpy()}
            songs.append(Song(song, request={**settings.facts, **request}, model=self))
            if settings.check_tracks and not before.is_edit:
                self._check_tracks(songs[-1], before.beginning, before, raw=settings.raw)
            if settings.timestamps:
                row_inputs = {name: tensor[row, None] for name, tensor in inputs.items()}
                own = torch.as_tensor(songs[-1]["codes"])
                self._add_timestamps(songs[-1], request, own, row_inputs)
            if settings.keep_margin and (margin := self._swap_margin(songs[-1])) is not None:
                songs[-1]["swap_margin"] = margin
        return songs

    def _reveal(
        self,
        codes: Tensor,
        visible: Tensor,
        frame_mask: Tensor,
        conditions: Tensor,
        condition_mask: Tensor,
        given: Sequence[str],
        scheduler: MaskedRVQScheduler,
        generators: list[torch.Generator],
        settings: MaskedSettings,
        report: Callable[[], None],
    ) -> Tensor:
        """Run all steps and return the codes [B, N, K, T].

        With guidance the conditions have B more rows for each branch.
        """
        scheduler.set_timesteps(settings.num_inference_steps, device=codes.device)
        assert scheduler.timesteps is not None
        callback = settings.callback
        states, masks = conditions.split(len(codes)), condition_mask.split(len(codes))
        for step, timestep in enumerate(scheduler.timesteps):
            weights = scheduler.guidance.weights(scheduler.share_of_steps(step), given)
            # Rows only for what counts at this step.
            used = [i for i, weight in enumerate(weights) if weight]
            rows = len(used)
            output = self.transformer(
                codes.repeat(rows, 1, 1, 1),
                visible.repeat(rows, 1, 1),
                torch.cat([states[i] for i in used]),
                torch.cat([masks[i] for i in used]),
                frame_mask=frame_mask.repeat(rows, 1),
            )
            if used != [0]:
                own, *others = output.distribution.chunk(rows)
                output = MaskedSongOutput(own.guided(others, [weights[i] for i in used]))
            revealed: Any = scheduler.step(
                output, timestep, codes, visible, frame_mask=frame_mask, generator=generators
            )
            codes, visible = revealed.codes, revealed.visible
            if callback is not None:
                tensors = {"codes": codes, "visible": visible}
                names = settings.callback_tensors
                changed = callback(self, step, timestep, {name: tensors[name] for name in names})
                codes, visible = (
                    (changed or {}).get(name, tensor) for name, tensor in tensors.items()
                )
            report()
        return codes

    def _expected_frames(
        self, requests: list[dict[str, Any]], conditions: Tensor, condition_mask: Tensor
    ) -> list[int]:
        """Predict the number of frames of each song; 0 if no request needs a prediction."""
        if all(one["song"] is not None or one["seconds"] is not None for one in requests):
            return [0] * len(requests)
        onload(self.transformer)
        return self.transformer.predict_frames(conditions, condition_mask).tolist()


__all__ = ["MaskedSongPipeline"]
