"""Finds the songs of a listening test: folders paired by file name, or a table of paths."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ENDINGS = (".wav", ".flac", ".mp3", ".ogg")
TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class PairedSongs:
    """Songs of several systems.

    Args:
        systems: name of each system.
        items: for the name of each item, such as a prompt, the song of each system.
        unpaired: number of songs that not every system has.
    """

    systems: tuple[str, ...]
    items: dict[str, tuple[Path, ...]]
    unpaired: int = 0


def find_songs(sources: Sequence[str | Path], names: Sequence[str] | None = None) -> PairedSongs:
    """Find the songs of folders, or of one table.

    Args:
        sources: a folder for each system, or one CSV (or tab-separated .tsv) file with a header.
        names: names of the systems.
    Raises:
        FileNotFoundError: if a folder, the table or a song is missing.
        ValueError: if no songs are found, or names or rows do not fit.
    """
    paths = [Path(source) for source in sources]
    if len(paths) == 1 and paths[0].suffix.lower() in TABLES:
        found = _of_table(paths[0])
    else:
        found = _of_folders(paths)
    if names is not None and len(names) != len(found.systems):
        raise ValueError(f"got {len(names)} names for {len(found.systems)} systems")
    systems = found.systems if names is None else tuple(names)
    if len(set(systems)) != len(systems) or not all(systems):
        raise ValueError(
            f"the systems are called {', '.join(map(repr, systems))}: give different names with "
            "--names"
        )
    return PairedSongs(systems, found.items, found.unpaired)


def _of_folders(folders: Sequence[Path]) -> PairedSongs:
    songs = [_songs_in(folder) for folder in folders]
    shared = sorted(set.intersection(*(set(each) for each in songs)))
    if not shared:
        raise ValueError(
            f"{' and '.join(map(str, folders))} have no file name in common: songs are paired by "
            "name; give a CSV file of their paths for other names"
        )
    return PairedSongs(
        tuple(folder.resolve().name for folder in folders),
        {name: tuple(each[name] for each in songs) for name in shared},
        sum(len(each) - len(shared) for each in songs),
    )


def _songs_in(folder: Path) -> dict[str, Path]:
    """The songs directly in a folder by their names without ending."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder: give a folder of songs for each system")
    songs: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in ENDINGS:
            continue
        if songs.setdefault(path.stem, path) is not path:
            raise ValueError(
                f"{songs[path.stem]} and {path} differ in their endings only: keep one"
            )
    if not songs:
        raise ValueError(f"{folder} holds no songs, expected files in {', '.join(ENDINGS)}")
    return songs


def _of_table(table: Path) -> PairedSongs:
    if not table.is_file():
        raise FileNotFoundError(f"{table} does not exist: give a CSV file of paths, or folders")
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter="\t" if table.suffix.lower() == ".tsv" else ",")
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    if len(rows) < 2:
        raise ValueError(f"{table} has no songs, expected a header of names and rows of paths")
    (_, header), *rows = rows
    items = {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise ValueError(
                f"line {line} of {table} has {len(cells)} cells, its header {len(header)}"
            )
        songs = tuple(table.parent / cell for cell in cells)
        for song in songs:
            if not song.is_file():
                raise FileNotFoundError(
                    f"line {line} of {table} names {song}, which is no file; paths are relative to "
                    "the table"
                )
        items[f"line {line}"] = songs
    return PairedSongs(tuple(header), items)


__all__ = ["ENDINGS", "PairedSongs", "find_songs"]
