"""The process that adapts a model: ``python -m songgen_hf.space.adapt_worker``.

It reads lines of its standard input: the options of the adaptation as JSON, then ``train`` or
``stop``; and it writes what happens to its standard output, one JSON object a line. A process of
its own can be ended at any time, and gives its memory back.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TextIO

PROGRESS, RECORDINGS, TRAINED, FAILED = "progress", "recordings", "trained", "failed"
TRAIN, STOP = "train", "stop"


def work(read: Callable[[], str], write: Callable[[dict[str, Any]], None]) -> None:
    """Run one adaptation.

    Args:
        read: returns the next line of the input; "" at its end, which stops the adaptation.
        write: called with each event.
    """
    from ..training.adaptation.run import AdaptOptions, AdaptProgress, adapt

    values = json.loads(read())
    stopped, answers = Event(), SimpleQueue[bool]()

    def listen() -> None:
        while read().strip() == TRAIN:
            answers.put(True)
        stopped.set()
        answers.put(False)

    def confirm(found: Any, states: Any) -> bool:
        rows = [state._asdict() for state in states]
        write({"event": RECORDINGS, "rows": rows, "kept": found.kept, "seconds": found.seconds})
        return answers.get()

    def watch(progress: AdaptProgress) -> bool:
        write({"event": PROGRESS, **progress._asdict()})
        return stopped.is_set()

    Thread(target=listen, daemon=True).start()
    try:
        values |= {"out": Path(values["out"]), "changes": tuple(values.get("changes", ()))}
        adapted = adapt(AdaptOptions(**values), confirm, watch=watch)
    except (ValueError, TypeError, OSError, ImportError) as error:
        rows = [state._asdict() for state in getattr(error, "states", ())]
        write({"event": FAILED, "message": str(error), **({"rows": rows} if rows else {})})
        return
    if adapted is None:
        write({"event": STOP})
        return
    names = ("steps", "drift", "stopped_by_drift")
    write({"event": TRAINED, **{name: getattr(adapted, name) for name in names}})


def main() -> None:
    """Run the adaptation that standard input describes."""
    output: TextIO = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # what libraries print is not an event

    def write(event: dict[str, Any]) -> None:
        print(json.dumps(event), file=output, flush=True)

    work(sys.stdin.readline, write)


if __name__ == "__main__":
    main()

__all__ = ["FAILED", "PROGRESS", "RECORDINGS", "STOP", "TRAIN", "TRAINED", "main", "work"]
