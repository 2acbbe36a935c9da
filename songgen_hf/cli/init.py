"""Write a new checkpoint with seeded random weights, to train or to test with."""

import argparse
from pathlib import Path

from .output import CommandResult

HELP = "write an untrained checkpoint"

OPTIONS = ("track_pattern", "text_tokenizer", "lyrics_vocab")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf init``."""
    parser.add_argument("--preset", default="mini", help="mini or full (default: mini)")
    parser.add_argument(
        "--track-pattern",
        help="mixed, mixed_pro, parallel_std, parallel_A_V, parallel_V_A, interleaving_A_V or "
        "interleaving_V_A (default: the preset's own)",
    )
    parser.add_argument(
        "--text-tokenizer", help="full preset: T5 tokenizer, a folder or a Hub repository"
    )
    parser.add_argument(
        "--lyrics-vocab", help="full preset: lyrics vocabulary, a JSON file or a Hub repository"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="directory to make")


def run(arguments: argparse.Namespace) -> CommandResult:
    """Write the checkpoint."""
    from ..checkpoints.embedded import write_untrained
    from ..presets.models import DEFAULT_TRACK_PATTERN

    options = {name: getattr(arguments, name) for name in OPTIONS}
    write_untrained(
        arguments.out,
        preset=arguments.preset,
        seed=arguments.seed,
        **{name: value for name, value in options.items() if value is not None},
    )
    return CommandResult(
        {
            "model": arguments.out,
            "preset": arguments.preset,
            "track_pattern": arguments.track_pattern or DEFAULT_TRACK_PATTERN,
            "seed": arguments.seed,
            "trained": False,
        },
        f"{arguments.out}: {arguments.preset}, untrained, seed {arguments.seed}",
    )
