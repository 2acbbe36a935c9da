"""``songgen-hf evaluate songs`` and ``compare``: standard metrics of any folder of songs."""

from dataclasses import dataclass
from pathlib import Path

from ...evaluation.songs.options import SongsOptions
from ..flags import option
from ..output import CommandResult


@dataclass(frozen=True, kw_only=True)
class CompareFlags:
    """Flags of ``songgen-hf evaluate compare``."""

    card: Path = option(help="metric card of evaluate songs", positional=True)
    other: Path = option(help="metric card with the same settings", positional=True)


def run_songs(options: SongsOptions, command: str) -> CommandResult:
    """Measure the songs and write their metric card."""
    from ...evaluation.songs.card import card_markdown, make_card, write_card
    from ...evaluation.songs.measuring import measure_songs

    found = measure_songs(options)
    name = Path(options.generated).resolve().name
    card = make_card(found, name=name, command=command)
    written = write_card(options.out, card, found)
    return CommandResult({"written": written, **card}, card_markdown(card).rstrip())


def run_compare(flags: CompareFlags, command: str) -> CommandResult:
    """Compare two metric cards."""
    from ...evaluation.songs.card import compare_cards, comparison_markdown, read_card

    card, other = read_card(flags.card), read_card(flags.other)
    return CommandResult({"metrics": compare_cards(card, other)}, comparison_markdown(card, other))
