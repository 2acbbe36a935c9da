"""Writes model cards from the template ``cards.md`` and from facts about the weights.

The folder of a checkpoint can hold a file ``card.json``, which ``songgen-hf card`` writes: name,
license, data and results, with a digest of the weights to which they belong. These facts are copied
with the weights to other folders and to the Hub, but not if the weights have changed, so that a
card never shows the results of another model. Cards that a user has written or edited are kept;
only generated cards and those that other libraries fill in are replaced.
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
from ..provenance import identity

logger = logging.getLogger(__name__)

TEMPLATE = Path(__file__).with_suffix(".md")
# The Hub would compare "fad" with Frechet audio distances of other features.
_METRIC_TYPES = {"fad": "codec_frechet_distance"}
CARD = "README.md"
FACTS = "card.json"
TAGS = ["text-to-song", "songgen", "music", "singing", "ai-generated"]
_EMBEDDED_FACTS = {
    "name": "songgen-mini",
    "licence": "apache-2.0",
    "language": "en",
    "data": "Songs rendered by this package from a seed (`songgen-hf corpus`): espeak-ng voices "
    "set to notes with WORLD, accompaniment by FluidSynth with the FluidR3 soundfont, words and "
    "tunes from grammars written for it. No recording of a person, no lyrics of others and no "
    "weights of others are part of it. How it was trained and judged: {page}.",
}
_EMBEDDED_PAGES = {"masked": "`docs/masked.md`"}  # by kind; `docs/songgen-mini.md` for the others
_TRACKS = {1: "one mixture", 2: "two tracks, vocal and accompaniment"}
_MARK = "<!-- Written by songgen-hf. Edit freely: an edited card is never replaced. {} -->"
_FILLERS = ("This model card has been automatically generated", "[More Information Needed]")


def own_facts(model: Any) -> dict[str, str]:
    """Return the name, license, language and data of a checkpoint that is part of the package."""
    page = _EMBEDDED_PAGES.get(_kind(model), "`docs/songgen-mini.md`")
    return {key: fact.format(page=page) for key, fact in _EMBEDDED_FACTS.items()}


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
    """Write the model card of a song model or a codec, and a ``card.json`` if there are facts.

    A card that a user has written or edited is not changed.

    Args:
        model: model that was saved in the folder.
        folder: folder with the weights.
        repository: Hub id for the example; by default the name of the folder.
        state_dict: weights as they were written, if they differ from those of the model.
        remote_code: whether the folder contains the code.
        license: license of the weights, under its name on the Hub; None for that of the facts.
        tags: tags of the card, besides the default ones.
    """
    folder = Path(folder)
    if getattr(model, "_hf_peft_config_loaded", False):
        return  # save_pretrained has written the adapter only
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
        (folder / FACTS).unlink(missing_ok=True)  # the facts of replaced weights
    write_files(contents)


def render_card(
    model: Any,
    facts: Mapping[str, Any],
    *,
    repository: str,
    remote_code: bool = False,
    tags: list[str] | None = None,
) -> str:
    """Return the text of a model card.

    Args:
        model: a song model or a codec.
        facts: facts of :func:`facts_of`, which can be empty.
        repository: Hub id or folder for the example.
        remote_code: whether the checkpoint contains the code.
        tags: tags of the card, besides the default ones.
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
    data: str | None = None,
) -> str:
    """Return the text of the model card of an adapter.

    Args:
        config: content of the adapter's ``adapter_config.json``.
        repository: Hub id or folder for the example.
        base: Hub id of the model that the adapter was trained on; None if it is not on the Hub.
        license: license of the adapter, under its name on the Hub.
        data: what the adapter was trained on, and how, in a few sentences.
    """
    kind = "DoRA" if config.get("use_dora") else "LoRA"
    heads = " and output heads" if "lm_heads" in str(config.get("target_modules")) else ""
    return _render(
        "adapter",
        name=repository.rpartition("/")[2],
        repository=repository,
        license=license,
        base=base or config.get("base_model_name_or_path"),
        in_metadata=base,
        tags=["lora", *TAGS],
        library="peft",
        summary=f"A {kind} adapter of rank {config.get('r')} on the decoder's attention{heads} of "
        "a SongGen text-to-song model.",
        data=data,
    )


def write_adapter_card(adapted: Any, folder: Path | str, *, data: str | None = None) -> None:
    """Write the model card of an adapter, and a ``card.json`` if it is known what it has learned.

    A card that a user has written or edited is not changed.

    Args:
        adapted: the ``peft.PeftModel`` that is saved.
        folder: folder of the adapter.
        data: what the adapter was trained on, and how, in a few sentences.
    """
    folder = Path(folder)
    contents: dict[Path, bytes] = {}
    if data is None:
        (folder / FACTS).unlink(missing_ok=True)  # the facts of replaced weights
    else:
        contents[folder / FACTS] = encode_json({"data": data})
    card = folder / CARD
    if not card.is_file() or is_replaceable(card.read_text(encoding="utf-8")):
        config = adapted.active_peft_config.to_dict()
        hub_id, config["base_model_name_or_path"] = adapter_base(config)
        text = render_adapter_card(config, repository=folder.name, base=hub_id, data=data)
        contents[card] = text.encode()
    write_files(contents)


def adapter_base(config: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the Hub id of the model of an adapter, None if it is not on the Hub; and its name.

    Args:
        config: content of the adapter's ``adapter_config.json``.
    """
    trained_on = config.get("base_model_name_or_path") or ""
    if trained_on and not Path(trained_on).exists() and not Path(trained_on).is_absolute():
        return trained_on, trained_on
    return None, identity(trained_on)[0] or Path(trained_on).name


def facts_of(model: Any, state_dict: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the ``card.json`` of the checkpoint that a model was loaded from.

    Args:
        model: a song model or a codec.
        state_dict: weights of the model, if they differ from its own.
    Returns:
        ``weights`` (digest) and what is known of ``name``, ``licence``, ``language``, ``data`` and
        ``results``; empty if there is no such file, or if the weights have changed.
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
        logger.warning("%s is not a JSON object: it is ignored", found)
        return {}
    if facts.get("weights") == weights_digest(model, state_dict):
        return facts
    logger.info("the weights differ from those that %s describes: it is ignored", found)
    return {}


def collect_facts(
    model: Any, results: Mapping[str, Any] | None = None, **given: str | None
) -> dict[str, Any]:
    """Return the content of a new ``card.json``: known facts, given facts and results.

    Args:
        model: the checkpoint.
        results: results of an evaluation of this model, see
            ``songgen_hf.evaluation.protocol.report.card_results``; None keeps the known ones.
        given: ``name``, ``licence``, ``language`` and ``data``; None keeps the known ones.
    """
    facts: dict[str, Any] = {"weights": weights_digest(model), **facts_of(model)}
    facts |= {name: value for name, value in given.items() if value is not None}
    return facts if results is None else {**facts, "results": dict(results)}


def eval_results(results: Mapping[str, Any]) -> list[Any]:
    """Return the measures of the headline as ``huggingface_hub.EvalResult``, from 0 to 1."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-to-audio",
            task_name="text-to-song",
            dataset_type="songgen-hf-prompts",
            dataset_name="fixed prompts of songgen-hf",
            dataset_args=results["setting"],
            metric_type=_METRIC_TYPES.get(measure["metric"], measure["metric"]),
            metric_name=measure["title"],
            metric_value=measure["value"],
            metric_args={"interval_95": measure["interval_95"]},
        )
        for measure in results["measures"]
    ]


def is_replaceable(card: str) -> bool:
    """Whether a card can be replaced: it is empty, or generated and not edited since."""
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
    """Fill in the template."""
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
    """Return the short hash by which an edited card is recognized."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _summary(model: Any) -> str:
    """Describe a model in one or two sentences that follow from its configuration."""
    weighed = model.transformer if _kind(model) == "masked" else model
    weights = f"{sum(weight.numel() for weight in weighed.parameters()) / 1e6:.1f} million weights"
    config = model.config
    if _kind(model) == "masked":
        num_tracks = weighed.config.num_tracks
        return (
            f"Generates a song from text and lyrics as {_TRACKS[num_tracks]}, in a few steps at "
            f"any length. It has {weights}, besides the conditioner and codec of the SongGen model "
            "that it was trained on. It also generates parts of a song again: a region, a track or "
            "the fine codebooks."
        )
    if _kind(model) == "codec":
        return (
            f"An audio codec (X-Codec, arXiv:2408.17175): {config.sample_rate} Hz mono to "
            f"{config.num_quantizers} codebooks of {config.codebook_size} codes and back, with "
            f"{weights}."
        )
    untrained = "" if getattr(config, "trained", True) else " **Untrained: its songs are noise.**"
    tracks = _TRACKS[config.decoder.num_tracks]
    return f"Generates a song from text and lyrics as {tracks}, with {weights}.{untrained}"


def _kind(model: Any) -> str:
    """Return the kind of a model: "model", "codec" or "masked"."""
    if getattr(model, "mode", None) == "masked":
        return "masked"
    return "model" if model.config.model_type == "songgen" else "codec"


def _architecture(model: Any) -> str:
    """Describe the layers, codebooks and rates of a song model in one sentence."""
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
    """Return the Hub id of the weights that a model was loaded from, if any."""
    source = str(getattr(model.config, "_name_or_path", "") or "")
    if Path(source).exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        return None
    return source


__all__ = [
    "CARD",
    "FACTS",
    "adapter_base",
    "collect_facts",
    "eval_results",
    "facts_of",
    "is_replaceable",
    "own_facts",
    "render_adapter_card",
    "render_card",
    "write_adapter_card",
    "write_card",
]
