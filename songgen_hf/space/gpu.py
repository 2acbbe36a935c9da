"""Hugging Face's ZeroGPU: a GPU that is lent for the length of a call.

Off ZeroGPU, and without the package ``spaces``, nothing here changes anything. On ZeroGPU
``import spaces`` must come before torch touches CUDA: ``space/app.py`` begins with it.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

MOST_SECONDS = 120


def on_gpu(function: Function, *, duration: Callable[..., int]) -> Function:
    """The function, lent a GPU while it runs where the Space is one of ZeroGPU.

    Args:
        function: its arguments and results must be picklable; it may be a generator function,
            which is closed there when it is closed here.
        duration: seconds that a call may take, from the call's own arguments.
    """
    try:
        import spaces
    except ImportError:
        return function

    def seconds(*args: Any, **kwargs: Any) -> int:
        return max(1, min(MOST_SECONDS, duration(*args, **kwargs)))

    return spaces.GPU(function, duration=seconds)


def is_lent() -> bool:
    """Whether this is a Space of ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


__all__ = ["MOST_SECONDS", "is_lent", "on_gpu"]
