"""The options of encoding songs into codes, and of packing codes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
        seed: seed of the added songs.
        songs_per_shard: songs in one parquet file.
        runner: ``map`` of the datasets library, or ``ray`` for many machines.
        workers: processes.
        device: device of the codec; ``auto`` for an accelerator, if there is one.
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
    seed: int = 0
    songs_per_shard: int = 200
    runner: str = field(default="map", metadata={"choices": RUNNERS})
    workers: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise ValueError(f"unknown runner: got {self.runner!r}, expected map or ray")
        for name in ("songs_per_shard", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: got {getattr(self, name)}")
        if self.mixtures < 0:
            raise ValueError(f"mixtures must be 0 or more: got {self.mixtures}")

    def identity(self) -> dict[str, Any]:
        """What decides the rows; where, how fast and by whom they are made does not."""
        names = (
            "source",
            "model",
            "keep_audio",
            "max_seconds",
            "mixtures",
            "seed",
            "songs_per_shard",
        )
        return {name: getattr(self, name) for name in names}


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
        if self.voice_clips < 0:
            raise ValueError(f"voice_clips must be 0 or more: got {self.voice_clips}")
        if self.max_shard_size <= 0:
            raise ValueError(f"max_shard_size must be more than 0: got {self.max_shard_size}")


__all__ = ["CodesOptions", "PackOptions"]
