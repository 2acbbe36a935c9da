"""``songgen-hf evaluate songs`` and ``compare``: standard metrics of any folder of songs."""

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ...evaluation.songs.options import SongsOptions
from ..flags import given_flags, option
from ..output import CommandResult


@dataclass(frozen=True, kw_only=True)
class CompareFlags:
    """Flags of ``songgen-hf evaluate compare``."""

    card: Path = option(help="metric card of evaluate songs", positional=True)
    other: tuple[Path, ...] = option(
        help="metric cards with the same settings, each compared with the first", positional=True
    )
    despite_settings: bool = option(
        False, "compare cards of different settings; the table says what differs"
    )


@dataclass(frozen=True, kw_only=True)
class SongsFlags(SongsOptions):
    """Flags of ``songgen-hf evaluate songs``."""

    protocol: str | None = option(
        None,
        "settings of a paper, such as songgen (see evaluate protocol), or a .yaml file; other "
        "flags override it, and none leaves a model out",
    )


@dataclass(frozen=True, kw_only=True)
class ProtocolFlags:
    """Flags of ``songgen-hf evaluate protocol``."""

    protocol: str | None = option(
        None, "name, or a .yaml file (default: list all)", positional=True
    )


def run_songs(flags: SongsFlags, command: str) -> CommandResult:
    """Measure the songs and write their metric card."""
    from ...evaluation.songs.card import card_markdown, make_card, write_card
    from ...evaluation.songs.measuring import measure_songs
    from ...evaluation.songs.protocols import apply_protocol, departures, read_protocol

    values = {one.name: getattr(flags, one.name) for one in fields(SongsOptions)}
    options, record = SongsOptions(**values), None
    if flags.protocol is not None:
        protocol = read_protocol(flags.protocol)
        given = given_flags(SongsFlags, shlex.split(command)[3:])
        options, record = apply_protocol(options, protocol, given)
    found = measure_songs(options)
    if record is not None:
        record["departures"] = departures(protocol, found.settings)
    name = Path(options.generated).resolve().name
    card = make_card(found, name=name, command=command, protocol=record)
    written = write_card(options.out, card, found)
    return CommandResult({"written": written, **card}, card_markdown(card).rstrip())


def run_protocol(flags: ProtocolFlags, command: str) -> CommandResult:
    """Show a protocol, or list all."""
    from ...evaluation.songs import protocols

    if flags.protocol is None:
        found = {name: protocols.read_protocol(name) for name in protocols.published_protocols()}
        titles = {name: one.title for name, one in found.items()}
        lines = [f"{name}: {title}" for name, title in titles.items()]
        return CommandResult({"protocols": titles}, "\n".join(lines))
    protocol = protocols.read_protocol(flags.protocol)
    facts = {
        **asdict(protocol),
        "command_line": protocols.command_line(protocol),
        "missing": protocols.missing(protocol),
    }
    return CommandResult(facts, protocols.protocol_markdown(protocol))


def run_compare(flags: CompareFlags, command: str) -> CommandResult:
    """Compare metric cards with the first one."""
    from ...evaluation.songs.card import read_card
    from ...evaluation.songs.comparison import compare_cards, comparison_markdown, read_rows

    paths = [flags.card, *flags.other]
    comparison = compare_cards(
        [read_card(path) for path in paths],
        [read_rows(path) for path in paths],
        despite_settings=flags.despite_settings,
    )
    return CommandResult(comparison, comparison_markdown(comparison))
