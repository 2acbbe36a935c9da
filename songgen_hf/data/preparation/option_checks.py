"""Checks of the numbers of options, which name the option, its value and what was expected."""

from typing import Any


def check_at_least(options: Any, low: int, *names: str) -> None:
    """Raise ValueError if one of these options is less than ``low``."""
    expected = f"at least {low}" if low else "0 or more"
    for name in names:
        if getattr(options, name) < low:
            raise ValueError(f"{name} must be {expected}: got {getattr(options, name)}")


def check_positive(options: Any, *names: str) -> None:
    """Raise ValueError if one of these options is not more than 0."""
    for name in names:
        if getattr(options, name) <= 0:
            raise ValueError(f"{name} must be more than 0: got {getattr(options, name)}")


def check_device_share(options: Any) -> None:
    """Raise ValueError unless ``device_share`` is from 0 to 1, or a whole number of GPUs."""
    share = options.device_share
    if share < 0 or (share > 1 and share != int(share)):
        raise ValueError(f"device_share must be 0 to 1 or a whole number of GPUs: got {share}")


__all__ = ["check_at_least", "check_device_share", "check_positive"]
