"""Song samplers: models that generate the songs of prompts into a folder, each song once.

There is one sampler with two adapters, for autoregressive and for masked models. A song depends on
its own seed alone and is written as soon as its batch is done, so an interrupted run continues, and
more seeds or prompts cost only what is new. The names of folders and files contain a digest of
everything that decides a song: weights, setting and prompt.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.digests import pipeline_digest, weights_digest
from ...checkpoints.loading import load_pipeline
from ...files import safe_name, write_files
from ...provenance import encode_song, provenance
from .options import MAX_SECONDS, AutoregressiveSetting, MaskedSetting
from .prompts import Prompt

UNTRAINED_SEED = 0
ReferenceVoices = Callable[[str], tuple[np.ndarray, int]]


@dataclass(frozen=True)
class GeneratedSong:
    """A song that a sampler has generated.

    Args:
        prompt: what was requested.
        seed: seed of the evaluation, see :func:`song_seed`.
        mixture: float32 [S].
        vocal: float32 [S'] of a model with two tracks, else None.
        path: file of the mixture.
    """

    prompt: Prompt
    seed: int
    mixture: np.ndarray
    vocal: np.ndarray | None
    path: Path


class SongSampler(ABC):
    """A song model and the folder of the songs that it generates.

    Args:
        checkpoint: folder, Hub id or embedded model.
        cache: folder of generated songs, which several models can share.
        voices: returns the vocal of a song id, waveform [S] and rate in Hz; called for the
            reference voices of prompts.
        device, dtype: device and precision of the model.
        max_seconds: longest song.
        batch_size: songs generated at a time.
    """

    mode: str
    model: Any
    """The trained network."""
    codec: Any
    name: str
    """What distinguishes the model from others of its mode: its track pattern, or its head."""
    has_vocal_track: bool
    """Whether vocal and accompaniment are separate tracks."""

    def __init__(
        self,
        checkpoint: str,
        cache: Path | str,
        voices: ReferenceVoices,
        *,
        device: str = "cpu",
        dtype: str = "auto",
        max_seconds: float = MAX_SECONDS,
        batch_size: int = 50,
    ) -> None:
        self.checkpoint = checkpoint
        self.cache = Path(cache)
        self.voices = voices
        self.max_seconds = max_seconds
        self.batch_size = batch_size
        self.load(checkpoint, device, dtype)
        self.codec_weights = weights_digest(self.codec)

    @abstractmethod
    def load(self, checkpoint: str, device: str, dtype: str) -> None:
        """Load the model and set the attributes above."""

    @abstractmethod
    def resolve(self, setting: Any) -> Any:
        """Return a setting with the checkpoint's own values where it has none."""

    @abstractmethod
    def weights(self, setting: Any = None) -> str:
        """Return the digest of the weights that a setting uses; None for the trained ones."""

    @abstractmethod
    def generate(self, requests: Sequence[Mapping[str, Any]], setting: Any) -> list[dict[str, Any]]:
        """Generate one song for each request in one batch."""

    @abstractmethod
    def folder_name(self, setting: Any) -> tuple[str, list[Any]]:
        """Return the readable part of a folder's name, and what decides its digest."""

    @abstractmethod
    def record(self, setting: Any) -> tuple[Any, dict[str, Any]]:
        """Return the model and the arguments that the provenance of a song names."""

    def folder(self, setting: Any) -> Path:
        """Return the folder of the songs of a setting."""
        name, facts = self.folder_name(self.resolve(setting))
        facts.append(self.max_seconds)
        dtype = str(self.model.dtype).removeprefix("torch.")
        facts += [] if dtype == "float32" else [dtype]
        text = json.dumps(facts, sort_keys=True, default=str)
        return self.cache / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def request(self, prompt: Prompt, seed: int, setting: Any) -> dict[str, Any]:
        """Return the arguments of the pipeline for one song."""
        request = {"text": prompt.text, "lyrics": prompt.lyrics, "seed": song_seed(prompt, seed)}
        if setting.voice:
            request["reference_voice"] = self.voices(prompt.reference_song_id)
            request["voice_start"] = prompt.reference_start
        return request

    def sample(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], setting: Any
    ) -> Iterator[GeneratedSong]:
        """Yield every prompt with every seed, seed by seed, after generating what is missing.

        Args:
            prompts: what is requested.
            seeds: seeds of the evaluation.
            setting: setting of all songs.
        """
        setting = self.resolve(setting)
        folder = self.folder(setting)
        wanted = [
            (prompt, seed, folder / song_name(prompt, setting.voice, seed))
            for seed in seeds
            for prompt in prompts
        ]
        missing = [song for song in wanted if not song[-1].is_file()]
        # Songs of about one length together: a batch lasts as long as its longest.
        missing.sort(key=lambda song: song[0].duration)
        for start in range(0, len(missing), self.batch_size):
            self._write_batch(missing[start : start + self.batch_size], setting)
        for prompt, seed, path in wanted:
            vocal = _read(vocal_path(path)) if self.has_vocal_track else None
            yield GeneratedSong(prompt, seed, _read(path), vocal, path)

    def _write_batch(self, batch: Sequence[tuple[Prompt, int, Path]], setting: Any) -> None:
        requests = [self.request(prompt, seed, setting) for prompt, seed, _ in batch]
        songs = self.generate(requests, setting)
        model, arguments = self.record(setting)
        for (prompt, _, path), request, song in zip(batch, requests, songs, strict=True):
            options = {"text": prompt.text, "lyrics": prompt.lyrics, **arguments}
            record = provenance(model, seed=request["seed"], options=options)
            tracks = {path: song["audio"]}
            if song["vocal"] is not None:
                tracks = {vocal_path(path): song["vocal"], **tracks}  # the mixture comes last
            rate = song["sampling_rate"]
            write_files({file: encode_song(t, rate, file, record) for file, t in tracks.items()})


class AutoregressiveSampler(SongSampler):
    """An autoregressive song model, and the same model with random weights as its baseline."""

    mode = "autoregressive"

    def load(self, checkpoint: str, device: str, dtype: str) -> None:
        pipe = load_pipeline(checkpoint, mode=self.mode, device=device, dtype=dtype)
        self.pipes = {True: pipe}  # trained or not -> pipeline
        self.model, self.codec = pipe.model, pipe.model.audio_encoder
        self.name = self.model.config.decoder.track_pattern
        self.has_vocal_track = self.model.config.decoder.num_tracks > 1
        self._weights: dict[bool, str] = {}

    def pipe(self, trained: bool) -> Any:
        """Return the pipeline of the trained model, or of the untrained one."""
        if trained not in self.pipes:
            own = self.pipes[True]
            model = untrained_copy(self.model, seed=UNTRAINED_SEED)
            self.pipes[trained] = type(own)(model=model, processor=own.processor, device=own.device)
        return self.pipes[trained]

    def resolve(self, setting: AutoregressiveSetting) -> AutoregressiveSetting:
        return setting.resolved(self.model.generation_config)

    def weights(self, setting: AutoregressiveSetting | None = None) -> str:
        trained = setting is None or setting.trained
        if trained not in self._weights:
            self._weights[trained] = weights_digest(self.pipe(trained).model)
        return self._weights[trained]

    def generate(
        self, requests: Sequence[Mapping[str, Any]], setting: AutoregressiveSetting
    ) -> list[dict[str, Any]]:
        return self.pipe(setting.trained)(
            requests,
            batch_size=len(requests),
            max_seconds=self.max_seconds,
            raw=True,
            **setting.generation,
        )

    def folder_name(self, setting: AutoregressiveSetting) -> tuple[str, list[Any]]:
        name = f"{self.name}-guidance-{setting.guidance_name.replace(' ', '-')}"
        name += ("-voice" if setting.voice else "") + ("" if setting.trained else "-untrained")
        return name, [self.weights(setting), setting.generation, setting.voice]

    def record(self, setting: AutoregressiveSetting) -> tuple[Any, dict[str, Any]]:
        return self.pipe(setting.trained).model, setting.generation


class MaskedSampler(SongSampler):
    """A masked song model."""

    mode = "masked"

    def load(self, checkpoint: str, device: str, dtype: str) -> None:
        dtype = "float32" if dtype == "auto" else dtype
        self.pipe = load_pipeline(checkpoint, mode=self.mode, device=device, dtype=dtype)
        self.pipe.set_progress_bar_config(disable=True)
        self.scheduler = self.pipe.scheduler
        self.model, self.codec = self.pipe.transformer, self.pipe.codec
        self.name = self.model.config.head
        self.has_vocal_track = self.model.config.num_tracks > 1
        self._weights = pipeline_digest(self.pipe)

    def resolve(self, setting: MaskedSetting) -> MaskedSetting:
        return setting.resolved(self.scheduler.config)

    def weights(self, setting: MaskedSetting | None = None) -> str:
        return self._weights

    def generate(
        self, requests: Sequence[Mapping[str, Any]], setting: MaskedSetting
    ) -> list[dict[str, Any]]:
        self.pipe.scheduler = self._scheduler(setting)
        try:
            return self.pipe(
                requests,
                num_inference_steps=setting.num_inference_steps,
                max_seconds=self.max_seconds,
                raw=True,
                progress=False,
            )
        finally:
            self.pipe.scheduler = self.scheduler

    def folder_name(self, setting: MaskedSetting) -> tuple[str, list[Any]]:
        name = f"masked-{self.name}-{setting.num_inference_steps}-{setting.reveal}"
        config = dict(self._scheduler(setting).config)
        return name + ("-voice" if setting.voice else ""), [self._weights, setting.facts(), config]

    def record(self, setting: MaskedSetting) -> tuple[Any, dict[str, Any]]:
        steps = {"num_inference_steps": setting.num_inference_steps}
        return self.pipe, steps | setting.scheduler

    def _scheduler(self, setting: MaskedSetting) -> Any:
        return type(self.scheduler).from_config(self.scheduler.config, **setting.scheduler)


def song_seed(prompt: Prompt, seed: int) -> int:
    """Return the seed of a song, which differs for every prompt and seed of the evaluation."""
    digest = hashlib.sha256(f"{seed}/{prompt.id}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def song_name(prompt: Prompt, voice: bool, seed: int) -> str:
    """Return the file name of a song, which changes with every input of the model.

    A prompt's id that is not a valid file name on every system is replaced by a valid one.

    Args:
        prompt: what is requested.
        voice: whether the prompt's reference voice is given.
        seed: seed of the evaluation.
    """
    inputs = [prompt.text, prompt.lyrics]
    if voice:
        inputs += [prompt.reference_song_id, str(prompt.reference_start)]
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:8]
    name = safe_name(prompt.id, default="prompt")
    if name != prompt.id:  # two ids must not share a name
        name += "-" + hashlib.sha256(prompt.id.encode()).hexdigest()[:8]
    return f"{name}-seed-{seed}-{digest}.flac"


def vocal_path(mixture: Path) -> Path:
    """Return the file of the vocal beside that of the mixture."""
    return mixture.with_suffix(".vocal.flac")


def untrained_copy(model: Any, *, seed: int) -> Any:
    """Build a model of the same sizes with random weights in all parts but the codec.

    Args:
        model: a :class:`~songgen_hf.modeling.modeling_songgen.SongGenForConditionalGeneration`;
            its codec is shared.
        seed: seed of the weights.
    """
    import torch

    config = copy.deepcopy(model.config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        untrained = type(model)(config)
    untrained = untrained.to(model.device, model.dtype).eval()
    untrained.audio_encoder = model.audio_encoder
    untrained.generation_config = copy.deepcopy(model.generation_config)
    # A baseline needs no warning that it is untrained.
    untrained.config.trained = True
    return untrained


def _read(path: Path) -> np.ndarray:
    import soundfile

    waveform, _ = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")
    return waveform


__all__ = [
    "UNTRAINED_SEED",
    "AutoregressiveSampler",
    "GeneratedSong",
    "MaskedSampler",
    "SongSampler",
    "song_name",
    "song_seed",
    "untrained_copy",
    "vocal_path",
]
