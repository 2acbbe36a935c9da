"""Sings a few songs of the evaluation set at each evaluation, so that one can hear the training."""

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from ...files import write_files
from ...modeling.processing_songgen import SongGenProcessor
from ...optional import require
from ...provenance import encode_song, provenance
from .collator import SongCollator
from .dataset import SongDataset

logger = logging.getLogger(__name__)


class EvaluationAudio(TrainerCallback):
    """Writes ``samples/step-<step>/<number>.flac`` below the run's folder, and to TensorBoard.

    The songs' texts, lyrics and voices come from the dataset, the seed of a song is its number.
    Only the first process sings; under FSDP nobody does, because nobody has the whole model.

    Args:
        songs: the first ``args.sample_songs`` of them are sung.
        processor: of the model.
    """

    def __init__(self, songs: SongDataset, processor: SongGenProcessor):
        self.songs = songs
        self.processor = processor

    def on_evaluate(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        if not state.is_world_process_zero or model is None or args.fsdp:
            return
        model = getattr(model, "module", model)
        training = model.training
        model.eval()
        try:
            sounds = self.sing(model, args)
        finally:
            model.train(training)
        folder = Path(args.output_dir) / "samples" / f"step-{state.global_step:07d}"
        rate = self.processor.sampling_rate
        paths = [folder / f"{number}.flac" for number in range(len(sounds))]
        write_files(
            {
                path: encode_song(sound, rate, path, self._record(model, args, number, state))
                for number, (path, sound) in enumerate(zip(paths, sounds, strict=True))
            }
        )
        if "tensorboard" in args.report_to:
            self._show(sounds, rate, str(Path(args.output_dir) / "runs"), state.global_step)

    def _record(self, model: Any, args: Any, number: int, state: Any) -> dict[str, Any]:
        """Where a sample comes from."""
        song = self.songs[number]
        options = {
            "text": song["text"],
            "lyrics": song["lyrics"],
            "guidance_scale": args.sample_guidance,
            "training_step": state.global_step,
        }
        return provenance(model, seed=number, options=options)

    @torch.no_grad()
    def sing(self, model: Any, args: Any) -> list[Any]:
        """Waveforms [1, S] as numpy arrays, one a song."""
        config = model.config
        collate = SongCollator(config, self.processor)
        max_new_frames = max(1, round(args.sample_seconds * config.frame_rate))
        sounds = []
        for number in range(min(args.sample_songs, len(self.songs))):
            batch = collate([self.songs[number]])
            inputs = {
                name: value.to(model.device)
                for name, value in batch.items()
                if "labels" not in name
            }
            codes = model.generate(
                **inputs,
                max_new_frames=max_new_frames,
                seed=number,
                do_sample=True,
                guidance_scale=args.sample_guidance,
            )
            output = model.decode_codes(codes)
            sounds.append(output.waveform[0, :, : int(output.lengths[0])].cpu().numpy())
        return sounds

    @staticmethod
    def _show(sounds: list[Any], rate: int, folder: str, step: int) -> None:
        require("tensorboard", "train")
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(folder) as writer:
            for number, sound in enumerate(sounds):
                writer.add_audio(f"song/{number}", torch.from_numpy(sound), step, sample_rate=rate)


__all__ = ["EvaluationAudio"]
