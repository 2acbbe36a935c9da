"""Where a module computes: its weights may lie elsewhere until a part of it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def execution_device(module: nn.Module) -> torch.device:
    """The device that the inputs of a module have to be on.

    accelerate keeps offloaded weights on the CPU or on disk (their parameters are meta tensors) and
    notes in the hooks of the parts where they are computed.
    """
    for part in module.modules():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return next(module.parameters()).device


@contextmanager
def loaded_weights(module: nn.Module) -> Iterator[None]:
    """Within the block the weights of an offloaded module can be read outside its ``forward``."""
    hook: Any = getattr(module, "_hf_hook", None)
    if hook is None:
        yield
        return
    hook.pre_forward(module)
    try:
        yield
    finally:
        hook.post_forward(module, None)


__all__ = ["execution_device", "loaded_weights"]
