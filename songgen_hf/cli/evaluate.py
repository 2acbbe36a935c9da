"""Judge: rebuild the judges from the corpus (judges).

"songgen-hf evaluate judges --help" lists the flags of one.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

HELP = "train the judges, and judge codecs and models with them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command for each of ``PARTS``."""
    parts = parser.add_subparsers(dest="part", metavar="part", required=True)
    for name, (text, add, _) in PARTS.items():
        part = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        # Not set here: the parser of the whole command has set it already.
        part.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
        add(part)


def run(arguments: argparse.Namespace) -> None:
    """Run the sub-command that was named."""
    PARTS[arguments.part][2](arguments)


def add_judges(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf evaluate judges``."""
    from ..evaluation.judge_options import JudgeTrainingOptions

    standard = JudgeTrainingOptions()
    parser.add_argument("--data", required=True, help="parquet files of true songs to learn from")
    parser.add_argument(
        "--validation-data", help="parquet files of true songs to be judged on (not learnt from)"
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
    parser.add_argument("--fp32", action="store_true", help="no bfloat16 matrix products")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run_judges(arguments: argparse.Namespace) -> None:
    """Train both networks and say how well they judge true songs."""
    from ..evaluation.judge_options import JudgeTrainingOptions
    from ..evaluation.judge_training import train_judges

    scores = train_judges(
        arguments.data,
        arguments.out,
        JudgeTrainingOptions(
            seed=arguments.seed,
            recognizer_steps=arguments.recognizer_steps,
            classifier_steps=arguments.classifier_steps,
            bf16=not arguments.fp32,
        ),
        validation_data=arguments.validation_data,
        progress=not arguments.quiet,
    )
    print(f"{arguments.out}: judges trained")
    for name, value in scores.items():
        print(f"  {name:<28} {value:.4g}")


Part = tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]]
PARTS: dict[str, Part] = {
    "judges": ("train the judges on true songs", add_judges, run_judges),
}
