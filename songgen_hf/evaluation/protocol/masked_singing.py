"""Makes the songs of the prompts with a masked model; what is made is kept in a folder.

The prompts, seeds, voices and files are those of ``singing.py``, so that a row of a masked model
and one of an autoregressive model differ in nothing but the model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .masked_options import MaskedSetting
from .prompts import Prompt
from .sampling import Singer, keep_song, other_precision, weights_digest


class MaskedSinger(Singer):
    """A masked model that makes prompts into a folder.

    Args:
        checkpoint: folder or Hub id of a :class:`MaskedSongPipeline`.
        cache: folder of what is made; several checkpoints may share it.
        voices: waveform [S] and rate in Hz of the vocal of a song id; read for reference voices.
        device, dtype: of the model; "auto" is float32.
        max_seconds: longest song.
        batch_size: songs made at a time.
    """

    def _load(self, checkpoint: str, device: Any, dtype: Any) -> None:
        import torch

        from ...pipelines.masked_song import MaskedSongPipeline

        given = getattr(torch, "float32" if dtype == "auto" else str(dtype).removeprefix("torch."))
        pipe: Any = MaskedSongPipeline.from_pretrained(checkpoint, dtype=given)
        self.pipe = pipe.to(device)
        self.pipe.set_progress_bar_config(disable=True)
        self.own_scheduler = self.pipe.scheduler
        self._digest: str | None = None

    @property
    def model(self) -> Any:
        """The trained model."""
        return self.pipe.transformer

    @property
    def head(self) -> str:
        """What the model's outputs mean: "softmax" or "mixture"."""
        return self.model.config.head

    @property
    def has_vocal_track(self) -> bool:
        """Whether it writes vocal and accompaniment apart."""
        return self.model.config.num_tracks > 1

    @property
    def weights(self) -> str:
        """Digest of all weights that decide a song."""
        if self._digest is None:
            self._digest = pipeline_digest(self.pipe)
        return self._digest

    def folder(self, setting: Any) -> Path:
        """Where the songs of a setting are kept."""
        setting = setting.resolved(self.own_scheduler.config)
        facts: list[Any] = [self.weights, asdict(setting), dict(self._scheduler(setting).config)]
        facts += [self.max_seconds, *other_precision(self.model)]
        text = json.dumps(facts, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"masked-{self.head}-{setting.passes}-{setting.reveal}"
        return self.cache / f"{name}{'-voice' if setting.voice else ''}-{digest}"

    def make(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], setting: MaskedSetting
    ) -> list[dict[str, Any]]:
        """The songs of prompts, each with its own seed of the evaluation, in one batch."""
        requests = [
            self.request(prompt, seed, setting)  # type: ignore[arg-type]
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        self.pipe.scheduler = self._scheduler(setting)
        try:
            return self.pipe(
                requests,
                num_inference_steps=setting.passes,
                max_seconds=self.max_seconds,
                progress=False,
            )
        finally:
            self.pipe.scheduler = self.own_scheduler

    def _sing_batch(self, batch: Sequence[tuple[Prompt, int, Path]], setting: Any) -> None:
        made = self.make([one[0] for one in batch], [one[1] for one in batch], setting)
        settings = {"num_inference_steps": setting.passes, **setting.scheduler}
        for (prompt, _, path), song in zip(batch, made, strict=True):
            keep_song(path, song, prompt, self.pipe, song["seed"], settings)

    def _scheduler(self, setting: MaskedSetting) -> Any:
        own = self.own_scheduler
        return type(own).from_config(own.config, **setting.scheduler)


def pipeline_digest(pipe: Any) -> str:
    """A short hash of all weights of a masked model, with those that it shares."""
    parts = (pipe.transformer, pipe.conditioner, pipe.codec)
    digests = "/".join(weights_digest(part) for part in parts)
    return hashlib.sha256(digests.encode()).hexdigest()[:16]


__all__ = ["MaskedSinger", "pipeline_digest"]
