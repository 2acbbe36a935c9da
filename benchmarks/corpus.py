"""Measure how fast the corpus is rendered, in seconds of audio per second, and its parts.

    python benchmarks/corpus.py [--songs 40] [--workers 2]

The wall time depends on the load of the machine, the CPU time hardly does. Both exclude the start
of the workers (imports, opening the soundfont), which does not matter in a run of hours. The last
line of the output is JSON.
"""

import argparse
import json
import os
import platform
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from songgen_hf.data.corpus.isolation import IsolatedSynthesizers
from songgen_hf.data.corpus.performance import perform
from songgen_hf.data.corpus.rows import render_row
from songgen_hf.data.corpus.song import plan_song

_synthesizers: IsolatedSynthesizers | None = None


def open_synthesizers() -> None:
    """Open the synthesizers of a worker."""
    global _synthesizers
    _synthesizers = IsolatedSynthesizers()


def render(index: int) -> tuple[float, float]:
    """Render a song; return its duration and the CPU time of its process, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert _synthesizers is not None
    row = _synthesizers.call(render_row, 11, "train", index)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return row["duration"], cpu


def parts(songs: int) -> dict[str, float]:
    """CPU seconds per song of planning (including speech), of rendering and of both with FLAC."""
    synthesizers = IsolatedSynthesizers()
    spent = {"plan": 0.0, "perform": 0.0, "row": 0.0}
    for index in range(songs):
        start = time.process_time()
        plan = plan_song(11, "train", index, synthesizers.speaker)
        planned = time.process_time()
        perform(plan, synthesizers.synthesizer, index)
        performed = time.process_time()
        render_row(synthesizers.speaker, synthesizers.synthesizer, 11, "train", index)
        spent["plan"] += planned - start
        spent["perform"] += performed - planned
        spent["row"] += time.process_time() - performed
    return {name: seconds / songs for name, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()

    with ProcessPoolExecutor(arguments.workers, get_context("spawn"), open_synthesizers) as pool:
        list(pool.map(render, range(arguments.workers)))
        started = time.perf_counter()
        results = np.array(list(pool.map(render, range(arguments.songs))))
        wall = time.perf_counter() - started
    audio, cpu = results.sum(axis=0)
    report = {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "workers": arguments.workers,
        "songs": arguments.songs,
        "audio_seconds": round(float(audio), 1),
        "times_real_time_wall": round(float(audio) / wall, 1),
        "times_real_time_per_cpu_second": round(float(audio / cpu), 1),
        "cpu_seconds_per_song": {k: round(v, 3) for k, v in parts(8).items()},
    }
    for name, value in report.items():
        print(f"{name:32} {value}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
