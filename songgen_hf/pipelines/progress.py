"""Reports the progress of generation by progress bars and by functions called after each step.

The file travels to the Hub with the pipeline and imports nothing of this package.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.generation.streamers import BaseStreamer
from transformers.utils.logging import tqdm


class ProgressStreamer(BaseStreamer):
    """Streamer that counts the decoder steps of ``generate``.

    Args:
        report: called after each step with (number of steps done, total number or None).
        total: total number of steps, if known.
        streamer: another streamer that gets the same ids.
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
        """Count the steps of the prompt [rows, L], or one step [rows]."""
        self.done += value.shape[-1] if value.ndim > 1 else 1
        self.report(self.done, self.total)
        if self.streamer is not None:
            self.streamer.put(value)

    def end(self) -> None:
        """End the other streamer."""
        if self.streamer is not None:
            self.streamer.end()


class ProgressBar(ProgressStreamer):
    """Streamer that shows a progress bar over decoder steps."""

    def __init__(self, *, total: int | None, streamer: BaseStreamer | None):
        bar = tqdm(total=total, desc="generating", unit="step", leave=False)
        super().__init__(lambda done, _: bar.update(done - bar.n), total=total, streamer=streamer)
        self.bar = bar

    def end(self) -> None:
        """Close the progress bar and end the other streamer."""
        self.bar.close()
        super().end()


@contextmanager
def step_counter(
    progress: bool | Callable[[int, int | None], None],
    total: int,
    bar: Callable[..., Any],
) -> Iterator[Callable[[], None]]:
    """Provide a function to call after each of a known number of steps.

    Args:
        progress: whether to show a progress bar, or a function that is called with (number of steps
            done, total number of steps).
        total: total number of steps.
        bar: creates the progress bar for ``total`` steps.
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


@contextmanager
def section_progress(
    progress: bool | Callable[[int, int], None], title: str, before: int, own: int, total: int
) -> Iterator[Callable[[int, int | None], None]]:
    """Provide a function to call with (number of steps done, total number) of a section.

    Args:
        progress: whether to show a progress bar of the section, or a function that is called with
            (number of frames done, number of frames of the song).
        title: name of the section.
        before: number of frames before the section.
        own: number of frames of the section.
        total: number of frames of the song.
    """
    if callable(progress):

        def count(done: int, steps: int | None) -> None:
            progress(before + round(own * min(1.0, done / (steps or done))), total)

        yield count
        progress(before + own, total)
    elif not progress:
        yield lambda done, steps: None
    else:
        with tqdm(desc=title, unit="step") as bar:

            def show(done: int, steps: int | None) -> None:
                bar.total = steps
                bar.update(done - bar.n)

            yield show


__all__ = ["ProgressBar", "ProgressStreamer", "section_progress", "step_counter"]
