"""``songgen-hf evaluate masked``: masked models beside an autoregressive one, in one table."""

import argparse
import platform
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ..output import CommandResult
from .settings import add_singing

if TYPE_CHECKING:
    from ...evaluation.protocol.masked_options import MaskedOptions


def add_masked(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf evaluate masked``."""
    from ...evaluation.protocol.masked_options import HEADLINE_PASSES, PASSES

    parser.add_argument(
        "--masked", nargs="+", required=True, help="masked models, at most one of each head"
    )
    parser.add_argument(
        "--checkpoint", help="autoregressive song model of two tracks (default: songgen-mini's)"
    )
    parser.add_argument("--songs", type=Path, required=True, help="rendered corpus")
    parser.add_argument("--judges", type=Path, required=True, help="folder of trained judges")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="JSON report; a page .md beside it gets the table between its marks",
    )
    parser.add_argument(
        "--page", type=Path, action="append", default=[], help="another page with such marks"
    )
    parser.add_argument("--prompts-file", type=Path, help="default: the fixed prompts")
    parser.add_argument("--prompts", type=int, default=100, help="of every row (default 100)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="of every row (default 0)"
    )
    parser.add_argument(
        "--passes",
        type=int,
        nargs="+",
        default=list(PASSES),
        help=f"rows of each masked model (default {' '.join(map(str, PASSES))})",
    )
    parser.add_argument(
        "--headline-passes",
        type=int,
        default=HEADLINE_PASSES,
        help="of the rows with and without guidance and with both reveals "
        f"(default {HEADLINE_PASSES})",
    )
    parser.add_argument(
        "--settings",
        nargs="+",
        default=[],
        metavar="SETTING",
        help="these rows instead, such as passes=16,guidance=1:3,reveal=random,top_p=0.9,"
        "choice_temperature=4; the checkpoint's own for what is not named",
    )
    parser.add_argument(
        "--every-combination",
        action="store_true",
        help="all numbers of passes with and without guidance and with both reveals",
    )
    parser.add_argument(
        "--keep-best",
        action="store_true",
        help="write each masked model's settings with the lowest phoneme error rate into its "
        "scheduler; choose on prompts that are not those of the final evaluation",
    )
    parser.add_argument(
        "--headline", help="how the autoregressive model sings (default: its own sampling)"
    )
    parser.add_argument(
        "--timed-songs", type=int, default=2, help="made one by one for the time (default 2)"
    )
    add_singing(parser, batch_size=20)


def run_masked(arguments: argparse.Namespace) -> CommandResult:
    """Make, judge, time and write the report."""
    from ...optional import require

    require("diffusers", "diffusers")
    from ...evaluation.judges.loading import Judges
    from ...evaluation.protocol.masked import evaluate_masked, keep_best
    from ...evaluation.protocol.masked_report import describe_masked, masked_markdown, write_report
    from ...provenance import library_versions

    options = masked_options(arguments)
    rows = evaluate_masked(options, tell=(lambda line: None) if arguments.quiet else _tell)
    report = describe_masked(
        options,
        rows,
        judges=Judges.load(options.judges).report,
        machine=machine(options.device),
        versions=library_versions() | {"diffusers": require("diffusers", "diffusers").__version__},
        command=shlex.join(["songgen-hf", *arguments.command_line]),
    )
    written = write_report(arguments.out, report, pages=arguments.page)
    if arguments.keep_best:
        written += keep_best(options, rows)
    return CommandResult({"written": written, **report}, masked_markdown(report))


def masked_options(arguments: argparse.Namespace) -> "MaskedOptions":
    """What was asked for."""
    import tempfile

    from ...checkpoints.embedded import default_checkpoint, find_checkpoint
    from ...checkpoints.loading import checked_device
    from ...evaluation.protocol.masked_options import MaskedOptions, parse_masked_setting
    from ...evaluation.protocol.options import parse_setting

    checkpoint = arguments.checkpoint or default_checkpoint("interleaving_A_V")
    return MaskedOptions(
        checkpoint=find_checkpoint(checkpoint),
        masked=tuple(find_checkpoint(name) for name in arguments.masked),
        songs=arguments.songs,
        judges=arguments.judges,
        cache=arguments.cache or Path(tempfile.gettempdir()) / "songgen-hf-evaluation",
        prompts_file=arguments.prompts_file,
        prompts=arguments.prompts,
        seeds=tuple(arguments.seeds),
        passes=tuple(arguments.passes),
        headline_passes=arguments.headline_passes,
        settings=tuple(parse_masked_setting(text) for text in arguments.settings),
        every_combination=arguments.every_combination,
        batch_size=arguments.batch_size,
        timed_songs=arguments.timed_songs,
        max_seconds=arguments.max_seconds,
        device=str(checked_device(arguments.device)),
        dtype=arguments.dtype,
        sung=parse_setting(arguments.headline or ""),
    )


def machine(device: str) -> dict[str, str | int]:
    """What the seconds were taken on."""
    import torch

    name = platform.processor() or platform.machine()
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    return {"name": name, "device": device, "threads": torch.get_num_threads()}


def _tell(line: str) -> None:
    print(line, flush=True)


__all__ = ["add_masked", "run_masked"]
