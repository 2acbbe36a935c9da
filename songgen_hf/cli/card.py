"""Write the model card of checkpoints, README.md.

A card holds what the model says about itself, results that were measured with its very weights, and
what the options say. A card that somebody has edited is left as it is.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from .export import load
from .flags import option
from .output import CommandResult


@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """Options of ``songgen-hf card``."""

    models: list[str] = option(
        help="folders of song models, masked models or codecs, or songgen-mini",
        positional=True,
        metavar="model",
    )
    results: Path | None = option(
        None,
        "report of songgen-hf evaluate mini, or of evaluate masked for a masked model, about these "
        "very weights (default: keep the results in the card while the weights are the same)",
    )
    name: str | None = option(None, "name of the model")
    license: str | None = option(
        None,
        "license of the weights, as the Hub names it: apache-2.0, mit",
        flags=("--licence",),
    )
    language: str | None = option(
        None, "language of the lyrics that the model was trained on: en, es, ..."
    )
    data: str | None = option(None, "the training data in a few sentences")


OPTIONS = CardOptions


def run(options: CardOptions) -> CommandResult:
    """Write every card, or none if one of them cannot be."""
    from ..checkpoints.embedded import EMBEDDED
    from ..checkpoints.loading import resolve_checkpoint
    from ..evaluation.protocol.report import card_results
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
    if options.results is not None:
        report = json.loads(options.results.read_text(encoding="utf-8"))
    contents: dict[Path, bytes] = {}
    for name in options.models:
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
        given = {key: getattr(options, key) for key in ("name", "language", "data")}
        given["licence"] = options.license
        place, package = folder.resolve(), EMBEDDED.resolve()
        own = place.is_relative_to(package)
        if own:
            given = {key: given[key] or fact for key, fact in own_facts(model).items()}
        is_codec = processor is None and getattr(model, "mode", None) != "masked"
        results = None if report is None or is_codec else card_results(report, model)
        facts = collect_facts(model, results, **given)
        shown = place.relative_to(package.parents[2]).as_posix() if own else folder.name
        contents[card] = render_card(model, facts, repository=shown).encode()
        contents[folder / FACTS] = encode_json(facts)
    write_files(contents)
    return CommandResult({"written": list(contents)}, "\n".join(map(str, contents)))
