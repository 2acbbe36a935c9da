"""Write a new checkpoint with seeded random weights, to train or to test with."""

from dataclasses import asdict, dataclass
from pathlib import Path

from .flags import option
from .output import CommandResult


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """Options of ``songgen-hf init``."""

    preset: str = option("mini", "mini or full")
    track_pattern: str | None = option(
        None,
        "mixed, mixed_pro, parallel_std, parallel_A_V, parallel_V_A, interleaving_A_V, "
        "interleaving_V_A, mixed_no_delay or mixed_flat (default: that of the preset)",
    )
    text_tokenizer: str | None = option(
        None, "T5 tokenizer of the full preset, a folder or a Hub repository"
    )
    lyrics_vocab: str | None = option(
        None, "lyrics vocabulary of the full preset, a JSON file or a Hub repository"
    )
    seed: int = option(0, "seed of the weights")
    out: Path = option(help="directory to write")


OPTIONS = InitOptions


def run(options: InitOptions) -> CommandResult:
    """Write the checkpoint."""
    from ..checkpoints.embedded import write_untrained
    from ..presets.models import DEFAULT_TRACK_PATTERN

    given = {name: value for name, value in asdict(options).items() if value is not None}
    write_untrained(given.pop("out"), **given)
    return CommandResult(
        {
            "model": options.out,
            "preset": options.preset,
            "track_pattern": options.track_pattern or DEFAULT_TRACK_PATTERN,
            "seed": options.seed,
            "trained": False,
        },
        f"{options.out}: {options.preset}, untrained, seed {options.seed}",
    )
