"""Checks of the values of a ``config.json`` before anything is allocated for them."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

LARGEST_NUMBER = 2**24
"""Largest integer in a configuration: vocabularies and lengths of known models are far below."""
MOST_WEIGHTS = 2 * 10**11
"""Largest number of weights that the sizes of one section may ask for."""
_WIDTHS = ("hidden_size", "d_model", "output_size")
_DEPTHS = ("num_hidden_layers", "num_layers")
_INNER_WIDTHS = ("ffn_dim", "intermediate_size", "d_ff")
_COUNTS = (
    *("vocab_size", "codebook_size", "num_codebooks", "num_attention_heads", "num_heads"),
    *("codebook_dim", "condition_size", "num_components", "mean_rank", "embedding_size"),
)
_INTEGERS = (
    *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "top_k", "num_beams"),
    "num_return_sequences",
)
_NUMBERS = ("temperature", "top_p", "min_p", "typical_p", "repetition_penalty")
_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "suppress_tokens")
_OPTIONAL_IDS = ("bos_token_id", "eos_token_id", "suppress_tokens")
LONGEST_REASON = 200
"""Characters of an error of a library that a message repeats."""


def check_sizes(fields: Mapping[str, Any]) -> None:
    """Check the numbers of a configuration and of its sections, at any depth.

    Raises:
        ValueError: naming the first number that no machine can hold, or the first size that is not
            a positive integer.
    """
    for prefix, section in _sections("", fields):
        for name, value in section.items():
            is_size = name in _WIDTHS + _DEPTHS + _INNER_WIDTHS + _COUNTS
            if is_size and value is not None and (type(value) is not int or value < 1):
                raise ValueError(
                    f"the configuration has {prefix}{name} {repr(value)[:40]}, expected a positive "
                    "integer; look at config.json"
                )
            for number in value if isinstance(value, list | tuple) else [value]:
                if isinstance(number, int) and abs(number) > LARGEST_NUMBER:
                    raise ValueError(
                        f"the configuration has {prefix}{name} {str(number)[:40]}, expected at "
                        f"most {LARGEST_NUMBER}; look at config.json"
                    )
        weights = _estimated_weights(section)
        if weights > MOST_WEIGHTS:
            raise ValueError(
                f"the sizes of {prefix.rstrip('.') or 'the configuration'} ask for about "
                f"{weights:.0e} weights, expected at most {MOST_WEIGHTS:.0e}; look at config.json"
            )


def build_checked(build: Callable[[], Any], fields: Mapping[str, Any]) -> Any:
    """Build a configuration, or a model, from the fields of a ``config.json``.

    Args:
        build: builds it.
        fields: the fields, which are checked before.

    Raises:
        ValueError: in one line, for a value of a wrong type, or sizes that no machine can hold.
    """
    check_sizes(fields)
    try:
        return build()
    except Exception as error:
        text = " ".join(str(error.__cause__ or error).split())
        if isinstance(error, ImportError) or (type(error) is ValueError and "\n" not in str(error)):
            raise
        # The checks of Hugging Face list every type that a value could have had.
        reason = text.split(" Errors: ")[0][:LONGEST_REASON]
        raise ValueError(
            f"the configuration is not valid: {reason}; look at config.json"
        ) from error


class CheckedConfigMixin:
    """Checks the fields of a ``config.json`` before a configuration is built from them.

    It precedes ``PreTrainedConfig`` among the base classes of a configuration.
    """

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Build the configuration; errors are those of :func:`build_checked`."""
        build = partial(super().from_dict, config_dict, **kwargs)  # type: ignore[misc]
        return build_checked(build, config_dict)


def check_generation_settings(settings: Any, vocab_size: int) -> None:
    """Check the types of the settings of ``generate``, which a ``generation_config.json`` holds.

    Args:
        settings: ``GenerationConfig`` of transformers.
        vocab_size: number of ids of the decoder.

    Raises:
        ValueError: naming the first setting that is not a number, or no id.
    """

    def refuse(name: str, value: Any, expected: str) -> None:
        raise ValueError(
            f"{name} of the generation settings is {repr(value)[:40]}, expected {expected}; look "
            "at generation_config.json, or pass another value"
        )

    for name in _INTEGERS + _NUMBERS:
        value = getattr(settings, name, None)
        kinds = int if name in _INTEGERS else int | float
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            refuse(name, value, "an integer" if name in _INTEGERS else "a finite number")
        if abs(value) > LARGEST_NUMBER:
            refuse(name, value, f"at most {LARGEST_NUMBER}")
    for name in _IDS:
        value = getattr(settings, name, None)
        for entry in value if isinstance(value, list) else [value]:
            is_id = type(entry) is int and 0 <= entry < vocab_size
            if not is_id and not (entry is None and name in _OPTIONAL_IDS):
                refuse(name, value, f"ids from 0 to {vocab_size - 1}")


def _sections(prefix: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A configuration and the sections in it, each with the prefix of its names."""
    yield prefix, fields
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _sections(f"{prefix}{name}.", value)


def _estimated_weights(section: Mapping[str, Any]) -> float:
    """Weights of the layers and of one embedding table; 0 where the sizes are not given."""

    def size(names: tuple[str, ...]) -> float:
        found = [section[name] for name in names if isinstance(section.get(name), int)]
        return float(found[0]) if found else 0.0

    width, inner = size(_WIDTHS), size(_INNER_WIDTHS)
    layers = size(_DEPTHS) * width * (4 * width + 3 * inner)
    return layers + size(("vocab_size",)) * width


__all__ = ["CheckedConfigMixin", "build_checked", "check_generation_settings", "check_sizes"]
