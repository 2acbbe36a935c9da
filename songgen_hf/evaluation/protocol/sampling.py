"""Sings the prompts with a checkpoint under several settings; what is sung is kept in a folder.

A row of the evaluation is one ``Setting``. A song draws from its own seed and is written as soon as
its batch is done, so a run that was killed goes on, and more seeds or prompts cost only what is
new. The folder's names hold a digest of everything that decides a song: weights, settings, prompt.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...files import safe_name, write_files
from ...provenance import encode_song, provenance
from .growing_cache import growing_cache
from .options import MAX_SECONDS, Setting
from .prompts import Prompt

logger = logging.getLogger(__name__)

UNTRAINED_SEED = 0


@dataclass(frozen=True)
class SungSong:
    """One song that was sung.

    Args:
        prompt: what was asked for.
        seed: of its sampling.
        mixture: float32 [S].
        vocal: float32 [S'] of a model with two tracks, else None.
        path: file of the mixture.
    """

    prompt: Prompt
    seed: int
    mixture: np.ndarray
    vocal: np.ndarray | None
    path: Path


class Singer:
    """A checkpoint that sings prompts into a folder.

    Args:
        checkpoint: folder or Hub id.
        cache: folder of what is sung; several checkpoints may share it.
        voices: waveform [S] and rate in Hz of the vocal of a song id; read for reference voices.
        device, dtype: of the model.
        max_seconds: longest song.
        batch_size: songs sung at a time.
    """

    def __init__(
        self,
        checkpoint: str,
        cache: Path | str,
        voices: Callable[[str], tuple[np.ndarray, int]],
        *,
        device: Any = "cpu",
        dtype: Any = "auto",
        max_seconds: float = MAX_SECONDS,
        batch_size: int = 50,
    ):
        self.cache = Path(cache)
        self.voices = voices
        self.max_seconds = max_seconds
        self.batch_size = batch_size
        self._load(checkpoint, device, dtype)

    def _load(self, checkpoint: str, device: Any, dtype: Any) -> None:
        from transformers import pipeline

        from ...pipelines.text_to_song import TextToSongPipeline

        self.trained = pipeline(
            "text-to-song",
            model=checkpoint,
            device=device,
            dtype=dtype,
            pipeline_class=TextToSongPipeline,
        )
        self.digests: dict[bool, str] = {}
        self._untrained: Any = None

    @property
    def model(self) -> Any:
        """The trained model."""
        return self.trained.model

    @property
    def has_vocal_track(self) -> bool:
        """Whether it writes vocal and accompaniment apart."""
        return self.model.config.decoder.num_tracks > 1

    def pipeline(self, trained: bool) -> Any:
        """The pipeline of the trained model, or of the same with random weights."""
        if trained:
            return self.trained
        if self._untrained is None:
            from ...pipelines.text_to_song import TextToSongPipeline

            self._untrained = TextToSongPipeline(
                model=untrained_twin(self.model, seed=UNTRAINED_SEED),
                processor=self.trained.processor,
                device=self.trained.device,
            )
        return self._untrained

    def folder(self, setting: Setting) -> Path:
        """Where the songs of a setting are kept."""
        if setting.trained not in self.digests:
            self.digests[setting.trained] = weights_digest(self.pipeline(setting.trained).model)
        facts = [self.digests[setting.trained], setting.generation, setting.voice, self.max_seconds]
        facts += other_precision(self.model)
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        name = self.model.config.decoder.track_pattern
        name += f"-guidance-{setting.guidance:g}" + ("-voice" if setting.voice else "")
        return self.cache / f"{name}{'' if setting.trained else '-untrained'}-{digest}"

    def sing(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], setting: Setting
    ) -> Iterator[SungSong]:
        """Every prompt with every seed, in that order: what is missing is sung first.

        Args:
            prompts: to sing.
            seeds: of the evaluation; a song's own seed follows from it and the prompt's id.
            setting: of all.
        """
        folder = self.folder(setting)
        wanted = [(prompt, seed) for seed in seeds for prompt in prompts]
        paths = [folder / song_name(prompt, setting, seed) for prompt, seed in wanted]
        missing = [
            (*one, path) for one, path in zip(wanted, paths, strict=True) if not path.is_file()
        ]
        # Songs of about one length together: a batch lasts as long as its longest.
        missing.sort(key=lambda one: one[0].duration)
        for start in range(0, len(missing), self.batch_size):
            self._sing_batch(missing[start : start + self.batch_size], setting)
        for (prompt, seed), path in zip(wanted, paths, strict=True):
            vocal = vocal_path(path) if self.has_vocal_track else None
            yield SungSong(prompt, seed, _read(path), None if vocal is None else _read(vocal), path)

    def _sing_batch(self, batch: Sequence[tuple[Prompt, int, Path]], setting: Setting) -> None:
        pipe = self.pipeline(setting.trained)
        requests = [self.request(prompt, seed, setting) for prompt, seed, _ in batch]
        songs = pipe(
            requests,
            batch_size=len(requests),
            max_seconds=self.max_seconds,
            past_key_values=growing_cache(),
            **setting.generation,
        )
        for (prompt, _, path), request, song in zip(batch, requests, songs, strict=True):
            keep_song(path, song, prompt, pipe.model, request["seed"], setting.generation)

    def request(self, prompt: Prompt, seed: int, setting: Setting) -> dict[str, Any]:
        """What the pipeline is asked for."""
        request = {"text": prompt.text, "lyrics": prompt.lyrics, "seed": song_seed(prompt, seed)}
        if setting.voice:
            request["reference_voice"] = self.voices(prompt.reference_song_id)
            request["voice_start"] = prompt.reference_start
        return request


def song_seed(prompt: Prompt, seed: int) -> int:
    """The seed that a prompt is sung with, for a seed of the evaluation: no two songs share it."""
    digest = hashlib.sha256(f"{seed}/{prompt.id}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def song_name(prompt: Prompt, setting: Setting, seed: int) -> str:
    """File name of a song; it changes with whatever of the prompt the model is told.

    An id that is no file name on every system is replaced by one that is.
    """
    told = [prompt.text, prompt.lyrics]
    if setting.voice:
        told += [prompt.reference_song_id, str(prompt.reference_start)]
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]
    name = safe_name(prompt.id, default="prompt")
    if name != prompt.id:  # two ids must not share a name
        name += "-" + hashlib.sha256(prompt.id.encode()).hexdigest()[:8]
    return f"{name}-seed-{seed}-{digest}.flac"


def vocal_path(mixture: Path) -> Path:
    """File of the vocal beside that of the mixture."""
    return mixture.with_suffix(".vocal.flac")


def untrained_twin(model: Any, *, seed: int) -> Any:
    """A model of the same sizes with random weights in all but the codec, which is shared.

    Args:
        model: a :class:`~songgen_hf.modeling.modeling_songgen.SongGenForConditionalGeneration`.
        seed: of the weights.
    """
    import torch

    config = copy.deepcopy(model.config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        twin = type(model)(config)
    twin = twin.to(model.device, model.dtype).eval()
    twin.audio_encoder = model.audio_encoder
    twin.generation_config = copy.deepcopy(model.generation_config)
    # The baseline of a measurement, of which no warning is needed.
    twin.config.trained = True
    return twin


def weights_digest(model: Any) -> str:
    """A short hash of all weights and of the settings that sampling falls back to."""
    sampling = getattr(model, "generation_config", None)
    # Without the library's version, which changes no song.
    facts = "" if sampling is None else sampling.to_json_string(ignore_metadata=True)
    digest = hashlib.sha256(facts.encode())
    weights: Mapping[str, Any] = model.state_dict()
    for name, weight in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(weight.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def other_precision(model: Any) -> list[str]:
    """What the name of a folder needs to hold of a model that is not in float32, as most are."""
    name = str(model.dtype).removeprefix("torch.")
    return [] if name == "float32" else [name]


def keep_song(
    path: Path,
    song: Mapping[str, Any],
    prompt: Prompt,
    model: Any,
    seed: int,
    options: Mapping[str, Any],
) -> None:
    """Write a song, and its vocal beside it, with what it was made from."""
    told = {"text": prompt.text, "lyrics": prompt.lyrics, **options}
    record = provenance(model, seed=seed, options=told)
    tracks = {path: song["audio"]}
    if song["vocal"] is not None:
        tracks = {vocal_path(path): song["vocal"], **tracks}  # the mixture comes last
    rate = song["sampling_rate"]
    write_files({file: encode_song(track, rate, file, record) for file, track in tracks.items()})


def _read(path: Path) -> np.ndarray:
    import soundfile

    waveform, _ = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")
    return waveform


__all__ = [
    "UNTRAINED_SEED",
    "Singer",
    "SungSong",
    "other_precision",
    "song_name",
    "song_seed",
    "untrained_twin",
    "vocal_path",
    "weights_digest",
    "keep_song",
]
