"""Prepare data for training: ``codes`` encodes songs with the codec, ``pack`` packs codes."""

from dataclasses import dataclass, replace
from pathlib import Path

from ..data.preparation.options import CodesOptions, PackOptions
from .flags import option
from .output import CommandResult


@dataclass(frozen=True, kw_only=True)
class PrepareCodesOptions(CodesOptions):
    """Options of ``songgen-hf prepare codes``."""

    progress: bool = option(True, "show no progress bar", flag="--quiet")


@dataclass(frozen=True, kw_only=True)
class PreparePackOptions(PackOptions):
    """Options of ``songgen-hf prepare pack``."""

    progress: bool = option(True, "show no progress bar", flag="--quiet")


OPTIONS = {
    "codes": ("encode songs with the codec", PrepareCodesOptions),
    "pack": ("pack codes into memory-mapped files, for fast training", PreparePackOptions),
}


def run(options: PrepareCodesOptions | PreparePackOptions) -> CommandResult:
    """Encode or pack what is missing."""
    if isinstance(options, PreparePackOptions):
        from ..training.language_model.packing import pack_songs

        sizes = pack_songs(options, progress=options.progress)
        return _result(options, sizes, packed=options.output)
    from ..checkpoints.loading import resolve_checkpoint
    from ..data.preparation.codes import prepare_codes

    options = replace(options, model=resolve_checkpoint(options.model))
    sizes = prepare_codes(options, progress=options.progress)
    return _result(options, sizes, codes=options.output)


def _result(
    options: CodesOptions | PackOptions, sizes: dict[str, int], **written: Path
) -> CommandResult:
    rows = ", ".join(f"{size} {split}" for split, size in sizes.items())
    return CommandResult(
        {**written, "model": options.model, "songs": sizes}, f"{options.output}: {rows}"
    )
