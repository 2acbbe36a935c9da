"""Adapt a song model to a folder of your own recordings: prepare them, and train a LoRA adapter.

The recordings are prepared first (songgen-hf prepare songs); the command shows what can be used and
asks before it trains. Songs from before, during and after the training are written to the folder
run/samples of the adapter. Stopped or crashed, the same command goes on; more --steps train
further. The adapter sings with songgen-hf generate --adapter.
"""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..training.adaptation.options import AdaptOptions
from .flags import option
from .output import CommandResult
from .prepare import describe_unused

if TYPE_CHECKING:
    from ..data.preparation.songs import PreparedSongs
    from ..training.adaptation.run import RecordingState


@dataclass(frozen=True, kw_only=True)
class AdaptFlags(AdaptOptions):
    """Flags of ``songgen-hf adapt``."""

    yes: bool = option(False, "train without asking")
    progress: bool = option(True, "show no progress bar", flag="--quiet")


OPTIONS = AdaptFlags


def run(options: AdaptFlags) -> CommandResult:
    """Prepare, ask, and train."""
    from ..training.adaptation.run import adapt

    def confirm(found: "PreparedSongs", states: "list[RecordingState]") -> bool:
        print(describe(found, states), file=sys.stderr)
        if options.yes:
            return True
        if not sys.stdin.isatty():
            raise ValueError(
                "nobody can be asked whether to train on these clips: add --yes, or run the "
                "command in a terminal"
            )
        print("Train on these clips? [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    adapted = adapt(options, confirm, progress=options.progress)
    if adapted is None:
        return CommandResult({"adapter": None}, f"{options.out}: prepared, not trained")
    why = ", stopped by its drift from the base" if adapted.stopped_by_drift else ""
    drift = "" if adapted.drift is None else f", drift {adapted.drift:.3f} nats a code"
    model = "" if options.model is None else f" --model {options.model}"
    return CommandResult(
        {
            "adapter": options.out,
            "steps": adapted.steps,
            "drift": adapted.drift,
            "stopped_by_drift": adapted.stopped_by_drift,
            "clips": adapted.found.kept,
            "samples": adapted.samples,
        },
        f"{options.out}: adapter after {adapted.steps} steps{why}{drift}\n"
        + (f"  songs of every evaluation: {adapted.samples}\n" if adapted.samples.is_dir() else "")
        + f"  sing with it: songgen-hf generate ...{model} --adapter {options.out}\n"
        f"  on a web page: songgen-hf space run{model} --adapter {options.out}",
    )


def describe(found: "PreparedSongs", states: "list[RecordingState]") -> str:
    """A line for each recording, and what all of them give."""
    lines = [
        f"  {state.recording_id}: {state.kept} of {state.clips} clips"
        + (f" ({state.reason})" if state.kept < state.clips else "")
        for state in states
    ]
    lines += describe_unused(found.unused_stems)
    lines.append(f"{found.kept} clips, {found.seconds / 60:.1f} min, can be trained on")
    return "\n".join(lines)
