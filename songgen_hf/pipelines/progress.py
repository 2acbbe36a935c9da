"""Progress of generation: bars and functions that are called after each step.

The file travels to the Hub with the pipeline and imports nothing of this package.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.generation.streamers import BaseStreamer
from transformers.utils.logging import tqdm


class ProgressStreamer(BaseStreamer):
    """Counts decoder steps as ``generate`` makes them.

    Args:
        report: called after each step with (steps done, steps in all or None).
        total: steps in all, if known.
        streamer: another streamer that sees the same ids.
    """

    def __init__(
        self,
        report: Callable[[int, int | None], None],
        *,
        total: int | None = None,
        streamer: BaseStreamer | None = None,
    ):
        self.report = report
        self.total = total
        self.streamer = streamer
        self.done = 0

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt [rows, L] or one step [rows]."""
        self.done += value.shape[-1] if value.ndim > 1 else 1
        self.report(self.done, self.total)
        if self.streamer is not None:
            self.streamer.put(value)

    def end(self) -> None:
        """Generation is over."""
        if self.streamer is not None:
            self.streamer.end()


class ProgressBar(ProgressStreamer):
    """A tqdm bar over decoder steps."""

    def __init__(self, *, total: int | None, streamer: BaseStreamer | None):
        bar = tqdm(total=total, desc="singing", unit="step", leave=False)
        super().__init__(lambda done, _: bar.update(done - bar.n), total=total, streamer=streamer)
        self.bar = bar

    def end(self) -> None:
        self.bar.close()
        super().end()


@contextmanager
def counted_steps(
    progress: bool | Callable[[int, int | None], None],
    total: int,
    bar: Callable[..., Any],
) -> Iterator[Callable[[], None]]:
    """A function to call after each of a known number of steps.

    Args:
        progress: whether to show a bar, or a function called with (steps done, steps in all).
        total: number of steps.
        bar: makes the progress bar of ``total`` steps.
    """
    if callable(progress):
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        yield count
    elif not progress:
        yield lambda: None
    else:
        with bar(total=total) as shown:
            yield shown.update


__all__ = ["ProgressBar", "ProgressStreamer", "counted_steps"]
