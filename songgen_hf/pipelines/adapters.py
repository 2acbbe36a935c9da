"""Loads LoRA adapters into a song model, one or several with weights.

The file travels to the Hub with the pipeline and imports nothing of this package.
"""

import importlib.util
import logging
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

logger = logging.getLogger(__name__)
LONGEST_REASON = 200
"""Characters of an error of a library that a message repeats."""
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


Adapter = str | os.PathLike[str]


def load_adapters(model: Any, adapters: Adapter | Sequence[Adapter] | Mapping[Any, float]) -> None:
    """Replace the LoRA adapters of a model; several adapters are active at the same time.

    Args:
        model: the song model.
        adapters: folder or Hub id of an adapter, several, or a mapping from these to weights, where
            1.0 is the adapter as it was trained and 0.5 adds half of it. An empty mapping removes
            all adapters.
    Raises:
        TypeError: if a weight is no number.
        ValueError: if an adapter cannot be loaded or does not fit the model, or if a weight is not
            finite.
        ImportError: if PEFT is not installed.
    """
    weights = _weights(adapters)
    for source in weights:
        if not os.path.isdir(source) and not _HUB_ID.fullmatch(source):
            raise ValueError(
                f"no adapter {source!r}: it is no folder here and no Hub id (owner/name); check "
                "the path"
            )
    if getattr(model, "_hf_peft_config_loaded", False):
        model.delete_adapter(list(model.peft_config))
    if weights and importlib.util.find_spec("peft") is None:
        raise ImportError("peft is not installed. Install it with: pip install 'songgen-hf[train]'")
    names = {f"adapter_{number}": weight for number, weight in enumerate(weights.values())}
    for name, source in zip(names, weights, strict=True):
        try:
            with quiet_peft():
                _load_adapter(model, source, name)
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # a damaged file makes PEFT fail in many ways
            reason = " ".join(str(error).split())[:LONGEST_REASON]
            raise ValueError(
                f"cannot load the adapter {source!r}: {reason}; give a folder or Hub id that "
                "songgen-hf train lora wrote for this model"
            ) from error
        _warn_of_another_model(model, name, source)
    if not names:
        return
    model.set_adapter(list(names))
    for module in model.modules():
        if hasattr(module, "set_scale") and hasattr(module, "lora_A"):
            for name, weight in names.items():
                module.set_scale(name, weight)


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Leave out warnings of PEFT that nobody can act on."""
    with warnings.catch_warnings():
        # Several adapters are intended.
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        # PEFT 0.21 asks transformers 5.23 by an old name.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def named_adapters(names: str | Sequence[str] | None) -> dict[str, float] | None:
    """Return the weights of adapters that are written as ``"one:0.7,another"``; None for None.

    A name without a weight has 1.0. A folder whose own name has commas or colons is one adapter.
    Of several texts the adapters of all are returned.
    """
    if names is None:
        return None
    found: dict[str, float] = {}
    for text in [names] if isinstance(names, str) else names:
        found |= {text: 1.0} if os.path.isdir(text) else written_adapters(text)
    return found


def written_adapters(text: str) -> dict[str, float]:
    """Return the weights of adapters as :func:`named_adapters`, without a look at any folder.

    Raises:
        ValueError: for a weight that is no number.
    """
    found: dict[str, float] = {}
    for part in map(str.strip, text.split(",")):
        name, _, weight = part.rpartition(":")
        try:
            found |= {name: float(weight)} if name else {part: 1.0}
        except ValueError:
            if not re.search(r"[/\\]", weight):
                raise ValueError(
                    f"the weight of the adapter {name} is {weight!r}: expected a number"
                ) from None
            found[part] = 1.0  # the colon belongs to the path
    return found


def _load_adapter(model: Any, source: str, name: str) -> None:
    """Load an adapter beside those of the model, whose weights are not missing in its file.

    transformers reports them as missing. A report of anything else is shown.
    """
    log, held = logging.getLogger("transformers.integrations.peft"), []

    def hold(record: logging.LogRecord) -> bool:
        is_report = "LOAD REPORT" in record.getMessage() and source in record.getMessage()
        if is_report:
            held.append(record)
        return not is_report

    log.addFilter(hold)
    try:
        found = model.load_adapter(source, adapter_name=name)
        found.missing_keys = {key for key in found.missing_keys if f".{name}." in f"{key}."}
        report = found.create_loading_report()
        for record in held:
            record.msg = f"LOAD REPORT from: {source}\n{report}"
        if report is None:
            held.clear()
    finally:
        log.removeFilter(hold)
        for record in held:
            log.handle(record)


def _weights(adapters: Adapter | Sequence[Adapter] | Mapping[Any, float]) -> dict[str, float]:
    """Folders and Hub ids of adapters, with their checked weights."""
    if isinstance(adapters, str | os.PathLike):
        adapters = [adapters]
    given = adapters if isinstance(adapters, Mapping) else dict.fromkeys(adapters, 1.0)
    for source, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise TypeError(f"the weight of the adapter {source} is {weight!r}: expected a number")
        if not math.isfinite(weight):
            raise ValueError(f"the weight of the adapter {source} is {weight}: expected it finite")
    return {os.fspath(source): float(weight) for source, weight in given.items()}


def _warn_of_another_model(model: Any, name: str, source: str) -> None:
    """Warn if an adapter names another base than the model; folders may have been moved."""
    base = getattr(model.peft_config[name], "base_model_name_or_path", None)
    own = getattr(model, "name_or_path", None)
    if base and own and PurePath(base).name != PurePath(own).name:
        logger.warning(
            "The adapter %s was trained for %s and is used with %s: give that model (--model), "
            "unless it is the same under another name.",
            source, base, own,
        )  # fmt: skip


__all__ = ["load_adapters", "named_adapters", "quiet_peft", "written_adapters"]
