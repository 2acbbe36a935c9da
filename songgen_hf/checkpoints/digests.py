"""Digests of weights, by which reports, model cards and prepared codes identify a model."""

import hashlib
from collections.abc import Mapping
from typing import Any

DIGITS = 16
CODEC = "codec"
"""The fact of a file of codes that names their codec, by the digest of its rounded weights."""
SYNTHESIS_ONLY = ("acoustic_decoder.", "decoder_semantic.", "fc1.", "fc2.")
"""Parts of a codec that turn codes into a waveform and have no influence on the codes."""


def weights_digest(model: Any, state_dict: Mapping[str, Any] | None = None) -> str:
    """Compute a short digest of the weights and the default generation settings of a model.

    Args:
        model: a song model, a codec, a network of the evaluation or a masked pipeline. Of a masked
            pipeline the transformer alone is used, because its other parts belong to another model.
        state_dict: weights to use in place of the model's own, for example as they were written.
    Returns:
        16 hexadecimal digits of a SHA-256 over names and float32 values.
    """
    module = model.transformer if getattr(model, "mode", None) == "masked" else model
    settings = getattr(module, "generation_config", None)
    # Without the version of transformers, which has no influence on songs.
    facts = "" if settings is None else settings.to_json_string(ignore_metadata=True)
    weights = module.state_dict() if state_dict is None else state_dict
    return _digest(facts, weights)


def pipeline_digest(pipe: Any) -> str:
    """Compute a short digest of a masked pipeline, including its conditioner and its codec."""
    parts = (pipe.transformer, pipe.conditioner, pipe.codec)
    digests = "/".join(weights_digest(part) for part in parts)
    return hashlib.sha256(digests.encode()).hexdigest()[:DIGITS]


def codes_digest(codec: Any, *, rounded: bool = False) -> str:
    """Compute a short digest of the weights that determine a codec's codes, without its decoder.

    Args:
        codec: the codec.
        rounded: whether the weights are rounded to bfloat16 first, so that the digest is the same
            for a codec that was loaded in float32 or in bfloat16.
    """
    weights = codec.state_dict()
    kept = {name: value for name, value in weights.items() if not name.startswith(SYNTHESIS_ONLY)}
    if rounded:
        kept = {name: value.bfloat16() for name, value in kept.items()}
    return _digest("", kept)


def codec_facts(codec: Any) -> dict[str, str]:
    """The fact that names a codec; none in float16, which has rounded the weights otherwise."""
    import torch

    return {} if codec.dtype == torch.float16 else {CODEC: codes_digest(codec, rounded=True)}


def check_codes_facts(source: str, facts: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise ValueError if codes were made by another codec than the one that is to read them.

    Args:
        source: what holds the codes, for the message.
        facts: what is written beside the codes: ``sampling_rate``, ``hop_length`` and ``CODEC``, as
            far as known.
        own: these facts of the codec.
    """
    for name in ("sampling_rate", "hop_length", CODEC):
        if name in facts and name in own and facts[name] != own[name]:
            raise ValueError(
                f"{source} has codes of another codec, with the {name} {str(facts[name])[:40]}: "
                f"expected {own[name]}; give the model that made them"
            )


def _digest(facts: str, weights: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(facts.encode())
    for name, weight in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(weight.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:DIGITS]


__all__ = [
    "CODEC",
    "check_codes_facts",
    "codec_facts",
    "codes_digest",
    "pipeline_digest",
    "weights_digest",
]
