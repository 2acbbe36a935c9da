"""Model cards: ``README.md`` from ``model_card.md`` and from what was measured of the weights.

A checkpoint's folder can hold ``card.json``: name, license, data and results, with a digest of the
weights that they are about (``songgen-hf card`` writes it). Its facts travel with the weights from
folder to folder and to the Hub, and stay behind when the weights change: a card never shows the
numbers of another model. What a user has written stays: only cards as they came from here, or the
libraries' own fillers, are replaced.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoints.digests import weights_digest
from ..files import encode_json, write_files

logger = logging.getLogger(__name__)

TEMPLATE = Path(__file__).with_suffix(".md")
CARD = "README.md"
FACTS = "card.json"
FACT_NAMES = ("name", "licence", "language", "data", "results")
TAGS = ["text-to-song", "songgen", "music", "singing", "ai-generated"]
_OWN_FACTS = {
    "name": "songgen-mini",
    "licence": "apache-2.0",
    "language": "en",
    "data": "Songs rendered by this package from a seed (`songgen-hf corpus`): espeak-ng voices "
    "set to notes with WORLD, accompaniment by FluidSynth with the FluidR3 soundfont, words and "
    "tunes from grammars written for it. No recording of a person, no lyrics of others and no "
    "weights of others are part of it. How it was trained and judged: {page}.",
}
_OWN_PAGES = {"masked": "`docs/masked.md`"}  # by kind; the others have `docs/songgen-mini.md`
_MARK = "<!-- Written by songgen-hf. Edit freely: an edited card is never replaced. {} -->"
_FILLERS = ("This model card has been automatically generated", "[More Information Needed]")


def own_facts(model: Any) -> dict[str, str]:
    """The name, license, language and data of a checkpoint that comes with the package."""
    page = _OWN_PAGES.get(_kind(model), "`docs/songgen-mini.md`")
    return {key: fact.format(page=page) for key, fact in _OWN_FACTS.items()}


def write_card(
    model: Any,
    folder: Path | str,
    *,
    repository: str | None = None,
    state_dict: Mapping[str, Any] | None = None,
    remote_code: bool = False,
    license: str | None = None,
    tags: list[str] | None = None,
) -> None:
    """Write the card of a song model or a codec beside its weights, and its ``card.json`` if it has
    facts; a card that a user has written or edited is left as it is.

    Args:
        model: what was saved there.
        folder: with the weights.
        repository: Hub id, for the example; by default the folder's name.
        state_dict: the weights as they were written, if other than the model's own.
        remote_code: whether the code lies beside them.
        license: of the weights, as the Hub names licenses; None for what is known.
        tags: of the card, besides the usual ones.
    """
    folder = Path(folder)
    if getattr(model, "_hf_peft_config_loaded", False):
        return  # save_pretrained wrote the adapter only
    if (folder / CARD).is_file() and not is_replaceable((folder / CARD).read_text("utf-8")):
        return
    facts = facts_of(model, state_dict)
    if license is not None:
        facts = {"weights": weights_digest(model, state_dict), **facts, "licence": license}
    card = render_card(
        model, facts, repository=repository or folder.name, remote_code=remote_code, tags=tags
    )
    contents = {folder / CARD: card.encode()}
    if facts:
        contents[folder / FACTS] = encode_json(facts)
    else:
        (folder / FACTS).unlink(missing_ok=True)  # of the weights that were here before
    write_files(contents)


def render_card(
    model: Any,
    facts: Mapping[str, Any],
    *,
    repository: str,
    remote_code: bool = False,
    tags: list[str] | None = None,
) -> str:
    """The text of a card.

    Args:
        model: a song model or a codec.
        facts: of :func:`facts_of`; may be empty.
        repository: Hub id or folder, for the example.
        remote_code: whether the code lies beside the weights.
        tags: besides the usual ones.
    """
    kind = _kind(model)
    is_codec = kind == "codec"
    results = facts.get("results")
    name = facts.get("name") or repository.rpartition("/")[2]
    if not is_codec and facts.get("name"):
        which = "masked" if kind == "masked" else model.config.decoder.track_pattern
        name = f"{name} ({which})"
    return _render(
        kind,
        name=name,
        repository=repository,
        license=facts.get("licence"),
        language=facts.get("language"),
        base=None if facts else _base_model(model),
        tags=[
            *(["audio-codec"] if is_codec else TAGS),
            *(["masked-generation"] if kind == "masked" else []),
            *(tags or []),
        ],
        library="diffusers" if kind == "masked" else "transformers",
        eval_results=eval_results(results) if results else None,
        results=results["text"] if results else "",
        summary=_summary(model),
        facts="" if is_codec else _architecture(model),
        data=facts.get("data"),
        remote_code=remote_code,
    )


def render_adapter_card(
    config: Mapping[str, Any],
    *,
    repository: str,
    base: str | None = None,
    license: str | None = None,
) -> str:
    """The text of an adapter's card.

    Args:
        config: its ``adapter_config.json``.
        repository: Hub id or folder, for the example.
        base: Hub id of the model that it is for; None if that is on no Hub.
        license: of the adapter.
    """
    kind = "DoRA" if config.get("use_dora") else "LoRA"
    return _render(
        "adapter",
        name=repository.rpartition("/")[2],
        repository=repository,
        license=license,
        base=base or config.get("base_model_name_or_path"),
        in_metadata=base,
        tags=["lora", *TAGS],
        library="peft",
        summary=f"A {kind} adapter of rank {config.get('r')} on the decoder's attention of a "
        "SongGen text-to-song model.",
    )


def facts_of(model: Any, state_dict: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What ``card.json`` where the model came from says, if it is about these very weights.

    Args:
        model: a song model or a codec.
        state_dict: the weights, if other than the model's own.
    Returns:
        ``weights`` (digest) and some of ``FACT_NAMES``; empty if there are none or the weights have
        changed.
    """
    from transformers.utils import cached_file

    source = str(getattr(model.config, "_name_or_path", "") or "")
    if not source:
        return {}
    found = cached_file(
        source,
        FACTS,
        revision=None if Path(source).is_dir() else getattr(model.config, "_commit_hash", None),
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if found is None:
        return {}
    try:
        facts = dict(json.loads(Path(found).read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        logger.warning("%s is no JSON object: it is left behind", found)
        return {}
    if facts.get("weights") == weights_digest(model, state_dict):
        return facts
    logger.info("the weights differ from those that %s is about: it is left behind", found)
    return {}


def collect_facts(
    model: Any, results: Mapping[str, Any] | None = None, **given: str | None
) -> dict[str, Any]:
    """Return the content of a new ``card.json``: known facts, given facts and results.

    Args:
        model: the checkpoint.
        results: results of an evaluation of this model, see
            ``songgen_hf.evaluation.protocol.report.card_results``; None keeps the known ones.
        given: other ``FACT_NAMES``; None keeps the known ones.
    """
    facts: dict[str, Any] = {"weights": weights_digest(model), **facts_of(model)}
    facts |= {name: value for name, value in given.items() if value is not None}
    return facts if results is None else {**facts, "results": dict(results)}


def eval_results(results: Mapping[str, Any]) -> list[Any]:
    """The headline's measures as ``huggingface_hub.EvalResult``, fractions from 0 to 1."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-to-audio",
            task_name="text-to-song",
            dataset_type="songgen-hf-prompts",
            dataset_name="fixed prompts of songgen-hf",
            dataset_args=results["setting"],
            metric_type=measure["metric"],
            metric_name=measure["title"],
            metric_value=measure["value"],
            metric_args={"interval_95": measure["interval_95"]},
        )
        for measure in results["measures"]
    ]


def is_replaceable(card: str) -> bool:
    """Whether nobody's words are lost with a card: it is empty, a filler, or as written here."""
    if not card.strip() or any(filler in card for filler in _FILLERS):
        return True
    text, mark, rest = card.rpartition(_MARK.partition("{")[0])
    return bool(mark) and f"{mark}{rest.strip()}" == _MARK.format(_hash(text))


def _render(
    kind: str,
    *,
    name: str,
    repository: str,
    license: str | None,
    base: str | None,
    tags: list[str],
    library: str = "transformers",
    in_metadata: str | None = None,
    eval_results: list[Any] | None = None,
    language: str | None = None,
    **texts: Any,
) -> str:
    """The template, filled."""
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        library_name=library,
        pipeline_tag="audio-to-audio" if kind == "codec" else "text-to-audio",
        tags=tags,
        license=license,
        base_model=in_metadata if kind == "adapter" else base,
        language=language,
        model_name=name,
        eval_results=eval_results,
    )
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        kind=kind,
        name=name,
        repository=repository,
        base=base,
        license=license or "their makers have not said; ask before you use them",
        **{"remote_code": False, **texts},
    )
    text = str(card).strip() + "\n\n"
    return text + _MARK.format(_hash(text)) + "\n"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _summary(model: Any) -> str:
    """One or two sentences that the model itself can say."""
    weighed = model.transformer if _kind(model) == "masked" else model
    weights = f"{sum(weight.numel() for weight in weighed.parameters()) / 1e6:.1f} million weights"
    config = model.config
    if _kind(model) == "masked":
        tracks = "one mixture" if weighed.config.num_tracks == 1 else "two tracks, vocal and band"
        return (
            f"Text and lyrics to a song in {tracks} in a few steps, whatever its length, with "
            f"{weights} beside the conditioner and codec of the SongGen model that it was trained "
            "on. It also sings parts of a song anew: a stretch, a track, the fine codebooks."
        )
    if _kind(model) == "codec":
        return (
            f"An audio codec (X-Codec, arXiv:2408.17175): {config.sample_rate} Hz mono to "
            f"{config.num_quantizers} codebooks of {config.codebook_size} codes and back, with "
            f"{weights}."
        )
    tracks = "one mixture" if config.decoder.num_tracks == 1 else "two tracks, vocal and band"
    untrained = "" if getattr(config, "trained", True) else " **Untrained: it sings noise.**"
    return f"Text and lyrics to a song in {tracks}, with {weights}.{untrained}"


def _kind(model: Any) -> str:
    """ "model", "codec" or "masked"."""
    if getattr(model, "mode", None) == "masked":
        return "masked"
    return "model" if model.config.model_type == "songgen" else "codec"


def _architecture(model: Any) -> str:
    if _kind(model) == "masked":
        config = model.transformer.config
        return (
            f"{config.num_layers} layers of width {config.hidden_size}, head {config.head}, "
            f"{config.num_codebooks} codebooks of {config.codebook_size} codes, "
            f"{config.frame_rate:g} frames a second, {model.sampling_rate} Hz."
        )
    config = model.config
    decoder = config.decoder
    return (
        f"Track pattern {decoder.track_pattern}, {decoder.num_hidden_layers} layers of width "
        f"{decoder.hidden_size}, {config.num_codebooks} codebooks of {decoder.codebook_size} "
        f"codes, {config.frame_rate:g} frames a second, {config.sampling_rate} Hz."
    )


def _base_model(model: Any) -> str | None:
    """Hub id of the weights that these were made from, if any."""
    source = str(getattr(model.config, "_name_or_path", "") or "")
    if Path(source).exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        return None
    return source


__all__ = [
    "CARD",
    "FACTS",
    "collect_facts",
    "eval_results",
    "facts_of",
    "is_replaceable",
    "own_facts",
    "render_adapter_card",
    "render_card",
    "write_card",
]
