"""The options of preparing songs, of encoding them into codes, and of packing codes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .option_checks import check_at_least, check_device_share, check_positive
from .runners import RUNNERS


@dataclass(frozen=True)
class CodesOptions:
    """What to encode, how, and where to write it.

    Args:
        source: songs with audio columns: a folder or file of parquet, or a Hub id.
        output: folder to write; a started one is continued.
        model: codec, or song model that holds one (default: the codec of the package).
        splits: splits to encode (default: all).
        keep_audio: audio columns to copy, for the reference voice.
        max_seconds: length to which longer songs are cut (default: no limit).
        mixtures: songs made of two to add per training song (AudioGen's augmentation), for songs
            without lyrics: only the codes and captions of the mixture are written.
        mixture_epochs: epochs of training for which the added songs are drawn anew; training
            repeats them after that.
        seed: seed of the added songs.
        songs_per_shard: songs in one parquet file.
        runner: ``map`` of the datasets library, or ``ray`` for many machines.
        workers: processes.
        device: device of the codec; ``auto`` for an accelerator, if there is one.
        device_share: share of a GPU that a process gets with Ray, which shows it none otherwise.
    Raises:
        ValueError: if a value is out of range.
    """

    source: str = field(metadata={"positional": True})
    output: Path = field(metadata={"positional": True})
    model: str | None = None
    splits: tuple[str, ...] | None = None
    keep_audio: tuple[str, ...] = field(default=("vocal",), metadata={"nargs": "*"})
    max_seconds: float | None = None
    mixtures: float = 0.0
    mixture_epochs: int = 1
    seed: int = 0
    songs_per_shard: int = 200
    runner: str = field(default="map", metadata={"choices": RUNNERS})
    workers: int = 1
    device: str = "cpu"
    device_share: float = 0.0

    def __post_init__(self) -> None:
        check_device_share(self)
        if self.runner not in RUNNERS:
            raise ValueError(f"unknown runner: got {self.runner!r}, expected map or ray")
        check_at_least(self, 1, "mixture_epochs", "songs_per_shard", "workers")
        check_at_least(self, 0, "mixtures")

    def identity(self) -> dict[str, Any]:
        """What decides the rows; where, how fast and by whom they are made does not."""
        names = (
            "source",
            "model",
            "keep_audio",
            "max_seconds",
            "mixtures",
            "mixture_epochs",
            "seed",
            "songs_per_shard",
        )
        return {name: getattr(self, name) for name in names}


STAGE_NAMES = ("inspect", "separate", "segment", "transcribe", "score", "caption")
"""The stages of a preparation in order; the filter follows."""
CONFIGURATIONS = ("paper", "hq", "small")


@dataclass(frozen=True)
class SongsOptions:
    """Which recordings to prepare, how, and where to write the result.

    Args:
        source: recordings: a folder of sound files, a manifest (CSV, JSON lines, parquet) with a
            column path, or a dataset with audio.
        output: folder to write; a started one is continued.
        config: how to prepare: paper (the bounds of SongGen), hq (those of its high quality
            subset), small (for an album), or a YAML file with a section for each stage.
        changes: options of stages, such as separate.separator=htdemucs or
            filter.min_bandwidth=4000.
        split: split of a source that is a dataset.
        validation_share: share of the recordings whose clips become the split validation.
        retry: compute recordings with an error again.
        until: last stage to run (default: all, and the filter).
        seed: seed of the choice of recordings for validation and preview, and of the report's
            samples.
        runner: map of the datasets library, or ray for many machines.
        workers: processes.
    Raises:
        ValueError: if a value is out of range.
    """

    source: str = field(metadata={"positional": True})
    output: Path = field(metadata={"positional": True})
    config: str = "paper"
    changes: tuple[str, ...] = field(
        default=(), metadata={"flag": "--set", "metavar": "STAGE.OPTION=VALUE", "nargs": "+"}
    )
    split: str = "train"
    validation_share: float = 0.0
    retry: bool = False
    until: str | None = field(default=None, metadata={"choices": STAGE_NAMES})
    seed: int = 0
    runner: str = field(default="map", metadata={"choices": RUNNERS})
    workers: int = 1

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise ValueError(f"unknown runner: got {self.runner!r}, expected map or ray")
        if self.until is not None and self.until not in STAGE_NAMES:
            raise ValueError(
                f"unknown stage: got {self.until!r}, expected one of {', '.join(STAGE_NAMES)}"
            )
        check_at_least(self, 1, "workers")
        if not 0 <= self.validation_share < 1:
            raise ValueError(
                f"validation_share must be 0 or more and below 1: got {self.validation_share}"
            )


@dataclass(frozen=True)
class PackOptions:
    """Which codes to pack, for which model, and where to write them.

    Args:
        source: codes parquet, as ``prepare codes`` writes it: a folder or a Hub id.
        output: folder to write; a started one is continued.
        model: the model to train, or another one with the same tokenizers and the same sampling
            rate of voices: a folder, a Hub id, or the name of a preset (mini, full).
        splits: splits to pack (default: all).
        voice_column: audio column from which reference voices are drawn; none if absent.
        voice_clips: number of clips of reference voice to keep of each song, evenly spaced; 0 keeps
            whole recordings, from which every start can be drawn.
        max_shard_size: greatest size of a file in megabytes; a single song may be larger.
    Raises:
        ValueError: if a value is out of range.
    """

    source: str = field(metadata={"positional": True})
    output: Path = field(metadata={"positional": True})
    model: str = "mini"
    splits: tuple[str, ...] | None = None
    voice_column: str = "vocal"
    voice_clips: int = 0
    max_shard_size: float = 256.0

    def __post_init__(self) -> None:
        check_at_least(self, 0, "voice_clips")
        check_positive(self, "max_shard_size")


__all__ = ["CONFIGURATIONS", "STAGE_NAMES", "CodesOptions", "PackOptions", "SongsOptions"]
