"""Measure the peak memory of a process that generates a whole song, by its length.

    python benchmarks/whole_song_memory.py [--models NAME ...] [--lengths 20 180]

Linux only. The last line of the output is JSON.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from memory import MIB, highest

from songgen_hf.checkpoints.loading import load_pipeline

WHOLE_LYRICS = """[verse 10s]
The river runs to the sea and I will follow
[inst 10s]
"""


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the peak memory in MB by model and seconds; each is a process of its own."""
    if len(arguments.models) == len(arguments.lengths) == 1:
        return _peak_of(arguments.models[0], arguments.lengths[0])
    found: dict[str, Any] = {}
    for model in arguments.models:
        for seconds in arguments.lengths:
            command = [sys.executable, __file__, "--models", model]
            run = subprocess.run(
                [*command, "--lengths", str(seconds)], check=True, capture_output=True, text=True
            )
            found.setdefault(model, {})[f"{seconds:g}"] = json.loads(run.stdout.splitlines()[-1])
            print(model, f"{seconds:g} s", found[model][f"{seconds:g}"], flush=True)
    return found


def _peak_of(model: str, seconds: float) -> dict[str, Any]:
    """Generate a song of ``seconds``, a multiple of 20, in this process."""
    import torch

    torch.set_num_threads(1)
    pipe = load_pipeline(model)
    # Windows of one length at both lengths of song: all sections have 10 s.
    lyrics = WHOLE_LYRICS * round(seconds / 20)
    song = pipe.whole_song("folk, female voice", lyrics, seed=1, window=16)
    return {
        "seconds": song["audio"].shape[-1] / song["sampling_rate"],
        "peak_mb": round(highest() / MIB),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models",
        nargs="+",
        default=["songgen-mini/masked", "songgen-mini/interleaving_A_V"],
        help="checkpoints (default: both kinds of songgen-mini)",
    )
    parser.add_argument(
        "--lengths", type=float, nargs="+", default=[20.0, 180.0], help="seconds, multiples of 20"
    )
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
