"""Loads LoRA adapters into a song model, one or several with weights.

The file travels to the Hub with the pipeline and imports nothing of this package.
"""

import importlib.util
import warnings
from collections.abc import Mapping
from typing import Any

LONGEST_REASON = 200
"""Characters of an error of a library that a message repeats."""


def load_adapters(model: Any, adapters: str | Mapping[str, float]) -> None:
    """Replace the LoRA adapters of a model; several adapters are active at the same time.

    Args:
        model: the song model.
        adapters: folder or Hub id of an adapter, or a mapping from these to weights, where 1.0 is
            the adapter as it was trained and 0.5 adds half of it. An empty mapping removes all
            adapters.
    Raises:
        ValueError: if an adapter cannot be loaded or does not fit the model.
        ImportError: if PEFT is not installed.
    """
    if isinstance(adapters, str):
        adapters = {adapters: 1.0}
    if getattr(model, "_hf_peft_config_loaded", False):
        model.delete_adapter(list(model.peft_config))
    if adapters and importlib.util.find_spec("peft") is None:
        raise ImportError("peft is not installed. Install it with: pip install 'songgen-hf[train]'")
    names = {f"adapter_{number}": weight for number, weight in enumerate(adapters.values())}
    for name, source in zip(names, adapters, strict=True):
        try:
            with warnings.catch_warnings():
                # Several adapters are intended.
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                model.load_adapter(source, adapter_name=name)
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # a damaged file makes PEFT fail in many ways
            reason = " ".join(str(error).split())[:LONGEST_REASON]
            raise ValueError(
                f"cannot load the adapter {source!r}: {reason}; give a folder or Hub id that "
                "songgen-hf train lora wrote for this model"
            ) from error
    if not names:
        return
    model.set_adapter(list(names))
    for module in model.modules():
        if hasattr(module, "set_scale") and hasattr(module, "lora_A"):
            for name, weight in names.items():
                module.set_scale(name, weight)


__all__ = ["load_adapters"]
