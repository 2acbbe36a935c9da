"""Prepare data for training.

songs prepares recordings: it separates, cuts, transcribes, scores, captions and filters them.
preview does so for ten of them first, filter applies other bounds to a finished preparation.
separate, segment, transcribe, score and caption are songs up to that stage. codes encodes songs
with the codec, pack packs codes for fast training.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.preparation.options import STAGE_NAMES, CodesOptions, PackOptions, SongsOptions
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


@dataclass(frozen=True, kw_only=True)
class PrepareSongsOptions(SongsOptions):
    """Options of ``songgen-hf prepare songs``."""

    progress: bool = option(True, "show no progress bar", flag="--quiet")


@dataclass(frozen=True, kw_only=True)
class PreparePreviewOptions(PrepareSongsOptions):
    """Options of ``songgen-hf prepare preview``."""

    count: int = option(10, "recordings to prepare")


@dataclass(frozen=True, kw_only=True)
class PrepareFilterOptions:
    """Options of ``songgen-hf prepare filter``."""

    output: Path = option(help="folder that songgen-hf prepare songs wrote", positional=True)
    config: str | None = option(
        None, "bounds of this preset, or of a YAML file (default: those of the preparation)"
    )
    changes: tuple[str, ...] = option(
        (), "other bounds, such as filter.min_bandwidth=4000", flag="--set", nargs="+",
        metavar="filter.OPTION=VALUE",
    )  # fmt: skip
    validation_share: float | None = option(
        None, "share of the recordings for the split validation (default: that of the preparation)"
    )
    seed: int | None = option(
        None, "seed of that choice and of the report's samples (default: that of the preparation)"
    )


def _up_to(stage: str) -> type[PrepareSongsOptions]:
    """The options of ``prepare songs`` that stop after a stage."""

    @dataclass(frozen=True, kw_only=True)
    class UpToOptions(PrepareSongsOptions):
        until: str | None = option(stage, flag=None)

    UpToOptions.__doc__ = f"Options of ``songgen-hf prepare {stage}``."
    return UpToOptions


_STAGES = {
    "separate": "separate recordings into vocal and accompaniment",
    "segment": "cut recordings into clips and align given lyrics",
    "transcribe": "transcribe clips without lyrics twice",
    "score": "measure loudness, clipping, bandwidth, energy, tempo and more",
    "caption": "describe clips",
}
OPTIONS = {
    "songs": ("prepare recordings: all stages, filter, report", PrepareSongsOptions),
    "preview": ("prepare some recordings and estimate the rest", PreparePreviewOptions),
    "filter": ("apply other bounds to a finished preparation", PrepareFilterOptions),
    **{name: (text, _up_to(name)) for name, text in _STAGES.items()},
    "codes": ("encode songs with the codec", PrepareCodesOptions),
    "pack": ("pack codes into memory-mapped files, for fast training", PreparePackOptions),
}
assert set(_STAGES) < set(STAGE_NAMES)


def run(
    options: PrepareCodesOptions | PreparePackOptions | PrepareSongsOptions | PrepareFilterOptions,
) -> CommandResult:
    """Prepare what is missing."""
    if isinstance(options, PrepareSongsOptions | PrepareFilterOptions):
        return _prepare_songs(options)
    if isinstance(options, PreparePackOptions):
        from ..training.language_model.packing import pack_songs

        sizes = pack_songs(options, progress=options.progress)
        return _result(options, sizes, packed=options.output)
    from ..checkpoints.loading import resolve_checkpoint
    from ..data.preparation.codes import prepare_codes

    options = replace(options, model=resolve_checkpoint(options.model))
    sizes = prepare_codes(options, progress=options.progress)
    return _result(options, sizes, codes=options.output)


def _prepare_songs(options: PrepareSongsOptions | PrepareFilterOptions) -> CommandResult:
    from ..data.preparation import songs

    preview: songs.Preview | None = None
    if isinstance(options, PrepareFilterOptions):
        found: songs.PreparedSongs | None = songs.filter_again(
            options.output,
            config=options.config,
            changes=options.changes,
            validation_share=options.validation_share,
            seed=options.seed,
        )
    elif isinstance(options, PreparePreviewOptions):
        preview = songs.preview_songs(options, options.count, progress=options.progress)
        found = preview.found
    else:
        found = songs.prepare_songs(options, progress=options.progress)
    if found is None:
        return CommandResult({"output": options.output}, f"{options.output}: stages done")
    lines = [
        f"{options.output}: {found.kept} of {found.clips} clips of {found.recordings} recordings "
        f"kept, {found.seconds / 60:.1f} min; {found.failed} could not be read",
        *(f"  {count:6} dropped: {name}" for name, count in found.reasons.items()),
        f"  report: {options.output / songs.REPORT_FILE}",
        *describe_unused(found.unused_stems),
    ]
    values = {"output": options.output, **found._asdict()}
    if preview is not None:
        values["remaining_seconds"] = preview.remaining_seconds
        seconds = preview.remaining_seconds
        took = "an unknown time" if seconds is None else f"about {seconds / 60:.1f} min"
        lines.append(f"  the other recordings take {took}")
    return CommandResult(values, "\n".join(lines))


def describe_unused(stems: Sequence[Path]) -> list[str]:
    """A line that says what stems of recordings that are gone take, if there are any."""
    files = [file for folder in stems for file in folder.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    names = " ".join(shlex.quote(str(folder)) for folder in stems)
    line = f"  stems of recordings that are gone take {size:.1f} MB; remove them: {names}"
    return [line] if stems else []


def _result(
    options: CodesOptions | PackOptions, sizes: dict[str, int], **written: Path
) -> CommandResult:
    rows = ", ".join(f"{size} {split}" for split, size in sizes.items())
    return CommandResult(
        {**written, "model": options.model, "songs": sizes}, f"{options.output}: {rows}"
    )
