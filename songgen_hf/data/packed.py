"""Packed tables: columns of unequal lengths in memory-mapped files, which are read without parsing.

A folder holds shards of each split, ``train-00000.safetensors``, and ``packed.json``, which is
written last. A shard holds for every column its values, one row after the other, and where each row
starts. What is in the columns is the matter of the code that writes and reads them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import encode_json, write_files

INDEX_FILE = "packed.json"
STARTS = "/starts"  # ending of the tensor that says where the rows of a column start
DTYPES = {"U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
DTYPES |= {"F32": "<f4", "F64": "<f8"}


def is_packed(folder: str | Path) -> bool:
    """Whether a folder holds a packed table, complete or not."""
    return (Path(folder) / INDEX_FILE).is_file()


def read_index(folder: str | Path) -> dict[str, Any]:
    """The content of ``packed.json``.

    Raises:
        ValueError: if the table is incomplete or a shard has another size than it was written with.
    """
    index = json.loads((Path(folder) / INDEX_FILE).read_text(encoding="utf-8"))
    if "shards" not in index:
        raise ValueError(
            f"{folder} is incomplete: finish it with the same songgen-hf prepare pack command"
        )
    for shard in (shard for shards in index["shards"].values() for shard in shards):
        path = Path(folder) / shard["file"]
        size = path.stat().st_size if path.is_file() else 0
        if size != shard["bytes"]:
            raise ValueError(
                f"{path} has {size} bytes, expected {shard['bytes']}: copy the folder again"
            )
    return index


def write_shard(
    path: Path, columns: Mapping[str, Sequence[np.ndarray]], facts: Mapping[str, Any]
) -> None:
    """Write one shard, whole or not at all.

    Args:
        path: path of the file.
        columns: for each column one array [length, ...] for each row, all of one type.
        facts: what belongs to the shard besides its columns; has to fit into JSON.
    """
    from safetensors.numpy import save

    tensors = {}
    for name, rows in columns.items():
        tensors[name] = np.ascontiguousarray(np.concatenate(rows))
        tensors[name + STARTS] = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    write_files({path: save(tensors, metadata={"facts": json.dumps(facts)})})


def write_index(folder: Path, identity: Mapping[str, Any], shards: Mapping[str, list[Path]]) -> str:
    """Write ``packed.json`` of a complete folder, and return the digest of its shards."""
    digest = hashlib.sha256()
    listed: dict[str, list[dict[str, Any]]] = {}
    for split, paths in shards.items():
        listed[split] = []
        for path in paths:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(content.encode())
            size = path.stat().st_size
            listed[split].append({"file": path.name, "bytes": size, "sha256": content})
    short = digest.hexdigest()[:16]
    index = {**identity, "digest": short, "shards": listed}
    write_files({folder / INDEX_FILE: encode_json(index)})
    return short


class PackedShard:
    """One memory-mapped shard.

    Args:
        path: file that :func:`write_shard` wrote.
    """

    def __init__(self, path: Path):
        self.path = path
        data = np.memmap(path, dtype=np.uint8, mode="c")  # writable for torch, never written back
        size = int(data[:8].view("<u8")[0])
        header = json.loads(data[8 : 8 + size].tobytes())
        self.facts: dict[str, Any] = json.loads(header.pop("__metadata__")["facts"])
        self.columns: dict[str, np.ndarray] = {}
        for name, entry in header.items():
            first, last = (8 + size + offset for offset in entry["data_offsets"])
            values = np.asarray(data[first:last]).view(DTYPES[entry["dtype"]])
            self.columns[name] = values.reshape(entry["shape"])

    def __reduce__(self) -> Any:
        return PackedShard, (self.path,)  # another process maps the file again

    def row(self, number: int, name: str) -> np.ndarray:
        """The values of a row, [length, ...]; a view of the file."""
        starts = self.columns[name + STARTS]
        return self.columns[name][starts[number] : starts[number + 1]]

    def lengths(self, name: str) -> np.ndarray:
        """Lengths of all rows of a column, [N] int64."""
        return np.diff(self.columns[name + STARTS])


class PackedTable:
    """The rows of one split of a packed folder.

    Args:
        folder: the folder.
        split: name of the split.
        kept: numbers of the rows to keep; all by default.
    Raises:
        ValueError: if there is no such split, or the folder is incomplete.
    """

    def __init__(self, folder: str | Path, split: str, kept: Iterable[int] | None = None):
        self.folder, self.split, self.index = Path(folder), split, read_index(folder)
        if split not in self.index["shards"]:
            raise ValueError(
                f"{folder} has no split {split!r}: got {', '.join(self.index['shards'])}; name one "
                "of them"
            )
        listed = self.index["shards"][split]
        self.shards = [PackedShard(self.folder / shard["file"]) for shard in listed]
        self.firsts = np.array([shard.facts["first"] for shard in self.shards])
        number = self.shards[-1].facts["last"] if self.shards else 0
        self.kept = np.arange(number) if kept is None else np.asarray(kept, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.kept)

    def select(self, rows: Iterable[int]) -> "PackedTable":
        """The table with some of its rows."""
        kept = self.kept[np.asarray(list(rows), dtype=np.int64)]
        return type(self)(self.folder, self.split, kept)

    def place(self, row: int) -> tuple[PackedShard, int]:
        """The shard of a row, and its number there."""
        number = int(self.kept[row])
        shard = int(np.searchsorted(self.firsts, number, side="right")) - 1
        return self.shards[shard], number - int(self.firsts[shard])

    def lengths(self, name: str) -> np.ndarray:
        """Lengths of the rows of a column, [N] int64."""
        return np.concatenate([shard.lengths(name) for shard in self.shards])[self.kept]


__all__ = [
    "INDEX_FILE",
    "PackedShard",
    "PackedTable",
    "is_packed",
    "read_index",
    "write_index",
    "write_shard",
]
