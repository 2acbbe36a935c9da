"""Write the card of checkpoints, README.md: what the model says of itself, what was measured of its
weights and what you say of them. A card that somebody has edited is left as it is.
"""

import argparse
import json
from pathlib import Path

from .export import load
from .output import CommandResult

HELP = "write the card of a checkpoint, with measured numbers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf card``."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="model",
        help="folders of song models, masked models or codecs, or songgen-mini",
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="report of songgen-hf evaluate mini, for a masked model of evaluate masked, that is "
        "about these very weights (default: keep the numbers that the card has, while the weights "
        "are the same)",
    )
    parser.add_argument("--name", help="of the model")
    parser.add_argument(
        "--license", "--licence", help="of the weights, as the Hub names it: apache-2.0, mit"
    )
    parser.add_argument("--language", help="of the lyrics it was trained on: en, es, ...")
    parser.add_argument("--data", help="what it was trained on, a few sentences")


def run(arguments: argparse.Namespace) -> CommandResult:
    """Write every card, or none if one of them cannot be."""
    from ..checkpoints.embedded import EMBEDDED
    from ..checkpoints.loading import resolve_checkpoint
    from ..files import encode_json, write_files
    from ..publishing.cards import (
        CARD,
        FACTS,
        collect_facts,
        is_replaceable,
        own_facts,
        render_card,
    )

    report = None
    if arguments.results is not None:
        report = json.loads(arguments.results.read_text(encoding="utf-8"))
    contents: dict[Path, bytes] = {}
    for name in arguments.models:
        folder = Path(resolve_checkpoint(name))
        if not folder.is_dir():
            raise ValueError(
                f"{name} is on the Hub: download it, or write its card with songgen-hf export "
                f"{name} --push-to-hub"
            )
        card = folder / CARD
        if card.is_file() and not is_replaceable(card.read_text(encoding="utf-8")):
            raise ValueError(f"{card} was written by somebody: move it away to have a new one")
        model, processor = load(str(folder))
        given = {key: getattr(arguments, key) for key in ("name", "language", "data")}
        given["licence"] = arguments.license
        own = folder.resolve().is_relative_to(EMBEDDED.resolve())
        if own:
            given = {key: given[key] or fact for key, fact in own_facts(model).items()}
        is_codec = processor is None and getattr(model, "mode", None) != "masked"
        facts = collect_facts(model, None if is_codec else report, **given)
        shown = folder.relative_to(EMBEDDED.parents[2]).as_posix() if own else folder.name
        contents[card] = render_card(model, facts, repository=shown).encode()
        contents[folder / FACTS] = encode_json(facts)
    write_files(contents)
    return CommandResult({"written": list(contents)}, "\n".join(map(str, contents)))
