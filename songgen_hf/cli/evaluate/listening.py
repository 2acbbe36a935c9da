"""``songgen-hf evaluate listen`` and ``votes``: listening tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evaluation.listening_test.options import ListeningOptions
from ..flags import option
from ..output import CommandResult


@dataclass(frozen=True, kw_only=True)
class ListenFlags(ListeningOptions):
    """Flags of ``songgen-hf evaluate listen``."""

    progress: bool = option(True, "show no progress bars", flag="--quiet")


@dataclass(frozen=True, kw_only=True)
class VotesFlags:
    """Flags of ``songgen-hf evaluate votes``."""

    files: tuple[str, ...] = option(help="files that listeners downloaded", positional=True)
    key: Path = option(help="key.json of the page")
    seed: int = option(0, "seed of the bootstrap")
    draws: int = option(1000, "draws of the bootstrap")


def run_listen(flags: ListenFlags, command: str) -> CommandResult:
    """Write the page of a listening test."""
    from ...evaluation.listening_test.page import write_page

    written = write_page(flags, progress=flags.progress)
    left_out = f"; {written.unpaired} songs without a pair left out" if written.unpaired else ""
    lower = "" if written.loudness == flags.loudness else ", lower for the peaks of a song"
    return CommandResult(
        {
            "page": written.page,
            "key": written.key,
            "page_id": written.page_id,
            "trials": written.trials,
            "unpaired": written.unpaired,
            "loudness": round(written.loudness, 2),
        },
        f"{written.page}: {written.trials} questions, songs at {written.loudness:.1f} LUFS"
        f"{lower}{left_out}\n"
        f"  for listeners: the folder {written.page.parent}, and not {written.key}\n"
        f"  their votes: songgen-hf evaluate votes votes-*.json --key {written.key}",
    )


def run_votes(flags: VotesFlags, command: str) -> CommandResult:
    """Analyze votes."""
    from ...evaluation.listening_test.votes import analyze_votes

    found = analyze_votes(flags.files, flags.key, seed=flags.seed, draws=flags.draws)
    lines = [
        f"page {found['page']}: {found['listeners']} listeners, {found['votes']} votes, "
        f"{found['missing']} questions not answered",
        *{"ab": _preference_lines, "abx": _abx_lines, "mos": _opinion_lines}[found["design"]](
            found
        ),
    ]
    return CommandResult(found, "\n".join(lines))


def _preference_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"  {pair['first']} against {pair['second']}: {pair['first_wins']} to "
        f"{pair['second_wins']}, {pair['ties']} ties; preference for {pair['first']} "
        + (_share(pair["preference"], pair["interval"]) if pair["votes"] else "unknown")
        for pair in found["pairs"]
    ]
    lines += [
        f"  strength of {one['system']}: {one['strength']:+.2f} {_ends(one['interval'], '+.2f')}"
        for one in found["strengths"]
    ]
    if not found["finite"]:
        lines.append("  some systems won or lost every comparison: their strengths are bounds")
    return lines


def _abx_lines(found: Mapping[str, Any]) -> list[str]:
    return [
        f"  {pair['first']} and {pair['second']}: {pair['correct']} of {pair['votes']} correct, "
        f"{_share(pair['share'], pair['interval'])}, p = {pair['p_value']:.2g} for guesses"
        for pair in found["pairs"]
    ]


def _opinion_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"  {one['system']}: "
        + (f"{one['opinion']:.2f} {_ends(one['interval'], '.2f')}" if one["votes"] else "unknown")
        + f", {one['votes']} votes"
        for one in found["systems"]
    ]
    return lines + [
        f"  {pair['first']} - {pair['second']}: {pair['difference']:+.2f} "
        f"{_ends(pair['interval'], '+.2f')}"
        for pair in found["pairs"]
    ]


def _share(share: float, interval: list[float]) -> str:
    return f"{100 * share:.0f} % {_ends([100 * end for end in interval], '.0f')}"


def _ends(interval: list[float], form: str) -> str:
    return f"[{interval[0]:{form}}, {interval[1]:{form}}]"
