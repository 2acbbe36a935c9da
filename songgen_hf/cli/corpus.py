"""Render songs with known labels for training: two stems, every word and phoneme timed."""

from ..data.corpus.options import CorpusOptions
from .output import CommandResult

OPTIONS = CorpusOptions


def run(options: CorpusOptions) -> CommandResult:
    """Render what is missing and report how much it was."""
    from ..data.corpus.render import render_corpus

    report = render_corpus(options)
    speed = report.audio_seconds / report.wall_seconds
    return CommandResult(
        {
            "corpus": options.output,
            "rendered": report.rendered,
            "found": report.found,
            "audio_seconds": report.audio_seconds,
            "wall_seconds": report.wall_seconds,
        },
        f"{options.output}: {report.rendered} songs rendered "
        f"({report.audio_seconds / 60:.1f} min of audio, {speed:.1f} x real time), "
        f"{report.found} found",
    )
