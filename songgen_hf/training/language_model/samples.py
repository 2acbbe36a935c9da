"""Generation of a few evaluation songs during training, to listen to."""

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


class SampleSongs(TrainerCallback):
    """Generates songs at each evaluation and writes them to ``samples/step-<step>/<index>.flac``.

    TensorBoard gets them, too. Texts, lyrics and voices come from the dataset; the seed of a song
    is its index. The first process generates the songs. Under FSDP none are generated, because no
    process has the whole model.

    Args:
        songs: the dataset, whose first ``args.sample_songs`` songs are generated.
        processor: processor of the model.
    """

    def __init__(self, songs: SongDataset, processor: SongGenProcessor):
        self.songs = songs
        self.processor = processor

    def on_evaluate(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero or model is None or args.fsdp:
            return
        model = getattr(model, "module", model)
        training = model.training
        model.eval()
        try:
            number = min(args.sample_songs, len(self.songs))
            waveforms = [self.generate(model, args, index) for index in range(number)]
        finally:
            model.train(training)
        folder = Path(args.output_dir) / "samples" / f"step-{state.global_step:07d}"
        rate = self.processor.sampling_rate
        paths = [folder / f"{index}.flac" for index in range(len(waveforms))]
        write_files(
            {
                path: encode_song(waveform, rate, path, self._record(model, args, index, state))
                for index, (path, waveform) in enumerate(zip(paths, waveforms, strict=True))
            }
        )
        if "tensorboard" in args.report_to:
            self._show(waveforms, rate, str(Path(args.output_dir) / "runs"), state.global_step)

    def _record(self, model: Any, args: Any, index: int, state: Any) -> dict[str, Any]:
        """The provenance record of a sample."""
        song = self.songs[index]
        text, lyrics = song["text"], song["lyrics"]
        if "text_ids" in song:  # packed
            text = self.processor.tokenizer.decode(song["text_ids"], skip_special_tokens=True)
            lyrics = self.processor.decode_lyrics(song["lyrics_ids"], skip_special_tokens=True)
        options = {
            "text": text,
            "lyrics": lyrics,
            "guidance_scale": args.sample_guidance,
            "training_step": state.global_step,
        }
        return provenance(model, seed=index, options=options)

    @torch.no_grad()
    def generate(self, model: Any, args: Any, index: int) -> Any:
        """Generate the song with the given index: a waveform [1, S], a numpy array."""
        config = model.config
        batch = SongCollator(config, self.processor)([self.songs[index]])
        inputs = {name: batch[name].to(model.device) for name in batch if "labels" not in name}
        codes = model.generate(
            **inputs,
            max_new_frames=max(1, round(args.sample_seconds * config.frame_rate)),
            seed=index,
            do_sample=True,
            guidance_scale=args.sample_guidance,
        )
        output = model.decode_codes(codes)
        return output.waveform[0, :, : int(output.lengths[0])].cpu().numpy()

    @staticmethod
    def _show(waveforms: list[Any], rate: int, folder: str, step: int) -> None:
        require("tensorboard", "train")
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(folder) as writer:
            for index, waveform in enumerate(waveforms):
                audio = torch.from_numpy(waveform)
                writer.add_audio(f"song/{index}", audio, step, sample_rate=rate)


__all__ = ["SampleSongs"]
