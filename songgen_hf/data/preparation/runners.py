"""Runs many small pieces of work with ``datasets.map`` on one machine or Ray Data on many."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

from ...optional import require

RUNNERS = ("map", "ray")
Report = Callable[[str, int, int], None]
"""Function (name of what is done, number of finished pieces of work, number of all)."""


def run_all(
    pieces: Sequence[Mapping[str, Any]],
    task: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    runner: str = "map",
    workers: int = 1,
    device_share: float = 0.0,
    description: str,
    progress: bool | Report = True,
) -> None:
    """Run a task on every piece of work, with a progress bar.

    Args:
        pieces: mappings of strings and numbers with the same keys.
        task: stateless function that can be pickled; it writes its result to files that all
            machines have access to, and returns its argument.
        runner: ``map`` for processes of this machine, ``ray`` for a Ray cluster.
        workers: number of processes.
        device_share: with Ray, the share of a GPU that each process gets.
        description: shown with the progress.
        progress: whether to show it, or a function that is called after each piece, or with
            several processes at the beginning; an error that it raises ends the work.
    Raises:
        ImportError: if the package of the runner is missing.
    """
    if not pieces:
        return
    if runner == "ray":
        require("ray", "ray")
        data = require("ray.data", "ray")
        data.DataContext.get_current().enable_progress_bars = progress is True
        work = data.from_items([dict(piece) for piece in pieces]).repartition(len(pieces))
        work.map(task, concurrency=workers, num_gpus=device_share or None).materialize()
        return
    if callable(progress):
        progress(description, 0, len(pieces))
        if workers == 1:
            done = count(1)
            task = partial(_counted, task, lambda: progress(description, next(done), len(pieces)))
    datasets = require("datasets", "prepare")
    work = datasets.Dataset.from_list([dict(piece) for piece in pieces])
    work.map(
        task,
        num_proc=min(workers, len(pieces)) if workers > 1 else None,
        keep_in_memory=True,
        load_from_cache_file=False,
        # Without this argument, datasets would hash the function to look for cached results.
        new_fingerprint="songgen-hf-prepare",
        desc=description,
    )


def _counted(
    task: Callable[[dict[str, Any]], dict[str, Any]],
    report: Callable[[], None],
    piece: dict[str, Any],
) -> dict[str, Any]:
    """Run a task, and report that it is done."""
    result = task(piece)
    report()
    return result


__all__ = ["RUNNERS", "Report", "run_all"]
