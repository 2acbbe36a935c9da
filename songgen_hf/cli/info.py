"""Say what a checkpoint is: pattern, rates, sizes. Reads its configuration only, no weights."""

import argparse
import json
from pathlib import Path
from typing import Any

from ..checkpoints.loading import resolve_checkpoint
from .output import CommandResult

HELP = "describe a checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf info``."""
    parser.add_argument(
        "model", nargs="?", help="directory or Hub id (default: the package's own checkpoint)"
    )
    parser.add_argument("--revision", help="branch, tag or commit of a Hub checkpoint")


def run(arguments: argparse.Namespace) -> CommandResult:
    """Describe the checkpoint."""
    facts = describe(resolve_checkpoint(arguments.model), arguments.revision)
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{part} {count:,}" for part, count in value.items())
        lines.append(f"{name.replace('_', ' ') + ':':<22}{value}")
    return CommandResult(facts, "\n".join(lines))


def describe(checkpoint: str, revision: str | None = None) -> dict[str, Any]:
    """What a checkpoint's configuration says.

    Args:
        checkpoint: directory or Hub id of a SongGen checkpoint or a masked model.
        revision: branch, tag or commit of a Hub checkpoint.
    Returns:
        Names to values; of a SongGen checkpoint ``parameters`` counts each part of the model.
    Raises:
        ValueError: if the checkpoint is of another kind of model.
    """
    from transformers import AutoConfig

    from ..pipelines.masked_folders import MASKED_MODEL_TYPE
    from .footprint import footprint

    config = AutoConfig.from_pretrained(checkpoint, revision=revision)
    if config.model_type == MASKED_MODEL_TYPE:
        return describe_masked(checkpoint, revision)
    if config.model_type != "songgen":
        raise ValueError(f"{checkpoint} is of type {config.model_type!r}: expected 'songgen'")
    sizes = footprint(config)
    return {
        "model": checkpoint,
        "trained": getattr(config, "trained", True),
        "track_pattern": config.decoder.track_pattern,
        "tracks": config.decoder.num_tracks,
        "codebooks": config.num_codebooks,
        "rows": config.decoder.num_rows,
        "sampling_rate": config.sampling_rate,
        "frame_rate": config.frame_rate,
        "steps_per_second": config.frame_rate * config.decoder.pattern.stride,
        "voice_sampling_rate": config.voice_sampling_rate,
        "hidden_size": config.decoder.hidden_size,
        "layers": config.decoder.num_hidden_layers,
        "parameters": {"total": sizes.num_parameters, **sizes.parameters},
    }


def describe_masked(checkpoint: str, revision: str | None = None) -> dict[str, Any]:
    """What the configurations of a masked model's transformer and scheduler say."""
    from transformers.utils import cached_file

    files = ("transformer/config.json", "scheduler/scheduler_config.json")
    found = [cached_file(checkpoint, file, revision=revision) for file in files]
    sizes, settings = (json.loads(Path(str(file)).read_text(encoding="utf-8")) for file in found)
    return {
        "model": checkpoint,
        "mode": "masked",
        "tracks": sizes["num_tracks"],
        "codebooks": sizes["num_codebooks"],
        "codebook_size": sizes["codebook_size"],
        "frame_rate": sizes["frame_rate"],
        "head": sizes["head"],
        "hidden_size": sizes["hidden_size"],
        "layers": sizes["num_layers"],
        **{name: value for name, value in settings.items() if not name.startswith("_")},
    }
