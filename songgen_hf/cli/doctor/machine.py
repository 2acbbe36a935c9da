"""The devices of this machine with their free memory, and the cache of the Hub."""

import os
import shutil
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def describe_devices() -> list[dict[str, Any]]:
    """Every device that torch can use, with its memory and the precision to use there."""
    import torch

    free, total = memory()
    devices = [_device("cpu", free, total, bfloat16=True, advice="float32")]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        with torch.cuda.device(index):  # emulated bfloat16 is slow
            supported = torch.cuda.is_bf16_supported(including_emulation=False)
        advice = "bfloat16" if supported else "float16"
        devices.append(_device(f"cuda:{index}", free, total, bfloat16=supported, advice=advice))
    if torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        free = total - torch.mps.driver_allocated_memory()
        supported = torch.backends.mps.is_macos_or_newer(14, 0)
        devices.append(_device("mps", free, total, bfloat16=supported, advice="float32"))
    return devices


def _device(
    name: str, free: int | None, total: int | None, *, bfloat16: bool, advice: str
) -> dict[str, Any]:
    return {
        "device": name,
        "free_bytes": free,
        "total_bytes": total,
        "bfloat16": bfloat16,
        "advice": advice,
    }


def memory() -> tuple[int | None, int | None]:
    """Free and total memory in bytes, of the container if there is one; None where unknown."""
    free, total = _system_memory()
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is not None and used is not None and (total is None or limit < total):
        total = limit
        free = max(0, limit - used) if free is None else min(free, max(0, limit - used))
    return free, total


def _system_memory() -> tuple[int | None, int | None]:
    if MEMINFO.is_file():  # Linux; counts the caches that would be given up as free
        lines = dict(
            line.split(":", 1) for line in MEMINFO.read_text(encoding="utf-8").splitlines()
        )
        sizes = {name: 1024 * int(value.split()[0]) for name, value in lines.items()}
        return sizes.get("MemAvailable"), sizes["MemTotal"]
    try:
        import psutil
    except ImportError:
        return None, None
    sizes_now = psutil.virtual_memory()
    return sizes_now.available, sizes_now.total


def _number(path: Path) -> int | None:
    """The number in a file; None without the file, or if it says "max"."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def describe_hub() -> dict[str, Any]:
    """The cache of downloads, the space that is left there, and whether the Hub is used at all."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    existing = next(path for path in (cache, *cache.absolute().parents) if path.is_dir())
    return {
        "cache": str(cache),
        "writable": os.access(existing, os.W_OK),
        "free_bytes": shutil.disk_usage(existing).free,
        "offline": constants.is_offline_mode(),
    }
