"""Finds the recordings to prepare: in a folder, in a manifest, or in a dataset with audio.

A recording is a row with ``recording_id``, ``path`` (of its mixture), and where they are known
``vocal`` and ``accompaniment`` (paths of its stems), ``lyrics``, ``language``, ``tags`` and any
further columns of the source, which are kept.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...files import safe_name, write_files
from ...modeling.checkpoint_files import reading
from ...optional import require
from ..tables import load_rows

AUDIO_ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
MANIFEST_ENDINGS = (".csv", ".jsonl", ".parquet")
STEM_NAMES = {
    "vocal": ("vocal", "vocals"),
    "accompaniment": ("accompaniment", "no_vocals", "instrumental"),
    "path": ("mixture", "mix"),
}
"""Names of the files of a folder that holds one recording with its stems."""
_PATHS = ("path", "vocal", "accompaniment")
_LONGEST_ID = 80


def find_recordings(source: str, folder: Path, *, split: str = "train") -> list[dict[str, Any]]:
    """List the recordings of a source, in order.

    - A folder: every sound file in it and its subfolders. Beside ``song.mp3``, ``song.txt`` holds
      the lyrics, ``song.json`` further columns, ``song.vocal.flac`` and ``song.accompaniment.flac``
      its stems. A subfolder with ``vocals`` and ``accompaniment`` (or ``no_vocals``,
      ``instrumental``) is one recording with stems; its ``mixture`` is needed.
    - A manifest (CSV, JSON lines or parquet) with a column ``path``, relative to the manifest.
    - A folder of parquet files or the name of a dataset of the Hub, with an audio column ``audio``
      or ``mixture`` and perhaps ``vocal`` and ``accompaniment``; the sounds are written to
      ``folder``.

    Args:
        source: folder, manifest or dataset.
        folder: where the sounds of a dataset are written.
        split: split of a dataset.
    Raises:
        FileNotFoundError: if there is no recording.
        ValueError: if a manifest cannot be read or lacks the column ``path``.
    """
    path = Path(source)
    if path.is_dir():
        rows = list(_folder_rows(path))
        if not rows and any(path.rglob("*.parquet")):
            rows = list(_dataset_rows(source, split, folder))
    elif path.is_file() and path.suffix.lower() in MANIFEST_ENDINGS:
        rows = [_with_paths(row, path) for row in _manifest_rows(path)]
    elif path.is_file() and path.suffix.lower() in AUDIO_ENDINGS:
        rows = [_file_row(path, path.parent)]
    elif path.exists():
        raise ValueError(
            f"{source} is neither a folder nor a manifest "
            f"({', '.join(MANIFEST_ENDINGS)}) nor a sound ({', '.join(AUDIO_ENDINGS)})"
        )
    else:
        rows = list(_dataset_rows(source, split, folder))
    if not rows:
        raise FileNotFoundError(
            f"{source} holds no sound files: expected {', '.join(AUDIO_ENDINGS)}"
        )
    return list(_with_ids(rows))


def _folder_rows(folder: Path) -> Iterator[dict[str, Any]]:
    stems_of: dict[Path, dict[str, str]] = {}
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO_ENDINGS]
    mixtures = {path.with_suffix("") for path in files}
    for path in files:
        song = path.with_suffix("")  # "song.vocal" of "song.vocal.flac"
        name = song.suffix.lower().removeprefix(".")
        role = next((role for role, names in STEM_NAMES.items() if name in names), None)
        if role in ("vocal", "accompaniment") and song.with_suffix("") in mixtures:
            stems_of.setdefault(song.with_suffix(""), {})[role] = str(path.resolve())
    taken = {path for stems in stems_of.values() for path in stems.values()}
    files = [path for path in files if str(path.resolve()) not in taken]
    for path in files:
        if (role := _role(path)) is not None:
            stems_of.setdefault(path.parent, {})[role] = str(path.resolve())
    stems_of = {place: roles for place, roles in stems_of.items() if "vocal" in roles}
    for path in files:
        role, stems = _role(path), stems_of.get(path.parent, {})
        if role is None or not stems:
            yield {**_file_row(path, folder), **stems_of.get(path.with_suffix(""), {})}
        elif role == "path":
            yield {
                **_file_row(path, folder),
                **stems,
                "_name": str(path.parent.relative_to(folder)),
            }


def _role(path: Path) -> str | None:
    name = path.stem.lower()
    return next((role for role, names in STEM_NAMES.items() if name in names), None)


def _file_row(path: Path, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"path": str(path.resolve())}
    details, lyrics = path.with_suffix(".json"), path.with_suffix(".txt")
    if details.is_file():
        with reading(details):
            row = {**dict(json.loads(details.read_text(encoding="utf-8"))), **row}
    if lyrics.is_file():
        with reading(lyrics):
            row["lyrics"] = lyrics.read_text(encoding="utf-8-sig").strip()
    row["_name"] = str(path.relative_to(folder).with_suffix(""))
    return row


def _manifest_rows(path: Path) -> list[dict[str, Any]]:
    with reading(path):
        if path.suffix.lower() == ".parquet":
            parquet = require("pyarrow.parquet", "prepare")
            rows = parquet.read_table(path).to_pylist()
        elif path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = [
                    {key: value for key, value in row.items() if key and value != ""}
                    for row in csv.DictReader(file)
                ]
        else:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            rows = [dict(json.loads(line)) for line in lines if line.strip()]
    if any(not isinstance(row.get("path"), str) for row in rows):
        raise ValueError(
            f"{path} has a row without a path: expected a column path with sound files, relative "
            "to the manifest"
        )
    return rows


def _with_paths(row: Mapping[str, Any], manifest: Path) -> dict[str, Any]:
    paths = {name: str((manifest.parent / row[name]).resolve()) for name in _PATHS if row.get(name)}
    return {**row, **paths, "_name": row.get("recording_id") or str(Path(row["path"]))}


def _dataset_rows(source: str, split: str, folder: Path) -> Iterator[dict[str, Any]]:
    datasets = require("datasets", "prepare")
    rows = load_rows(source, split, extra="prepare")
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Audio):
            rows = rows.cast_column(name, datasets.Audio(decode=False))
    column = next((name for name in ("audio", "mixture") if name in rows.column_names), None)
    if column is None:
        raise ValueError(
            f"{source} has no column audio or mixture: got {', '.join(rows.column_names)}"
        )
    sounds = {"path": column, "vocal": "vocal", "accompaniment": "accompaniment"}
    for index, row in enumerate(rows):
        name = str(row.get("id") or row.get("song_id") or f"{split}-{index:06d}")
        paths = {
            role: _sound_file(row[key], folder, f"{name}.{role}")
            for role, key in sounds.items()
            if isinstance(row.get(key), dict)
        }
        kept = {key: value for key, value in row.items() if key not in sounds.values()}
        yield {**kept, **paths, "_name": name}


def _sound_file(cell: Mapping[str, Any], folder: Path, name: str) -> str:
    """The file of an audio cell; one that holds bytes is written."""
    if cell.get("bytes") is None:
        return str(Path(cell["path"]).resolve())
    ending = Path(cell.get("path") or "").suffix or ".flac"
    path = folder / f"{safe_name(name, longest=_LONGEST_ID)}{ending}"
    if not path.is_file():
        write_files({path: cell["bytes"]})
    return str(path.resolve())


def _with_ids(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give every recording an id that is a valid file name; equal names get a digest."""
    taken: set[str] = set()
    for row in rows:
        name = row.pop("_name")
        identity = safe_name(name.replace("/", "-"), default="recording", longest=_LONGEST_ID)
        if identity in taken:
            digest = sha256(f"{name}/{row['path']}/{len(taken)}".encode()).hexdigest()[:8]
            identity = f"{identity}-{digest}"
        taken.add(identity)
        row = {key: value for key, value in row.items() if key != "recording_id"}
        yield {"recording_id": identity, **json.loads(json.dumps(row, default=str))}


__all__ = ["AUDIO_ENDINGS", "MANIFEST_ENDINGS", "STEM_NAMES", "find_recordings"]
