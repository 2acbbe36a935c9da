"""``songgen-hf evaluate mini``, ``settings`` and ``masked``: evaluations of song models."""

from dataclasses import dataclass, replace
from pathlib import Path

from ...evaluation.protocol.options import MaskedOptions, SettingsOptions, SongModelOptions
from ..flags import option
from ..output import CommandResult
from .report_flags import ReportFlags, log_to

SETTINGS_COLUMNS = (
    "per", "per_mixture", "gender", "instrument", "tempo", "fad", "voice_match", "seconds",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MiniFlags(SongModelOptions, ReportFlags):
    """Flags of ``songgen-hf evaluate mini``."""

    quiet: bool = option(False, "print no progress lines")
    quick: bool = option(False, "6 prompts, one seed, no other rows")
    pictures: bool = option(True, "draw no page of spectrograms")


@dataclass(frozen=True, kw_only=True)
class SettingsFlags(SettingsOptions):
    """Flags of ``songgen-hf evaluate settings``."""

    out: Path | None = option(None, "JSON file to write")
    keep_best: bool = option(
        False,
        "write the setting with the lowest phoneme error rate into the generation_config.json of "
        "the checkpoint, which has to be a directory",
    )
    quiet: bool = option(False, "print no progress lines")


@dataclass(frozen=True, kw_only=True)
class MaskedFlags(MaskedOptions, ReportFlags):
    """Flags of ``songgen-hf evaluate masked``."""

    keep_best: bool = option(
        False,
        "write each masked model's setting with the lowest phoneme error rate into its scheduler; "
        "choose it on prompts other than those of the final evaluation",
    )
    quiet: bool = option(False, "print no progress lines")


def run_mini(flags: MiniFlags, command: str) -> CommandResult:
    """Evaluate autoregressive models and write report, tables and pictures."""
    from ...evaluation.protocol.evaluation import evaluate_checkpoints
    from ...evaluation.protocol.report import describe_evaluation, write_pictures, write_report
    from ...optional import require

    if flags.pictures:
        require("matplotlib", "evaluate")  # before the songs, not after them
    if flags.quick:
        flags = replace(flags, prompts=6, row_prompts=6, seeds=(0,), guidances=())
    rows = evaluate_checkpoints(flags, log=log_to(flags.quiet))
    described = describe_evaluation(flags, rows, command=command)
    written = write_report(flags.out, described, pages=flags.page, keep=True)
    if flags.pictures:
        written += write_pictures(flags.out, rows)
    return CommandResult(
        {"written": written, **described},
        ", ".join(map(str, written)) + f": {len(described['checkpoints'])} models evaluated",
    )


def run_settings(flags: SettingsFlags, command: str) -> CommandResult:
    """Compare settings and, if requested, keep the best one."""
    from ...evaluation.protocol.evaluation import compare_settings, keep_setting, settings_file
    from ...evaluation.protocol.tables import CODEC_DISTANCE, markdown_table
    from ...files import encode_json, write_files

    if flags.keep_best:
        settings_file(flags.checkpoint, "autoregressive")  # an error before the songs
    rows = compare_settings(flags, log=log_to(flags.quiet))
    scores = [row.scores.scores() for row in rows]
    best = min(range(len(rows)), key=lambda place: scores[place]["per"])
    facts = {
        "rows": [
            {"setting": setting.facts(), "scores": found}
            for setting, found in zip(flags.settings, scores, strict=True)
        ],
        "best": flags.settings[best].facts(),
    }
    if flags.keep_best:
        keep_setting(flags.checkpoint, flags.settings[best])
    if flags.out is not None:
        write_files({flags.out: encode_json(facts)})
    cells = [
        [f"{row.setting}{' (best)' if place == best else ''}"]
        + [f"{found[name]:.3f}" if name in found else "" for name in SETTINGS_COLUMNS]
        for place, (row, found) in enumerate(zip(rows, scores, strict=True))
    ]
    titles = (CODEC_DISTANCE if name == "fad" else name for name in SETTINGS_COLUMNS)
    return CommandResult(facts, markdown_table(("setting", *titles), cells))


def run_masked(flags: MaskedFlags, command: str) -> CommandResult:
    """Evaluate masked models and write the report."""
    from ...evaluation.protocol.evaluation import (
        best_row,
        evaluate_masked,
        keep_setting,
        settings_file,
    )
    from ...evaluation.protocol.report import describe_masked, results_markdown, write_report
    from ...optional import require

    require("diffusers", "diffusers")
    if flags.keep_best:
        for checkpoint in flags.masked:
            settings_file(checkpoint, "masked")  # an error before the songs
    rows = evaluate_masked(flags, log=log_to(flags.quiet))
    report = describe_masked(flags, rows, command=command)
    written = write_report(flags.out, report, pages=flags.page)
    for checkpoint in flags.masked if flags.keep_best else ():
        best = best_row([row for row in rows if row.model.checkpoint == checkpoint])
        assert best.setting is not None
        written.append(keep_setting(checkpoint, best.setting))
    return CommandResult({"written": written, **report}, results_markdown(report))
