"""Makes a few songs of the evaluation set at each evaluation of a masked model."""

from typing import Any

import torch

from ...pipelines.masked_song import MaskedSongPipeline
from ..language_model.samples import EvaluationAudio
from .dataset import MaskedSongs

SAMPLE_STEPS = 16


class MaskedSamples(EvaluationAudio):
    """Writes ``samples/step-<step>/<number>.flac`` below the run's folder, and to TensorBoard.

    Args:
        pipe: whose transformer is trained.
        songs: the first ``args.sample_songs`` of them are made, as long as the true ones but at
            most ``args.sample_seconds``.
    """

    def __init__(self, pipe: MaskedSongPipeline, songs: MaskedSongs):
        super().__init__(songs.songs, pipe.processor)
        self.pipe = pipe

    @torch.no_grad()
    def sing(self, model: Any, args: Any) -> list[Any]:
        """Waveforms [1, S] as numpy arrays, one a song."""
        pipe = self.pipe
        pipe.codec.to(next(model.parameters()).device)
        longest = max(1, round(args.sample_seconds * model.config.frame_rate))
        sounds = []
        for number in range(min(args.sample_songs, len(self.songs))):
            song = self.songs[number]
            made = pipe(
                song["text"] or "",
                lyrics=song["lyrics"],
                reference_voice=song["voice"],
                voice_start=song["voice_start"],
                language=song["language"],
                seconds=min(longest, song["codes"].shape[-1]) / model.config.frame_rate,
                num_inference_steps=SAMPLE_STEPS,
                guidance_scale=args.sample_guidance,
                seed=number,
                progress=False,
            )
            sounds.append(made["audio"])
        return sounds


__all__ = ["SAMPLE_STEPS", "MaskedSamples"]
