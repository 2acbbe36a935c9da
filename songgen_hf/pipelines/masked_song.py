"""Songs in a few steps: the masked model as a pipeline of diffusers (ResGen, arXiv 2412.10208).

Its songs are the dicts of :class:`TextToSongPipeline`; its number of passes depends on neither the
length of a song nor its codebooks. Text, lyrics, voice and codec are those of a SongGen checkpoint.
What is known of a song stays bit for bit: see ``masked_prompts.py``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..modeling.conditioning import SongGenConditioner
from ..modeling.masked.model import MaskedSongModel, MaskedSongOutput  # says so without diffusers
from ..modeling.masked.scheduler import MaskedRVQScheduler
from ..modeling.modeling_songgen import SongGenForConditionalGeneration
from ..modeling.modeling_xcodec import XCodecModel
from ..modeling.patterns import ACCOMPANIMENT, VOCAL
from ..modeling.processing_songgen import SongGenProcessor
from .masked_editing import (
    codes_in,
    encode_conditions,
    known_songs,
    sound_in,
    whole_frames,
)
from .masked_folders import MaskedFolderMixin
from .masked_settings import DEFAULT_STEPS, SCHEDULER_SETTINGS, TENSORS, MaskedSettings
from .progress import counted_steps
from .song_requests import REQUEST_KEYS, make_request, one_each, one_seed_each, processed

# isort: split
from diffusers import DiffusionPipeline

MASKED_REQUEST_KEYS = (
    *REQUEST_KEYS,
    "seconds",
    "song",
    "regions",
    "keep_track",
    "keep_codebooks",
)


class MaskedSongPipeline(MaskedFolderMixin, DiffusionPipeline):
    """Sing in a few steps: ``MaskedSongPipeline.from_pretrained(...)(text, lyrics=...)``.

    Args:
        transformer: predicts the hidden codes.
        scheduler: says which are revealed at each step.
        conditioner: text, lyrics and voice encoders of a SongGen model.
        codec: codes to sound and back.
        processor: words and recordings to tensors.
    """

    mode = "masked"
    model_cpu_offload_seq = "conditioner->transformer->codec"
    # Called by other methods than forward, which is all that offloading layer by layer follows.
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
        """A pipeline with the conditioner and codec of a SongGen model, which are not copied."""
        return cls(
            transformer=transformer,
            scheduler=MaskedRVQScheduler() if scheduler is None else scheduler,
            conditioner=song_model.conditioner,
            codec=song_model.audio_encoder,
            processor=processor,
        )

    @property
    def sampling_rate(self) -> int:
        """Of the songs, in Hz."""
        return int(self.codec.config.sample_rate)

    @torch.no_grad()
    def __call__(
        self,
        text: Any = "",
        lyrics: Any = None,
        *,
        reference_voice: Any = None,
        voice_start: Any = 0.0,
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
        guidance_scale: float | Sequence[float] | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        reveal: str | None = None,
        schedule: str | None = None,
        seed: int | list[int] | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        num_return_sequences: int = 1,
        batch_size: int | None = None,
        output_type: str = "audio",
        callback_on_step_end: Callable[..., dict[str, Any] | None] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = TENSORS,
        progress: bool | Callable[[int, int | None], None] = True,
    ) -> Any:
        """Sing one song or many.

        With ``song`` a song that is there already is sung anew in part; what stays comes back bit
        for bit as codes. Lyrics and text are those of the whole song.

        Args:
            text: style description, or a request dict: the key ``text`` and any of the arguments
                that can be lists, and ``seed``; or a list or generator of either. With a list the
                arguments ``lyrics`` to ``seconds``, ``audio_prompt`` and ``song`` to
                ``keep_codebooks`` can be lists of the same length (``regions`` of one song is a
                tuple of tuples there).
            lyrics: words to sing.
            reference_voice: voice to sing with, as in :class:`TextToSongPipeline`.
            voice_start: the second at which the used part of the reference voice begins.
            language: language of the lyrics.
            seconds: length of what is sung; None for what the model expects of the lyrics.
            max_seconds: longest song in that case, an audio prompt excluded; None for 30.
            min_seconds: shortest song in that case, likewise.
            audio_prompt: beginning of the song to continue: a recording, for two-track models
                (accompaniment, vocal), or a song dict of a pipeline or its codes, which stay.
            song: a song to sing anew in part, in the forms of ``audio_prompt``.
            regions: (start, end) in seconds of ``song`` that are sung anew, or a tuple or list of
                these; an end of None is the song's. None for all of it.
            keep_track: "accompaniment" or "vocal": that track of ``song`` stays.
            keep_codebooks: so many coarse codebooks of what is sung anew stay; 3 of 8 refines.
            num_inference_steps: passes of the transformer, whatever the length.
            guidance_scale: weight of the conditions, 1.0 is off; a number or the first and the last
                step's. It doubles the batch. None for the scheduler's, as for the next four.
            temperature: of the proposals; 0 takes the likeliest.
            top_p: propose from this much probability.
            reveal: "confidence" or "random".
            schedule: "circle", "cosine", "linear" or "exp".
            seed: where sampling starts, as in :class:`TextToSongPipeline`.
            generator: instead of a seed: one for each song, or one that the songs share.
            num_return_sequences: songs for each input.
            batch_size: songs sung at once; None for all. It does not change any song.
            output_type: "codes" leaves out the sound.
            callback_on_step_end: called as ``callback(pipeline, step, timestep, tensors)`` after
                each step; what it returns replaces ``codes`` and ``visible``.
            callback_on_step_end_tensor_inputs: which of these it gets.
            progress: False for no bar, or a function called with (steps done, steps in all).
        Returns:
            As :class:`TextToSongPipeline`: for one input a dict with ``audio`` (float32 [channels,
            samples]), ``sampling_rate`` in Hz, ``vocal`` and ``accompaniment`` (None unless the
            model writes two tracks), ``seed`` and ``codes`` (int64 [tracks, codebooks, frames]); a
            list of them for ``num_return_sequences`` > 1; for a list of inputs a list of these, for
            a generator an iterator.
        Raises:
            ValueError: for unknown request keys, lists of different lengths, what does not fit the
                song or the model, or a number out of range.
            TypeError: for an argument of a wrong type.
        """
        replaced = dict(
            zip(
                SCHEDULER_SETTINGS,
                (guidance_scale, temperature, top_p, reveal, schedule),
                strict=True,
            )
        )
        settings = MaskedSettings(
            max_seconds=max_seconds,
            min_seconds=min_seconds,
            num_inference_steps=num_inference_steps,
            scheduler={name: value for name, value in replaced.items() if value is not None},
            generator=generator,
            num_return_sequences=num_return_sequences,
            batch_size=batch_size,
            output_type=output_type,
            callback=callback_on_step_end,
            callback_tensors=callback_on_step_end_tensor_inputs,
            progress=progress,
        )
        shared = {
            "lyrics": lyrics,
            "reference_voice": reference_voice,
            "voice_start": voice_start,
            "audio_prompt": audio_prompt,
            "language": language,
            "seconds": seconds,
            "song": song,
            "regions": regions,
            "keep_track": keep_track,
            "keep_codebooks": keep_codebooks,
        }
        if generator is not None and seed is not None:
            raise ValueError("seed and generator were both given: give one")
        if isinstance(text, str | Mapping):
            return self._sing_inputs([text], {k: [v] for k, v in shared.items()}, settings, seed)[0]
        if isinstance(text, list | tuple):
            if not text:
                return []
            columns = {name: one_each(name, value, len(text)) for name, value in shared.items()}
            return self._sing_inputs(list(text), columns, settings, seed)
        if isinstance(text, Iterable):
            return self._sing_lazily(text, shared, settings, seed)
        raise TypeError(
            "text must be a string, a request dict, or a list or generator of them: got "
            f"{type(text).__name__}"
        )

    def _sing_lazily(
        self, texts: Iterable[Any], shared: dict[str, Any], settings: MaskedSettings, seed: Any
    ) -> Iterator[Any]:
        """Songs of a generator, one input at a time."""
        for name, value in {**shared, "seed": seed, "generator": settings.generator}.items():
            if isinstance(value, list):
                raise ValueError(
                    f"a list for {name} needs a list of inputs: give request dicts with that key"
                )
        columns = {name: [value] for name, value in shared.items()}
        songs_each = settings.num_return_sequences
        return (
            self._sing_inputs(
                [item], columns, settings, None if seed is None else seed + i * songs_each
            )[0]
            for i, item in enumerate(texts)
        )

    def _sing_inputs(
        self, texts: list[Any], columns: dict[str, list[Any]], settings: MaskedSettings, seed: Any
    ) -> list[Any]:
        """A song, or a list of songs, for each input; ``batch_size`` songs at a time."""
        songs_each = settings.num_return_sequences
        seeds = one_seed_each(0 if settings.generator is not None else seed, len(texts), songs_each)
        requests: list[dict[str, Any]] = []
        for index, item in enumerate(texts):
            row = {name: column[index] for name, column in columns.items()}
            request = make_request(item, row, seeds[index], MASKED_REQUEST_KEYS)
            requests += [{**request, "seed": request["seed"] + j} for j in range(songs_each)]
        sources = settings.generators(requests, self._execution_device)
        for request, source in zip(requests, sources, strict=True):
            request["seed"] = source.initial_seed()
        size = settings.batch_size or len(requests)
        groups = [slice(i, i + size) for i in range(0, len(requests), size)]
        songs: list[dict[str, Any]] = []
        try:
            total = len(groups) * settings.num_inference_steps
            with counted_steps(settings.progress, total, self.progress_bar) as report:
                for group in groups:
                    songs += self._sing(requests[group], sources[group], settings, report)
        finally:
            self.maybe_free_model_hooks()
        if songs_each == 1:
            return songs
        return [songs[i : i + songs_each] for i in range(0, len(songs), songs_each)]

    def _sing(
        self,
        requests: list[dict[str, Any]],
        generators: list[torch.Generator],
        settings: MaskedSettings,
        report: Callable[[], None],
    ) -> list[dict[str, Any]]:
        """The songs of one batch."""
        # Of this batch alone, so that calls at the same time do not meet.
        scheduler: Any = type(self.scheduler).from_config(
            self.scheduler.config, **settings.scheduler
        )
        inputs = processed(self.processor, requests).to(
            self._execution_device, dtype=self.conditioner.dtype
        )
        conditions, condition_mask = encode_conditions(
            self.conditioner, inputs, use_guidance=scheduler.uses_guidance
        )
        count = len(requests)
        config = self.transformer.config
        known = known_songs(
            requests,
            self._expected_frames(requests, conditions[:count], condition_mask[:count]),
            encode=self.encode,
            new_frames=settings.new_frames,
            num_tracks=config.num_tracks,
            num_codebooks=config.num_codebooks,
            frame_rate=self.codec.config.frame_rate,
        )
        lengths = [visible.shape[-1] for _, visible in known]
        frame_mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        codes, visible = (
            torch.stack([_padded(song[part], max(lengths)) for song in known]) for part in (0, 1)
        )
        device = self._execution_device
        codes = self._reveal(
            codes.to(device),
            visible.to(device),
            frame_mask.to(device),
            conditions,
            condition_mask,
            scheduler,
            generators,
            settings,
            report,
        )
        songs = []
        for row, (request, length) in enumerate(zip(requests, lengths, strict=True)):
            own = codes[row, ..., :length]
            sound = self._sound(own) if settings.output_type == "audio" else {}
            songs.append(
                {
                    "audio": sound.get("audio"),
                    "sampling_rate": self.sampling_rate,
                    "vocal": sound.get("vocal"),
                    "accompaniment": sound.get("accompaniment"),
                    "seed": request["seed"],
                    "codes": own.cpu().numpy(),
                }
            )
        return songs

    def _reveal(
        self,
        codes: Tensor,
        visible: Tensor,
        frame_mask: Tensor,
        conditions: Tensor,
        condition_mask: Tensor,
        scheduler: MaskedRVQScheduler,
        generators: list[torch.Generator],
        settings: MaskedSettings,
        report: Callable[[], None],
    ) -> Tensor:
        """Codes [B, N, K, T] with nothing hidden; conditions are of 2B rows with guidance."""
        scheduler.set_timesteps(settings.num_inference_steps, device=codes.device)
        assert scheduler.timesteps is not None
        callback = settings.callback
        for step, timestep in enumerate(scheduler.timesteps):
            weight = scheduler.guidance_weight(step) if scheduler.uses_guidance else 0.0
            rows = 2 if weight else 1
            output = self.transformer(
                codes.repeat(rows, 1, 1, 1),
                visible.repeat(rows, 1, 1),
                conditions[: rows * len(codes)],
                condition_mask[: rows * len(codes)],
                frame_mask=frame_mask.repeat(rows, 1),
            )
            if weight:
                conditional, unconditional = output.distribution.chunk(2)
                output = MaskedSongOutput(conditional.guided(unconditional, weight))
            left: Any = scheduler.step(
                output, timestep, codes, visible, frame_mask=frame_mask, generator=generators
            )
            codes, visible = left.codes, left.visible
            if callback is not None:
                tensors = {"codes": codes, "visible": visible}
                asked = settings.callback_tensors
                changed = callback(self, step, timestep, {name: tensors[name] for name in asked})
                codes, visible = (
                    (changed or {}).get(name, tensor) for name, tensor in tensors.items()
                )
            report()
        return codes

    def _expected_frames(
        self, requests: list[dict[str, Any]], conditions: Tensor, condition_mask: Tensor
    ) -> list[int]:
        """Frames that the model expects of the lyrics; 0 where no request asks for it."""
        if all(one["song"] is not None or one["seconds"] is not None for one in requests):
            return [0] * len(requests)
        _wake(self.transformer)
        return self.transformer.predict_frames(conditions, condition_mask).tolist()

    @torch.no_grad()
    def encode(self, song: Any) -> Tensor:
        """Codes [N, K, T] on the CPU of a song: its own, if it has them, else those of its sound.

        Args:
            song: codes, a song dict of a pipeline, or a recording: for two-track models
                (accompaniment, vocal) or a mapping with both.
        """
        config = self.transformer.config
        codes = codes_in(song)
        if codes is None:
            features = self.processor(audio=[sound_in(song)], return_tensors="pt")
            values = features["input_values"][0, :, None]  # [N, 1, S]
            if len(values) != config.num_tracks:
                raise ValueError(
                    f"this model writes {config.num_tracks} track(s), the recording has "
                    f"{len(values)}: give (accompaniment, vocal) to a two-track model, one "
                    "recording to another"
                )
            _wake(self.codec)
            values = values.to(self._execution_device, dtype=self.codec.dtype)
            codes = self.codec.encode(values, return_dict=False)[:, : config.num_codebooks]
        return whole_frames(
            codes if isinstance(codes, Tensor) else torch.as_tensor(codes),
            num_tracks=config.num_tracks,
            num_codebooks=config.num_codebooks,
            codebook_size=config.codebook_size,
        ).cpu()

    def _sound(self, codes: Tensor) -> dict[str, Any]:
        """Waveforms of one song's codes [N, K, T], float32 [1, samples]."""
        _wake(self.codec)
        # One by one, so that a track that stays sounds the same to the last bit.
        sound = [
            self.codec.decode(track[None], return_dict=False)[0].float().cpu().numpy()
            for track in codes
        ]
        if len(sound) == 1:
            return {"audio": sound[0]}
        vocal, accompaniment = sound[VOCAL], sound[ACCOMPANIMENT]
        return {"audio": accompaniment + vocal, "vocal": vocal, "accompaniment": accompaniment}


def _padded(tensor: Tensor, num_frames: int) -> Tensor:
    return torch.nn.functional.pad(tensor, (0, num_frames - tensor.shape[-1]))


def _wake(module: Any) -> None:
    """Bring a part that is offloaded to its device, for methods other than ``forward``."""
    hook: Any = getattr(module, "_hf_hook", None)
    if hasattr(hook, "pre_forward"):
        hook.pre_forward(module)


__all__ = ["MASKED_REQUEST_KEYS", "MaskedSongPipeline"]
