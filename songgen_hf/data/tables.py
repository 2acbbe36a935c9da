"""Rows of parquet files, read from the very files that a folder holds.

``datasets.load_dataset(folder)`` (5.2) names its cache after the last part of the path: two folders
of one name whose cards have a ``configs:`` section are the same to it, and the second one gets the
rows of the first. Here a folder is resolved to its files, and these are loaded by their full paths.
"""

import glob
import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from ..modeling.checkpoint_files import reading
from ..optional import require
from .packed import is_packed, read_index

CARD = "README.md"
DIGITS = 16


def load_rows(source: str | Path, split: str, *, extra: str = "train") -> Any:
    """The rows of one split as a ``datasets.Dataset``.

    A column that only some of the files have is null in the rows of the others.

    Args:
        source: a folder or file of parquet, or a Hub id.
        split: name of the split; a single file is all of it.
        extra: of this package, which brings ``datasets``.
    Raises:
        FileNotFoundError: if a folder holds no parquet files.
        ValueError: if there is no such split, or a file is damaged.
    """
    datasets = require("datasets", extra)
    if not Path(source).exists():
        return datasets.load_dataset(str(source), split=split)
    with reading(source):
        files = [str(path) for path in split_files(source, split, extra=extra)]
        try:
            return datasets.load_dataset(
                "parquet", data_files={split: files}, split=split, features=_features(files)
            )
        except datasets.exceptions.DatasetGenerationError as error:
            raise error.__cause__ or error from None


def _features(files: Iterable[str]) -> Any:
    """The columns of all files, or None if they have the same ones."""
    from datasets import Features, Value
    from pyarrow.parquet import read_schema

    found = [Features.from_arrow_schema(read_schema(name)) for name in files]
    if all(each.keys() == found[0].keys() for each in found):
        return None
    empty = Value("null")  # of a column without any value
    joined: dict[str, Any] = {}
    for each in found:
        joined |= {name: kind for name, kind in each.items() if joined.get(name, empty) == empty}
    return Features(joined)


def split_files(source: str | Path, split: str, *, extra: str = "train") -> list[Path]:
    """The parquet files of one split of a local dataset, with their full paths, in order.

    A card's ``configs:`` section decides; without one, the names of files and folders, as the
    datasets library reads them.

    Raises:
        FileNotFoundError: if a folder holds no parquet files.
        ValueError: if there is no such split.
    """
    path = Path(source).resolve()
    if path.is_file():
        return [path]
    if not any(path.rglob("*.parquet")):
        raise FileNotFoundError(
            f"{source} holds no parquet files; write them with songgen-hf prepare codes"
        )
    found = _files_by_split(path, extra)
    if split not in found:
        raise ValueError(
            f"{source} has no split {split!r}: got {', '.join(sorted(found)) or 'none'}; name one "
            "of them"
        )
    return [Path(name) for name in found[split]]


def split_names(source: str | Path, *, extra: str = "train") -> list[str]:
    """The splits of a local folder of parquet files; FileNotFoundError if it holds none."""
    found = _files_by_split(Path(source).resolve(), extra)
    if not found:
        raise FileNotFoundError(f"{source} holds no parquet files")
    return list(found)


def files_digest(files: Iterable[str | Path]) -> str:
    """A short digest of the names, sizes and times of change of files.

    It is recorded with everything that is made from them: other files under the same name are
    noticed, without reading gigabytes.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(file).resolve() for file in files):
        state = path.stat()
        digest.update(f"{path.name}/{state.st_size}/{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:DIGITS]


def contents_digest(files: Iterable[str | Path]) -> str:
    """A short digest of the names and contents of files, which copies of them have, too.

    It reads them, so compare :func:`files_digest` first.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(file).resolve() for file in files):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}/{content}\n".encode())
    return digest.hexdigest()[:DIGITS]


def local_files(source: str | Path, endings: Collection[str] = (".parquet",)) -> list[Path]:
    """The files that a file, a folder (with its subfolders) or a pattern names, in order.

    Args:
        source: the path or pattern; there are none for a Hub id.
        endings: of the files of a folder, in lower case.
    """
    path = Path(source)
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix.lower() in endings)
    return [path] if path.is_file() else sorted(map(Path, glob.glob(str(source))))


def source_digest(
    source: str | Path, *, recorded: str | None = None, endings: Collection[str] = (".parquet",)
) -> str | None:
    """The digest of the files of a local source; ``recorded`` for a Hub id.

    Args:
        source: as in :func:`local_files`, like ``endings``.
        recorded: the digest that the files must have; None or empty for any.
    Raises:
        ValueError: if they have another one.
    """
    if is_packed(source):
        found = read_index(source)["digest"]  # of the content, so the folder may be copied
    elif files := local_files(source, endings):
        found = files_digest(files)
    else:
        return recorded
    if recorded and recorded != found:
        raise ValueError(
            f"{source} holds other files (digest {found}) than the configuration was written for "
            f"({recorded}): name that dataset, or leave its digest out"
        )
    return found


def _files_by_split(folder: Path, extra: str) -> dict[str, list[str]]:
    require("datasets", extra)
    from datasets.data_files import DataFilesDict, get_data_patterns, sanitize_patterns
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    patterns: Any = None
    if (folder / CARD).is_file():
        card = DatasetCard.load(folder / CARD)
        configs = MetadataConfigs.from_dataset_card_data(card.data)
        if configs:
            default = configs.get_default_config_name() or next(iter(configs))
            patterns = configs[default].get("data_files")
    if patterns is None:
        patterns = get_data_patterns(str(folder))
    resolved = DataFilesDict.from_patterns(
        sanitize_patterns(patterns), base_path=str(folder), allowed_extensions=[".parquet"]
    )
    return {str(split): [str(name) for name in files] for split, files in resolved.items()}


__all__ = [
    "contents_digest",
    "files_digest",
    "load_rows",
    "local_files",
    "source_digest",
    "split_files",
    "split_names",
]
