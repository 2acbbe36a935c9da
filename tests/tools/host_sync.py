"""Detects operations that make the host wait for an accelerator, also where there is only a CPU."""

import traceback
from collections.abc import Iterable

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = frozenset(
    """
    _local_scalar_dense equal is_nonzero item masked_select nonzero nonzero_numpy nonzero_static
    unique unique_consecutive unique_dim _unique _unique2 bincount
    """.split()
)
"""Names of ATen operations whose result, or whose shape, the host has to read."""


class HostSync(TorchDispatchMode):
    """Records where an operation waits for its operands; on a GPU each is a stall of the queue.

    ``tensor.item()``, ``bool(tensor)``, boolean indices and the like run one of ``WAITING`` on
    every device, so a test on a CPU finds them. For copies, and for ``tolist()`` and ``numpy()``,
    the "meta" device takes the place of an accelerator: the first are recorded, the others fail.

    Args:
        ignored: parts of file names; calls from there are not recorded.
    """

    def __init__(self, ignored: Iterable[str] = ()):
        super().__init__()
        self.ignored = tuple(ignored)
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.__name__.split(".")[0]
        if name in WAITING or _between_devices(name, args, result) or _by_mask(name, args):
            self._record(name)
        return result

    def _record(self, name: str) -> None:
        frames = [f for f in traceback.extract_stack()[:-3] if "torch/utils" not in f.filename]
        if any(part in frame.filename for frame in frames for part in self.ignored):
            return
        ours = [f for f in frames if "/torch/" not in f.filename]
        last = ours[-1]
        self.found.append(f"{name} at {last.filename}:{last.lineno}: {last.line}")


def _between_devices(name: str, args: tuple, result: object) -> bool:
    if name not in ("_to_copy", "copy_") or not isinstance(result, torch.Tensor):
        return False
    source = args[1] if name == "copy_" else args[0]
    return isinstance(source, torch.Tensor) and source.device.type != result.device.type


def _by_mask(name: str, args: tuple) -> bool:
    """Whether an operation indexes with a boolean mask, whose positions must be counted."""
    if name not in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return False
    masks = [one for one in args[1] if one is not None and one.dtype in (torch.bool, torch.uint8)]
    if not masks:
        return False
    # A single value is written by masked_fill, without counting.
    return name == "index" or args[2].numel() != 1
