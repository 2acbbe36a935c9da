"""Checks of the values of a ``config.json`` before anything is allocated for them."""

from collections.abc import Callable, Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError

LARGEST_NUMBER = 2**24
"""Largest integer in a configuration: vocabularies and lengths of known models are far below."""
MOST_WEIGHTS = 2 * 10**11
"""Largest number of weights that the sizes of one section may ask for."""
_WIDTHS = ("hidden_size", "d_model", "output_size")
_DEPTHS = ("num_hidden_layers", "num_layers")
_INNER_WIDTHS = ("ffn_dim", "intermediate_size", "d_ff")


def check_sizes(fields: Mapping[str, Any]) -> None:
    """Check the numbers of a configuration and of its sections.

    Raises:
        ValueError: naming the first number that no machine can hold.
    """
    sections = {"": fields} | {
        f"{name}.": value for name, value in fields.items() if isinstance(value, Mapping)
    }
    for prefix, section in sections.items():
        for name, value in section.items():
            numbers = value if isinstance(value, list | tuple) else [value]
            for number in numbers:
                if isinstance(number, int) and abs(number) > LARGEST_NUMBER:
                    raise ValueError(
                        f"the configuration has {prefix}{name} {number}, expected at most "
                        f"{LARGEST_NUMBER}; look at config.json"
                    )
        weights = _estimated_weights(section)
        if weights > MOST_WEIGHTS:
            raise ValueError(
                f"the sizes of {prefix.rstrip('.') or 'the configuration'} ask for about "
                f"{weights:.0e} weights, expected at most {MOST_WEIGHTS:.0e}; look at config.json"
            )


def build_config(build: Callable[[], Any], fields: Mapping[str, Any]) -> Any:
    """Build a configuration from its fields; errors are one line.

    Raises:
        ValueError: for a number that is too large, or a value of a wrong type.
    """
    check_sizes(fields)
    try:
        return build()
    except StrictDataclassError as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ValueError(
            f"the configuration is not valid: {reason}; look at config.json"
        ) from error


def _estimated_weights(section: Mapping[str, Any]) -> float:
    """Weights of the layers and of one embedding table; 0 where the sizes are not given."""

    def size(names: tuple[str, ...]) -> float:
        found = [section[name] for name in names if isinstance(section.get(name), int)]
        return float(found[0]) if found else 0.0

    width, inner = size(_WIDTHS), size(_INNER_WIDTHS)
    layers = size(_DEPTHS) * width * (4 * width + 3 * inner)
    return layers + size(("vocab_size",)) * width


__all__ = ["build_config", "check_sizes"]
