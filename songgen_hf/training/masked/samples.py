"""Generation of a few evaluation songs during masked training, to listen to."""

from typing import Any

from ...pipelines.masked_song import MaskedSongPipeline
from ...pipelines.song_plan import letter_count
from ..language_model.samples import SampleSongs
from .dataset import MaskedSongs

NUM_INFERENCE_STEPS = 16


class SampleMaskedSongs(SampleSongs):
    """:class:`SampleSongs` with a masked model.

    Args:
        pipe: the pipeline whose transformer is trained.
        songs: the dataset, whose first ``args.sample_songs`` songs are generated; they are as long
            as those of the dataset, and at most ``args.sample_seconds`` long.
    """

    def __init__(self, pipe: MaskedSongPipeline, songs: MaskedSongs):
        super().__init__(songs.songs, pipe.processor)
        self.pipe = pipe

    def generate(self, model: Any, args: Any, index: int) -> Any:
        """Generate the song with the given index: a waveform [1, S], a numpy array."""
        self.pipe.codec.to(next(model.parameters()).device)
        rate, song = model.config.frame_rate, self.songs[index]
        longest = max(1, round(args.sample_seconds * rate))
        output = self.pipe(
            song["text"] or "",
            lyrics=song["lyrics"] if letter_count(song["lyrics"] or "") else None,
            reference_voice=song["voice"],
            voice_start=song["voice_start"],
            language=song["language"],
            seconds=min(longest, song["codes"].shape[-1]) / rate,
            num_inference_steps=NUM_INFERENCE_STEPS,
            guidance_scale=args.sample_guidance,
            seed=index,
            progress=False,
        )
        return output["audio"]


__all__ = ["SampleMaskedSongs"]
