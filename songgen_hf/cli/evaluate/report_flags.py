"""Flags of the evaluations that write a report, and their progress lines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..flags import option


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """Where a report is written."""

    out: Path = option(
        help="JSON report; a page with the ending .md beside it gets the tables between its marks"
    )
    page: list[Path] = option(
        [], "another page with such marks; may be given several times", append=True
    )


def log_to(quiet: bool) -> Callable[[str], None]:
    """Return a function that prints a progress line at once, or does nothing."""
    return (lambda line: None) if quiet else (lambda line: print(line, flush=True))
