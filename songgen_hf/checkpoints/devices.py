"""Resolves the name of a device, and checks that it can be used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def checked_device(name: str) -> "torch.device":
    """Return the device of a name; "auto" is the accelerator if there is one, else the CPU.

    Raises:
        ValueError: if the device cannot be used.
    """
    import torch

    if name == "auto":
        return torch.accelerator.current_accelerator() or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"cannot use device {name!r}: {reason}; try --device cpu") from error
    return device


__all__ = ["checked_device"]
