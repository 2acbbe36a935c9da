"""Small versions of the files that a reader of the documentation is assumed to have."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from .blocks import ROOT

WORDS = "the silver river runs below the hill\nthe sunlight is dancing on the water\n"


def give(name: str, folder: Path) -> None:
    """Make the file or folder of that name in ``folder``.

    Raises:
        KeyError: for a name that is not in ``MAKERS``.
    """
    MAKERS[name](folder / name)


def voice(path: Path) -> None:
    """Three seconds of a rendered singer."""
    samples, rate = soundfile.read(ROOT / "docs" / "audio" / "voice.flac")
    soundfile.write(path, samples, rate)


def words(path: Path) -> None:
    """Two lines to sing."""
    path.write_text(WORDS, encoding="utf-8")


def recording(path: Path) -> None:
    """A second of a song."""
    samples, rate = soundfile.read(ROOT / "docs" / "audio" / "rendered.flac")
    soundfile.write(path, samples[:rate], rate)


def band(path: Path) -> None:
    """Four seconds of a song."""
    samples, rate = soundfile.read(ROOT / "docs" / "audio" / "rendered.flac")
    soundfile.write(path, np.resize(samples, 4 * rate), rate)


def recordings(folder: Path) -> None:
    """Three songs as a user has them: mixture, vocal, accompaniment and words of each."""
    folder.mkdir()
    mixture, rate = soundfile.read(ROOT / "docs" / "audio" / "rendered.flac", dtype="float32")
    sung, _ = soundfile.read(ROOT / "docs" / "audio" / "voice.flac", dtype="float32")
    for number in range(1, 4):
        start = number * rate // 2
        accompaniment = 0.5 * mixture[start : start + rate]
        vocal = 0.5 * sung[start : start + rate]
        both = {"": accompaniment + vocal, ".vocal": vocal, ".accompaniment": accompaniment}
        for suffix, samples in both.items():
            name = f"song-{number}{suffix}.wav"
            soundfile.write(folder / name, samples.astype(np.float32), rate)
        (folder / f"song-{number}.txt").write_text("the river runs", encoding="utf-8")


def album(folder: Path) -> None:
    """Two songs of six seconds with their stems and genre."""
    folder.mkdir()
    mixture, rate = soundfile.read(ROOT / "docs" / "audio" / "rendered.flac", dtype="float32")
    sung, _ = soundfile.read(ROOT / "docs" / "audio" / "voice.flac", dtype="float32")
    for number in (1, 2):
        accompaniment = 0.5 * np.resize(np.roll(mixture, number * rate), 6 * rate)
        vocal = 0.5 * np.resize(sung, 6 * rate)
        both = {"": accompaniment + vocal, ".vocal": vocal, ".accompaniment": accompaniment}
        for suffix, samples in both.items():
            soundfile.write(folder / f"song-{number}{suffix}.wav", samples, rate)
        (folder / f"song-{number}.json").write_text('{"genre": "folk"}', encoding="utf-8")


def parquet(path: Path) -> None:
    """The three songs of ``recordings`` as parquet with the columns of the corpus."""
    import datasets

    folder = path.parent / "recordings-of-the-parquet"
    recordings(folder)
    endings = {"mixture": ".wav", "vocal": ".vocal.wav", "accompaniment": ".accompaniment.wav"}
    rows = [
        {"lyrics": words.read_text(encoding="utf-8"), "captions": ["a folk song"]}
        | {
            column: {"bytes": words.with_suffix(ending).read_bytes(), "path": None}
            for column, ending in endings.items()
        }
        for words in sorted(folder.glob("*.txt"))
    ]
    shutil.rmtree(folder)
    datasets.Dataset.from_list(rows).to_parquet(path)


def songs(folder: Path) -> None:
    """A folder with one parquet file of songs."""
    folder.mkdir()
    parquet(folder / "train.parquet")


def corpus(folder: Path) -> None:
    """A folder of parquet in the layout of ``songgen-hf corpus``."""
    (folder / "data").mkdir(parents=True)
    parquet(folder / "data" / "train-00000-of-00001.parquet")


def compared(folder: Path) -> None:
    """Three songs of a second, with the names that those of other systems have."""
    folder.mkdir()
    samples, rate = soundfile.read(ROOT / "docs" / "audio" / "rendered.flac")
    for number in range(1, 4):
        start = number * rate // 2
        soundfile.write(folder / f"song-{number}.wav", samples[start : start + rate], rate)


def adapter(path: Path) -> None:
    """An untrained adapter of the embedded model."""
    from songgen_hf import default_checkpoint
    from songgen_hf.training.language_model.initialization import load_model
    from songgen_hf.training.language_model.lora import LoraOptions, add_lora
    from songgen_hf.training.options import ModelOptions

    model, processor = load_model(ModelOptions(model=default_checkpoint()))
    add_lora(model, LoraOptions(lora_rank=2), processor).save_pretrained(path)


def untrained(path: Path) -> None:
    """A two-track mini model with random weights."""
    from songgen_hf.checkpoints.embedded import write_untrained

    write_untrained(path, preset="mini", seed=0, track_pattern="interleaving_A_V")


def masked(path: Path) -> None:
    """A complete masked model with random weights, on a two-track mini model."""
    import tempfile

    import torch

    from songgen_hf import (
        MaskedSongModel,
        MaskedSongPipeline,
        SongGenForConditionalGeneration,
        SongGenProcessor,
    )

    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        untrained(Path(folder) / "model")
        model = SongGenForConditionalGeneration.from_pretrained(Path(folder) / "model")
        processor = SongGenProcessor.from_pretrained(Path(folder) / "model")
        torch.manual_seed(0)
        transformer = MaskedSongModel.from_song_model(model, head="softmax", num_layers=2)
        MaskedSongPipeline.from_song_model(model, processor, transformer).save_pretrained(path)


def embedded(path: Path) -> None:
    """The embedded model, exported as a folder of its own."""
    from songgen_hf import SongGenForConditionalGeneration, SongGenProcessor, default_checkpoint
    from songgen_hf.publishing.export import export

    directory = default_checkpoint()
    model = SongGenForConditionalGeneration.from_pretrained(directory)
    export(model, SongGenProcessor.from_pretrained(directory), path)


def codec(path: Path) -> None:
    """A copy of the embedded codec."""
    from songgen_hf.checkpoints.embedded import find_checkpoint

    shutil.copytree(find_checkpoint("songgen-mini/codec"), path)


MAKERS: dict[str, Callable[[Path], None]] = {
    "voice.flac": voice,
    "voice.wav": voice,
    "band.wav": band,
    "singer.wav": voice,
    "words.txt": words,
    "beginning.wav": recording,
    "song.wav": recording,
    "album": album,
    "songs-a": compared,
    "songs-b": compared,
    "songs-c": compared,
    "my-recordings": recordings,
    "my-songs": songs,
    "songs": corpus,
    "my-model": embedded,
    "other-adapter": adapter,
    "two-tracks": untrained,
    "my-masked": masked,
    "my-codec": codec,
}

__all__ = ["MAKERS", "give"]
