"""Shards of a dataset: parquet files that are written one by one, so that a run can be resumed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..optional import require


@dataclass(frozen=True)
class Shard:
    """One parquet file with the rows of a split from ``first`` to ``last`` (exclusive)."""

    split: str
    number: int
    count: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.split}-{self.number:05d}-of-{self.count:05d}.parquet"

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self.last - self.first


def shards_of(sizes: Mapping[str, int], rows_per_shard: int) -> list[Shard]:
    """All shards of a dataset, in order.

    Args:
        sizes: number of rows of each split.
        rows_per_shard: number of rows of each shard except the last one of a split.
    """
    shards = []
    for split, size in sizes.items():
        starts = range(0, size, rows_per_shard)
        for number, first in enumerate(starts):
            last = min(size, first + rows_per_shard)
            shards.append(Shard(split, number, len(starts), first, last))
    return shards


@contextmanager
def datasets_progress_bars(shown: bool, *, extra: str) -> Iterator[None]:
    """Keep or hide the progress bars of the library datasets during the block.

    Args:
        shown: whether bars that are enabled stay enabled.
        extra: extra of this package that installs datasets.
    """
    require("pyarrow", extra)  # datasets imports it, and its error would not name the extra
    datasets = require("datasets", extra)
    was_enabled = datasets.is_progress_bar_enabled()
    if not shown:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if was_enabled:
            datasets.enable_progress_bars()


def parquet_bytes(table: Any) -> bytes:
    """The content of a parquet file with a table of pyarrow."""
    sink = require("pyarrow", "prepare").BufferOutputStream()
    require("pyarrow.parquet", "prepare").write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


__all__ = ["Shard", "datasets_progress_bars", "parquet_bytes", "shards_of"]
