"""The kinds of training: the options of each, and the function that trains."""

import importlib
from typing import Any

KINDS = {
    "lm": (
        "language_model.options:LANGUAGE_MODEL_OPTIONS",
        "language_model.run:train_language_model",
    ),
    "lora": ("language_model.options:LORA_OPTIONS", "language_model.lora:train_lora"),
    "conditioner": ("conditioner.options:CONDITIONER_OPTIONS", "conditioner.run:train_conditioner"),
    "masked": ("masked.options:MASKED_OPTIONS", "masked.run:train_masked_model"),
    "codec": ("codec.options:CodecTrainingOptions", "codec.trainer:train_codec"),
    "teacher": ("codec.options:TeacherTrainingOptions", "codec.semantic_teacher:train_teacher"),
    "separator": (
        "separator.options:SeparatorTrainingOptions",
        "separator.trainer:train_separator",
    ),
}
"""Kind of training -> its dataclasses of options and the function that trains."""


def options_of(kind: str) -> tuple[type, ...]:
    """The dataclasses of options of a kind of training."""
    options = _named(KINDS[kind][0])
    return options if isinstance(options, tuple) else (options,)


def train(kind: str, options: tuple[Any, ...]) -> Any:
    """Run a training.

    Args:
        kind: a name of ``KINDS``.
        options: an instance of each class of :func:`options_of`.
    Returns:
        What the kind's function returns: a trainer of the library, metrics, or a folder.
    """
    return _named(KINDS[kind][1])(*options)


def _named(path: str) -> Any:
    """The object of a path "module:name" below this package."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), name)


__all__ = ["KINDS", "options_of", "train"]
