"""Options of an experiment, without torch, so that the help of the command is fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..protocol.options import MAX_SECONDS


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions:
    """Which experiment runs, on which data.

    Args:
        name: experiment of the package, or a YAML file of the same form.
        output: folder of all trainings, which later experiments share; a training with the same
            options is not repeated, a killed one goes on.
        dataset: codes parquet or packed codes that are trained and scored on.
        changes: options of every training, such as max_steps=200, over those of the experiment.
        variants: run only these (default: all).
        seeds: seeds of the trainings; each variant is trained once with each of them.
        split: split that the variants are scored on.
        songs: songs of the split, from the first.
        page: page that gets the section of the experiment.
        prompts_file: prompts of generated songs (default: the fixed prompts).
        prompts: number of these prompts.
        max_seconds: longest generated song in seconds.
        judges: folder of trained judges; with it, songs are generated and scored, too.
        corpus: folder of the rendered corpus of the prompts, or of the songs of codecs.

    Raises:
        ValueError: for numbers out of range, or judges without a corpus.
    """

    name: str | None = field(default=None, metadata={"positional": True})
    output: Path = Path("experiments")
    dataset: str | None = None
    changes: tuple[str, ...] = field(
        default=(), metadata={"flag": "--set", "metavar": "NAME=VALUE"}
    )
    variants: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    split: str = "validation"
    songs: int = 64
    page: Path | None = None
    prompts_file: Path | None = None
    prompts: int = 24
    max_seconds: float = MAX_SECONDS
    judges: Path | None = None
    corpus: Path | None = None

    def __post_init__(self) -> None:
        if self.songs < 1 or self.prompts < 1 or not self.seeds:
            raise ValueError(
                f"got {self.songs} songs, {self.prompts} prompts and {len(self.seeds)} seeds, "
                "expected at least one of each"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"got seeds {self.seeds}, expected each of them once")
        if self.judges is not None and self.corpus is None:
            raise ValueError(
                "judges hear songs of prompts from a corpus: name its folder with --corpus"
            )


__all__ = ["ExperimentOptions"]
