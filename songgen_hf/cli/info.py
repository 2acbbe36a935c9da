"""Describe a checkpoint: pattern, rates and sizes. Only its configuration is read, no weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .flags import option
from .loading import RevisionOptions
from .output import CommandResult


@dataclass(frozen=True, kw_only=True)
class InfoOptions(RevisionOptions):
    """Options of ``songgen-hf info``."""

    model: str | None = option(
        None,
        "directory or Hub id (default: the checkpoint that comes with the package)",
        positional=True,
    )


OPTIONS = InfoOptions


def run(options: InfoOptions) -> CommandResult:
    """Describe the checkpoint."""
    from ..checkpoints.loading import fetching, resolve_checkpoint
    from ..modeling.checkpoint_files import reading

    checkpoint = resolve_checkpoint(options.model)
    with reading(checkpoint), fetching(checkpoint):
        facts = describe(checkpoint, options.revision)
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{part} {count:,}" for part, count in value.items())
        lines.append(f"{name.replace('_', ' ') + ':':<22}{value}")
    return CommandResult(facts, "\n".join(lines))


def describe(checkpoint: str, revision: str | None = None) -> dict[str, Any]:
    """The facts in the configuration of a checkpoint.

    Args:
        checkpoint: directory or Hub id of a SongGen checkpoint or a masked model.
        revision: branch, tag or commit of a Hub checkpoint.
    Returns:
        Name -> value; for a SongGen checkpoint ``parameters`` counts each part of the model.
    Raises:
        ValueError: if the checkpoint is of another kind of model.
    """
    from transformers import AutoConfig

    from ..modeling.configuration_songgen import MASKED_MODEL_TYPE
    from .footprint import count_parameters, empty_model

    config = AutoConfig.from_pretrained(checkpoint, revision=revision)
    if config.model_type == MASKED_MODEL_TYPE:
        return describe_masked(checkpoint, revision)
    if config.model_type != "songgen":
        raise ValueError(f"{checkpoint} is of type {config.model_type!r}: expected 'songgen'")
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
        "parameters": count_parameters(empty_model(config)),
    }


def describe_masked(checkpoint: str, revision: str | None = None) -> dict[str, Any]:
    """The facts in the configurations of a masked model's transformer and scheduler."""
    from transformers.utils import cached_file

    from ..modeling.config_checks import check_sizes

    files = ("transformer/config.json", "scheduler/scheduler_config.json")
    found = [cached_file(checkpoint, file, revision=revision) for file in files]
    sizes, settings = (json.loads(Path(str(file)).read_text(encoding="utf-8")) for file in found)
    check_sizes(sizes)
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
