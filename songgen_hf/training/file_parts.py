"""Splits large files of a checkpoint into parts, for transfers that limit the size of a file."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..files import TEMPORARY, write_files

PART = re.compile(r"(?P<name>.+)\.part-(?P<number>\d{5})-of-(?P<count>\d{5})$")
WEIGHTS = ("model", "adapter_model")
"""Beginnings of the names of weights, which the library writes as shards itself."""


def split_files(folder: Path, max_bytes: int) -> None:
    """Split larger files of a folder into parts ``NAME.part-00000-of-00003`` and so on.

    Weights and JSON stay as they are.
    """
    for path in [path for path in sorted(folder.iterdir()) if path.is_file()]:
        size = path.stat().st_size
        is_whole = path.name.startswith(WEIGHTS) or path.suffix == ".json"
        if size <= max_bytes or is_whole or PART.match(path.name):
            continue
        count = -(-size // max_bytes)
        with path.open("rb") as file:
            for number in range(count):
                part = path.with_name(f"{path.name}.part-{number:05d}-of-{count:05d}")
                write_files({part: file.read(max_bytes)})
        path.unlink()


@contextmanager
def joined_files(folder: Path) -> Iterator[None]:
    """Restore the files of a folder that were split, and remove them again after the block.

    Raises:
        ValueError: if a part is missing.
    """
    joined = []
    try:
        for first in sorted(folder.glob("*.part-00000-of-*")):
            match = PART.match(first.name)
            assert match is not None
            path, count = folder / match["name"], int(match["count"])
            if path.is_file():
                continue
            # Whole at once: other processes join it, too, and one may be killed meanwhile.
            unfinished = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
            joined += [path, unfinished]
            with unfinished.open("wb") as file:
                for number in range(count):
                    part = path.with_name(f"{path.name}.part-{number:05d}-of-{count:05d}")
                    if not part.is_file():
                        raise ValueError(f"{part} is missing: copy the whole checkpoint")
                    file.write(part.read_bytes())
            unfinished.replace(path)
        yield
    finally:
        for path in joined:
            path.unlink(missing_ok=True)


__all__ = ["joined_files", "split_files"]
