"""Render songs with known truth for training: two stems, every word and phoneme timed."""

import argparse
from pathlib import Path

from .output import CommandResult

HELP = "render a corpus of songs for training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf corpus``."""
    parser.add_argument("output", type=Path, help="folder to write; a started corpus is continued")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes (default 0)")
    parser.add_argument(
        "--train-songs", type=int, default=1800, help="of 10.7 s (default 1800: over 5 h)"
    )
    parser.add_argument("--validation-songs", type=int, default=100, help="default 100")
    parser.add_argument("--test-songs", type=int, default=200, help="default 200")
    parser.add_argument("--songs-per-shard", type=int, default=100, help="default 100")
    parser.add_argument(
        "--voices",
        nargs="+",
        default=(),
        help="singers to draw from, such as female_7, whom nobody hears unless asked for "
        "(default: male_1 to male_6 and female_1 to female_6)",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--soundfont", help="General-MIDI .sf2 file (default: Debian's)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> CommandResult:
    """Render what is missing and say how much it was."""
    from ..data.corpus.options import CorpusOptions
    from ..data.corpus.render import render_corpus

    report = render_corpus(
        CorpusOptions(
            output=arguments.output,
            seed=arguments.seed,
            train_songs=arguments.train_songs,
            validation_songs=arguments.validation_songs,
            test_songs=arguments.test_songs,
            songs_per_shard=arguments.songs_per_shard,
            workers=arguments.workers,
            soundfont=arguments.soundfont,
            voices=tuple(arguments.voices),
            progress=not arguments.quiet,
        )
    )
    speed = report.audio_seconds / report.wall_seconds
    return CommandResult(
        {
            "corpus": arguments.output,
            "rendered": report.rendered,
            "found": report.found,
            "audio_seconds": report.audio_seconds,
            "wall_seconds": report.wall_seconds,
        },
        f"{arguments.output}: {report.rendered} songs rendered "
        f"({report.audio_seconds / 60:.1f} min of audio, {speed:.1f} x real time), "
        f"{report.found} found",
    )
