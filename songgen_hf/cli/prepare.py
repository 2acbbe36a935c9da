"""Prepare data for training: ``codes`` encodes songs with the codec into parquet files."""

from dataclasses import dataclass, replace

from ..data.preparation.options import CodesOptions
from .flags import option
from .output import CommandResult


@dataclass(frozen=True, kw_only=True)
class PrepareCodesOptions(CodesOptions):
    """Options of ``songgen-hf prepare codes``."""

    progress: bool = option(True, "show no progress bar", flag="--quiet")


OPTIONS = {"codes": ("encode songs with the codec", PrepareCodesOptions)}


def run(options: PrepareCodesOptions) -> CommandResult:
    """Encode what is missing."""
    from ..checkpoints.loading import resolve_checkpoint
    from ..data.preparation.codes import prepare_codes

    options = replace(options, model=resolve_checkpoint(options.model))
    sizes = prepare_codes(options, progress=options.progress)
    rows = ", ".join(f"{size} {split}" for split, size in sizes.items())
    return CommandResult(
        {"codes": options.output, "model": options.model, "songs": sizes},
        f"{options.output}: {rows}",
    )
