"""Judge: rebuild the judges from the corpus (judges), judge a codec (codec) or song models (mini).

"prompts" writes what the models are asked to sing; the fixed prompts come with the package.
"settings" compares temperatures, guidance and the like on one model.
"masked" judges masked models of a few passes beside an autoregressive one.
"songgen-hf evaluate judges --help" lists the flags of one.
"""

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..output import CommandResult, add_output_arguments
from .masked import add_masked, run_masked
from .settings import add_settings, add_singing, run_settings

if TYPE_CHECKING:
    from ...evaluation.protocol.options import MiniOptions

HELP = "train the judges, and judge codecs and models with them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command for each of ``PARTS``."""
    parts = parser.add_subparsers(dest="part", metavar="part", required=True)
    for name, (text, add, _) in PARTS.items():
        part = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        add_output_arguments(part, nested=True)
        add(part)


def run(arguments: argparse.Namespace) -> CommandResult:
    """Run the sub-command that was named."""
    return PARTS[arguments.part][2](arguments)


def add_judges(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf evaluate judges``."""
    from ...evaluation.judges.options import JudgeTrainingOptions

    standard = JudgeTrainingOptions()
    parser.add_argument("--data", required=True, help="parquet files of true songs to learn from")
    parser.add_argument(
        "--validation-data", help="parquet files of true songs to be judged on (not learned from)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write; a started run is continued"
    )
    parser.add_argument("--seed", type=int, default=standard.seed, help="default 0")
    for name in ("recognizer_steps", "classifier_steps"):
        default = getattr(standard, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, default=default, help=f"default {default}"
        )
    parser.add_argument(
        "--codec", help="codec, or song model that holds one, through which they also hear songs"
    )
    parser.add_argument(
        "--coded-songs",
        type=int,
        default=standard.coded_songs,
        help=f"so many of them (default {standard.coded_songs})",
    )
    parser.add_argument("--fp32", action="store_true", help="no bfloat16 matrix products")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run_judges(arguments: argparse.Namespace) -> CommandResult:
    """Train both networks and say how well they judge true songs."""
    from ...evaluation.judges.options import JudgeTrainingOptions
    from ...evaluation.judges.training import train_judges
    from ...evaluation.protocol.judge_validation import validate_judges
    from ..loading import load_codec

    codec = None
    if arguments.codec is not None:
        arguments.model, arguments.revision = arguments.codec, None
        arguments.device, arguments.dtype = "cpu", "float32"
        codec = load_codec(arguments)
    scores = train_judges(
        arguments.data,
        arguments.out,
        JudgeTrainingOptions(
            seed=arguments.seed,
            recognizer_steps=arguments.recognizer_steps,
            classifier_steps=arguments.classifier_steps,
            coded_songs=arguments.coded_songs,
            bf16=not arguments.fp32,
        ),
        validation_data=arguments.validation_data,
        validate=validate_judges,
        codec=codec,
        progress=not arguments.quiet,
    )
    told = [f"  {name:<28} {value:.4g}" for name, value in scores.items()]
    return CommandResult(
        {"judges": arguments.out, "scores": scores},
        "\n".join([f"{arguments.out}: judges trained", *told]),
    )


def add_prompts(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf evaluate prompts``."""
    parser.add_argument("songs", type=Path, help="rendered corpus")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--split", default="test", help="of the corpus (default test)")
    parser.add_argument("--count", type=int, default=120, help="default 120")
    parser.add_argument("--seed", type=int, default=0, help="of the captions (default 0)")


def run_prompts(arguments: argparse.Namespace) -> CommandResult:
    """Make prompts of true songs."""
    from ...evaluation.protocol.prompts import corpus_rows, describe_prompts, make_prompts
    from ...files import encode_json, write_files

    rows = corpus_rows(arguments.songs, arguments.split)
    prompts = make_prompts(rows, arguments.count, seed=arguments.seed)
    described = describe_prompts(prompts, split=arguments.split, seed=arguments.seed)
    write_files({arguments.out: encode_json(described)})
    return CommandResult(
        {"prompts": arguments.out, "count": len(prompts)},
        f"{arguments.out}: {len(prompts)} prompts",
    )


def add_codec(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf evaluate codec``."""
    parser.add_argument("--model", help="codec, or song model that holds one (default: our own)")
    parser.add_argument("--baseline", help="another codec to compare with")
    parser.add_argument("--revision", help="branch, tag or commit of a Hub checkpoint")
    add_material(parser)
    parser.add_argument("--max-songs", type=int, default=100, help="test songs (default 100)")
    parser.add_argument(
        "--probe-songs", type=int, default=300, help="training songs of the probe (default 300)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of probe and intervals (default 0)")
    parser.add_argument("--device", default="cpu", help="of the codecs (default cpu)")


def run_codec(arguments: argparse.Namespace) -> CommandResult:
    """Judge a codec and write the codec's part of the report."""
    from ...evaluation.judges.loading import Judges
    from ...evaluation.protocol.codec_report import CodecEvaluationOptions, evaluate_codecs
    from ...evaluation.protocol.report import update_report
    from ..loading import load_codec

    named = {"codec": arguments.model}
    if arguments.baseline is not None:
        named["baseline"] = arguments.baseline
    arguments.dtype = "float32"
    codecs = {}
    for name, model in named.items():
        arguments.model = model
        codecs[name] = load_codec(arguments)
    options = CodecEvaluationOptions(
        songs=arguments.max_songs, probe_songs=arguments.probe_songs, seed=arguments.seed
    )
    judges = Judges.load(arguments.judges)
    found = evaluate_codecs(codecs, arguments.songs, judges, options, tell=tell)
    parts = {"codec": {"command": command_line(arguments), **found}}
    update_report(arguments.out, parts, pages=arguments.page)
    return CommandResult(
        {"report": arguments.out, "codec": found},
        f"{arguments.out}: codec judged on {found['songs']} songs",
    )


def add_mini(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf evaluate mini``."""
    parser.add_argument(
        "--checkpoints", nargs="+", help="song models (default: both songgen-mini models)"
    )
    add_material(parser)
    parser.add_argument("--prompts-file", type=Path, help="default: the fixed prompts")
    parser.add_argument("--prompts", type=int, default=100, help="of the headline (default 100)")
    parser.add_argument("--row-prompts", type=int, default=30, help="of other rows (default 30)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1], help="of the headline (default 0 1)"
    )
    parser.add_argument(
        "--row-seeds", type=int, nargs="+", default=[0], help="of other rows (default 0)"
    )
    parser.add_argument(
        "--headline",
        help="the row that is quoted, such as guidance=2,voice=no,temperature=0.9,top_k=50 "
        "(default: the checkpoint's own sampling, with a voice)",
    )
    parser.add_argument(
        "--guidances", type=float, nargs="*", default=[1, 2, 3], help="of other rows (1 2 3)"
    )
    add_singing(parser)
    parser.add_argument("--quick", action="store_true", help="6 prompts, one seed, no other rows")
    parser.add_argument("--no-pictures", action="store_true", help="no page of spectrograms")


def run_mini(arguments: argparse.Namespace) -> CommandResult:
    """Sing, judge, and write report, tables and pictures."""
    from ...evaluation.judges.loading import Judges
    from ...evaluation.protocol.evaluation import evaluate_checkpoints
    from ...evaluation.protocol.report import describe_evaluation, update_report, write_pictures
    from ...optional import require
    from ...provenance import library_versions

    if not arguments.no_pictures:
        require("matplotlib", "evaluate")  # now, not after the songs
    options = mini_options(arguments)
    evaluated = evaluate_checkpoints(options, tell=(lambda line: None) if arguments.quiet else tell)
    described = describe_evaluation(
        options,
        evaluated,
        judges=Judges.load(options.judges).report,
        versions=library_versions(),
        command=command_line(arguments),
    )
    written = update_report(arguments.out, described, pages=arguments.page)
    if not arguments.no_pictures:
        written += write_pictures(arguments.out, evaluated)
    return CommandResult(
        {"written": written, **described},
        ", ".join(map(str, written)) + f": {len(evaluated)} models judged",
    )


def mini_options(arguments: argparse.Namespace) -> "MiniOptions":
    """What was asked for; ``--quick`` wins over the numbers."""
    import tempfile

    from ...checkpoints.embedded import EMBEDDED_PATTERNS, default_checkpoint, find_checkpoint
    from ...checkpoints.loading import checked_device
    from ...evaluation.protocol.options import MiniOptions, parse_setting

    named = arguments.checkpoints or [default_checkpoint(name) for name in EMBEDDED_PATTERNS]
    sizes: dict[str, Any] = {
        "prompts": arguments.prompts,
        "row_prompts": arguments.row_prompts,
        "seeds": tuple(arguments.seeds),
        "row_seeds": tuple(arguments.row_seeds),
        "guidances": tuple(arguments.guidances),
    }
    if arguments.quick:
        sizes |= {"prompts": 6, "row_prompts": 6, "seeds": (0,), "guidances": ()}
    return MiniOptions(
        checkpoints=tuple(find_checkpoint(name) for name in named),
        songs=arguments.songs,
        judges=arguments.judges,
        cache=arguments.cache or Path(tempfile.gettempdir()) / "songgen-hf-evaluation",
        prompts_file=arguments.prompts_file,
        headline=parse_setting(arguments.headline or ""),
        batch_size=arguments.batch_size,
        max_seconds=arguments.max_seconds,
        device=str(checked_device(arguments.device)),
        dtype=arguments.dtype,
        **sizes,
    )


def add_material(parser: argparse.ArgumentParser) -> None:
    """What both evaluations need, and where they write."""
    parser.add_argument("--songs", type=Path, required=True, help="rendered corpus")
    parser.add_argument("--judges", type=Path, required=True, help="folder of trained judges")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="JSON report; what it holds of the other command is kept, and a page .md beside it "
        "gets the tables between its marks",
    )
    parser.add_argument(
        "--page",
        type=Path,
        action="append",
        default=[],
        help="another page with such marks; may be given several times",
    )


def command_line(arguments: argparse.Namespace) -> str:
    """The command that runs, as one would type it."""
    return shlex.join(["songgen-hf", *arguments.command_line])


def tell(line: str) -> None:
    """Print a line at once, also into a file."""
    print(line, flush=True)


Part = tuple[
    str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], CommandResult]
]
PARTS: dict[str, Part] = {
    "judges": ("train the judges on true songs", add_judges, run_judges),
    "prompts": ("make prompts of a corpus' songs", add_prompts, run_prompts),
    "codec": ("judge a codec on true songs", add_codec, run_codec),
    "mini": ("sing the prompts with song models and judge them", add_mini, run_mini),
    "settings": ("compare settings of sampling on one model", add_settings, run_settings),
    "masked": ("judge masked models beside an autoregressive one", add_masked, run_masked),
}
