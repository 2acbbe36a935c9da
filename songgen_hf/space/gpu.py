"""Support for ZeroGPU Spaces, which get a GPU for the duration of a call.

Outside of ZeroGPU, and without the package ``spaces``, nothing here changes anything. On ZeroGPU
``import spaces`` must run before torch touches CUDA, so ``space/app.py`` begins with it.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

MAX_SECONDS = 120


def on_gpu(function: Function, *, duration: Callable[..., int]) -> Function:
    """Wrap a function so that it has a GPU while it runs in a ZeroGPU Space.

    Args:
        function: a function with picklable arguments and results. It may be a generator function;
            closing the generator also closes the one in the process that has the GPU.
        duration: returns the number of seconds that a call may take, from the arguments of the
            call.
    """
    try:
        import spaces
    except ImportError:
        return function

    def seconds(*args: Any, **kwargs: Any) -> int:
        return max(1, min(MAX_SECONDS, duration(*args, **kwargs)))

    return spaces.GPU(function, duration=seconds)


def is_zero_gpu() -> bool:
    """Whether this process runs in a ZeroGPU Space."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


__all__ = ["MAX_SECONDS", "is_zero_gpu", "on_gpu"]
