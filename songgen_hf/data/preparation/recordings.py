"""Finds the recordings to prepare: in a folder, in a manifest, or in a dataset with audio.

A recording is a row with ``recording_id``, ``path`` (of its mixture), and where they are known
``vocal`` and ``accompaniment`` (paths of its stems), ``lyrics``, ``language``, ``tags`` and any
further columns of the source, which are kept.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...files import safe_name, write_files
from ...modeling.checkpoint_files import reading
from ...optional import require
from ...pipelines.lyrics_files import lrc_lyrics
from ..tables import DIGITS, files_digest, load_rows
from .languages import language_code

AUDIO_ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
MANIFEST_ENDINGS = (".csv", ".jsonl", ".parquet")
STEM_NAMES = {
    "vocal": ("vocal", "vocals"),
    "accompaniment": ("accompaniment", "no_vocals", "instrumental"),
    "path": ("mixture", "mix"),
}
"""Names of the files of a folder that holds one recording with its stems."""
ERROR = "error"
"""The column that says why a recording or a clip cannot be used."""
_PATHS = ("path", "vocal", "accompaniment")
_TEXTS = (*_PATHS, "lyrics", "recording_lyrics", "language")
_LONGEST_ID = 80


def find_recordings(source: str, folder: Path, *, split: str = "train") -> list[dict[str, Any]]:
    """List the recordings of a source, in order.

    - A folder: every sound file in it and its subfolders. Beside ``song.mp3``, ``song.txt`` (or
      ``song.lrc``) holds the lyrics, ``song.json`` further columns, ``song.vocal.flac`` and
      ``song.accompaniment.flac`` its stems. If lyrics or columns cannot be read, the recording
      has an ``error``. A subfolder with ``vocals``, ``accompaniment`` (or ``no_vocals``,
      ``instrumental``) and ``mixture`` is one recording with stems.
    - A manifest (CSV, JSON lines or parquet) with a column ``path``, relative to the manifest.
    - A folder of parquet files or the name of a dataset of the Hub, with an audio column ``audio``
      or ``mixture`` and perhaps ``vocal`` and ``accompaniment``; the sounds are written to
      ``folder``.

    A recording whose lyrics, language or paths of stems are no text has an ``error``, too.

    Args:
        source: folder, manifest or dataset.
        folder: where the sounds of a dataset are written.
        split: split of a dataset.
    Raises:
        FileNotFoundError: if there is no recording, or no such source.
        ValueError: if a manifest cannot be read or lacks the column ``path``, stems have no
            mixture, or ``folder`` lies in ``source``.
    """
    path = Path(source)
    if path.is_dir():
        if folder.resolve().is_relative_to(path.resolve()):
            raise ValueError(
                f"{folder.parent} lies in the folder of recordings {source}, where its own sounds "
                "would be prepared, too: choose a folder outside"
            )
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
    files = [path for path in sorted(folder.rglob("*")) if _is_sound(path, folder)]
    mixtures = {path.with_suffix("") for path in files}
    beside: dict[Path, dict[str, Path]] = defaultdict(dict)  # song -> its stems
    for path in files:
        song = path.with_suffix("")  # "song.vocal" of "song.vocal.flac"
        role = _role(song.suffix.removeprefix("."))
        if role in ("vocal", "accompaniment") and song.with_suffix("") in mixtures:
            beside[song.with_suffix("")][role] = path
    taken = {path for stems in beside.values() for path in stems.values()}
    files = [path for path in files if path not in taken]
    folders: dict[Path, dict[str, Path]] = defaultdict(dict)  # folder -> what it holds
    for path in files:
        if (role := _role(path.stem)) is not None:
            folders[path.parent][role] = path
    # A vocal without the others is a song of that name.
    folders = {
        place: roles
        for place, roles in folders.items()
        if "vocal" in roles and roles.keys() - {"vocal"}
    }
    for place, roles in folders.items():
        if "path" not in roles:
            raise ValueError(
                f"{place} holds stems, but no file {' or '.join(STEM_NAMES['path'])}: add the "
                "mixture"
            )
    for path in files:
        if path.parent not in folders or _role(path.stem) is None:
            stems, name = beside.get(path.with_suffix(""), {}), None
        elif path == folders[path.parent]["path"]:
            stems, name = folders[path.parent], str(path.parent.relative_to(folder))
        else:
            continue
        row = {
            **_file_row(path, folder),
            **{role: str(one.resolve()) for role, one in stems.items()},
        }
        yield {**row, "_name": name or row["_name"]}


def _is_sound(path: Path, folder: Path) -> bool:
    """Whether a path is a sound file that is not hidden, as files of an operating system are."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in AUDIO_ENDINGS and not hidden and path.is_file()


def _role(name: str) -> str | None:
    return next((role for role, names in STEM_NAMES.items() if name.lower() in names), None)


def _file_row(path: Path, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"path": str(path.resolve())}
    try:
        if details := _beside(path, ".json"):
            row = {**_filled(_json_object(_text(details), details)), **row}
        if lyrics := _beside(path, ".txt"):
            row["lyrics"] = _text(lyrics).strip()
        elif timed := _beside(path, ".lrc"):
            row["lyrics"] = lrc_lyrics(_text(timed))
    except (OSError, ValueError) as error:
        row[ERROR] = f"inspect: {error}"
    row["_name"] = str(path.relative_to(folder).with_suffix(""))
    return row


def _beside(path: Path, ending: str) -> Path | None:
    """The file beside a sound with another ending, in small or capital letters."""
    found = (path.with_suffix(one) for one in (ending, ending.upper()))
    return next((file for file in found if file.is_file()), None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot read {path.name} as UTF-8: save it in this encoding") from error


def _json_object(text: str, path: Path, line: int = 1) -> dict[str, Any]:
    """The JSON object that begins in a line of a file."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"line {line + error.lineno - 1} of {path.name} is no JSON ({error.msg}, column "
            f"{error.colno}): correct it"
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"line {line} of {path.name}: got {type(found).__name__}, expected a JSON object such "
            'as {"genre": "folk"}'
        )
    return found


def _filled(value: Any) -> Any:
    """A value of JSON without the objects that are empty, which Parquet cannot hold."""
    if isinstance(value, list):
        return [full for one in value if (full := _filled(one)) != {}]
    if not isinstance(value, dict):
        return value
    return {key: full for key, one in value.items() if (full := _filled(one)) != {}}


def _manifest_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix.lower() == ".parquet":
        parquet = require("pyarrow.parquet", "prepare")
        with reading(path):
            rows = parquet.read_table(path).to_pylist()
    elif path.suffix.lower() == ".csv":
        file = io.StringIO(_text(path), newline="")
        with reading(path):
            rows = [
                {key: value for key, value in row.items() if key and value != ""}
                for row in csv.DictReader(file)
            ]
    else:
        lines = enumerate(_text(path).split("\n"), 1)
        rows = [_json_object(line, path, number) for number, line in lines if line.strip()]
    if any(not isinstance(row.get("path"), str) for row in rows):
        raise ValueError(
            f"{path} has a row without a path: expected a column path with sound files, relative "
            "to the manifest"
        )
    return rows


def _with_paths(row: Mapping[str, Any], manifest: Path) -> dict[str, Any]:
    paths = {
        name: str((manifest.parent / row[name]).resolve())
        for name in _PATHS
        if isinstance(row.get(name), str) and row[name]
    }
    name = row.get("recording_id")
    return {**row, **paths, "_name": str(Path(row["path"]) if name in (None, "") else name)}


def _dataset_rows(source: str, split: str, folder: Path) -> Iterator[dict[str, Any]]:
    datasets = require("datasets", "prepare")
    try:
        rows = load_rows(source, split, extra="prepare")
    except OSError as error:
        if Path(source).exists():
            raise
        raise FileNotFoundError(
            f"no recordings: {source} is neither a folder nor a file here, and no dataset of the "
            f"Hub that can be read ({' '.join(str(error).split())}); check the path"
        ) from error
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
            role: _sound_file(row[key], folder, name, role)
            for role, key in sounds.items()
            if isinstance(row.get(key), dict)
        }
        kept = {key: value for key, value in row.items() if key not in sounds.values()}
        yield {**kept, **paths, "_name": name}


def _sound_file(cell: Mapping[str, Any], folder: Path, name: str, role: str) -> str:
    """The file of an audio cell; one that holds bytes is written, with their digest in its name."""
    if cell.get("bytes") is None:
        return str(Path(cell["path"]).resolve())
    ending = Path(cell.get("path") or "").suffix.lower()
    ending = ending if ending in AUDIO_ENDINGS else ".flac"
    digest = sha256(cell["bytes"]).hexdigest()[:DIGITS]
    path = folder / f"{safe_name(name)}-{role}-{digest}{ending}"
    if not path.is_file():
        write_files({path: cell["bytes"]})
    return str(path.resolve())


def _with_ids(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give every recording an id that is a valid file name; equal names get a digest."""
    taken: set[str] = set()
    for row in rows:
        name = row.pop("_name")
        for key in _TEXTS:
            if not isinstance(row.get(key), str | None):
                kind = type(row.pop(key)).__name__
                row.setdefault(ERROR, f"inspect: {key}: got {kind}, expected text; write it as one")
        if row.get("language"):
            row["language"] = language_code(row["language"])
        identity = plain = safe_name(name, default="recording", longest=_LONGEST_ID)
        while identity in taken:
            text = f"{identity}/{name}/{row.get('path')}"
            identity = f"{plain}-{sha256(text.encode()).hexdigest()[:8]}"
        taken.add(identity)
        row = {key: value for key, value in row.items() if key != "recording_id"}
        yield {"recording_id": identity, **json.loads(json.dumps(row, default=str))}


def recording_digest(
    recording: Mapping[str, Any], digest: Callable[[Iterable[Path]], str] = files_digest
) -> str:
    """A digest of what is known of a recording and of its files, wherever they are.

    Args:
        recording: row of :func:`find_recordings`.
        digest: digest of its files, by their times or by their contents.
    """
    paths = [Path(recording[name]) for name in _PATHS if recording.get(name)]
    known = {name: value for name, value in recording.items() if name not in _PATHS}
    text = json.dumps([known, digest(path for path in paths if path.is_file())])
    return sha256(text.encode()).hexdigest()[:DIGITS]


__all__ = [
    "AUDIO_ENDINGS",
    "ERROR",
    "MANIFEST_ENDINGS",
    "STEM_NAMES",
    "find_recordings",
    "recording_digest",
]
