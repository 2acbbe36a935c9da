"""What the machine has: devices and their precision, free memory, disk, the Hub's cache."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def describe_devices() -> list[dict[str, Any]]:
    """Every device that torch can use: free memory and the precision to use there."""
    import torch

    devices = [_describe_cpu()]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        supported = torch.cuda.is_bf16_supported()
        devices.append(
            {
                "device": f"cuda:{index}",
                "name": torch.cuda.get_device_name(index),
                "free_bytes": free,
                "total_bytes": total,
                "bfloat16": supported,
                "advice": "bfloat16" if supported else "float16",
            }
        )
    if torch.backends.mps.is_available():
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        devices.append(
            {
                "device": "mps",
                "name": "Apple GPU",
                "free_bytes": free,
                "total_bytes": torch.mps.recommended_max_memory(),
                "bfloat16": _works_in_bfloat16("mps"),
                "advice": "float32",
            }
        )
    return devices


def _describe_cpu() -> dict[str, Any]:
    import torch

    free, total = memory()
    speed = bfloat16_speed()
    return {
        "device": "cpu",
        "name": torch.backends.cpu.get_cpu_capability(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "free_bytes": free,
        "total_bytes": total,
        "bfloat16": True,
        "bfloat16_speed": round(speed, 2),
        "advice": "float32",
    }


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def bfloat16_speed(rounds: int = 5) -> float:
    """How many times as fast as in float32 one decoder step's products are in bfloat16 here."""
    import torch

    best = {}
    with torch.inference_mode():
        for dtype in (torch.float32, torch.bfloat16):
            states = torch.ones(2, 1024, dtype=dtype)
            weights = torch.ones(4096, 1024, dtype=dtype)
            torch.nn.functional.linear(states, weights)  # the first one prepares
            seconds = []
            for _ in range(rounds):
                started = time.perf_counter()
                torch.nn.functional.linear(states, weights)
                seconds.append(time.perf_counter() - started)
            best[dtype] = min(seconds)
    return best[torch.float32] / best[torch.bfloat16]


def _works_in_bfloat16(device: str) -> bool:
    import torch

    try:
        ones = torch.ones(2, 2, dtype=torch.bfloat16, device=device)
        return bool((ones @ ones).sum().item() == 8)
    except (RuntimeError, TypeError):
        return False


def memory() -> tuple[int | None, int | None]:
    """Free and all memory in bytes, of the container if there is one; None where unknown."""
    free, total = _system_memory()
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is not None and used is not None and (total is None or limit < total):
        total = limit
        free = max(0, limit - used) if free is None else min(free, max(0, limit - used))
    return free, total


def _system_memory() -> tuple[int | None, int | None]:
    if MEMINFO.is_file():  # Linux: counts the caches that would be given up
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
    """Where downloads go, whether there are any, and the room that is left."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    existing = next(path for path in (cache, *cache.absolute().parents) if path.is_dir())
    return {
        "cache": str(cache),
        "writable": os.access(existing, os.W_OK),
        "free_bytes": shutil.disk_usage(existing).free,
        "offline": constants.is_offline_mode(),
        "endpoint": constants.ENDPOINT,
    }


__all__ = [
    "bfloat16_speed",
    "describe_devices",
    "describe_hub",
    "memory",
    "usable_cores",
]
