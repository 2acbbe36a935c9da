"""The folder of a whole song: finished sections, so that an interrupted song goes on.

    whole_song.json       what was asked for, and its digest
    section-01.npz        codes of the first section: codes, sampling_rate, hop_length
    section-01.json       its name, seed and words
    section-01.redone.*   the same of a section that was generated again, with its samples

The file travels to the Hub with the pipelines and imports only the files beside it; to write files,
the package songgen-hf is needed.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .song import package_module
from .song_plan import Section, SongPlan
from .sung_sections import SungSection

RECORD = "whole_song.json"


class SectionFolder:
    """The finished sections of one song in a folder.

    Args:
        path: the folder; it is made when the first file is written.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)

    @property
    def record(self) -> dict[str, Any] | None:
        """What was asked for; None for a folder without a song.

        Raises:
            ValueError: if the file is damaged.
        """
        file = self.path / RECORD
        if not file.is_file():
            return None
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            plan_of(found)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is damaged: delete the folder and start again") from error
        return dict(found)

    def begin(self, record: Mapping[str, Any]) -> None:
        """Write what was asked for, or check that it is what the folder holds.

        Raises:
            ValueError: if the folder holds the song of another request, or other files.
        """
        held = self.record
        record = json.loads(json.dumps(record))  # with lists in place of tuples
        if held is None:
            if self.path.is_dir() and any(self.path.iterdir()):
                raise ValueError(f"{self.path} has other files: give an empty or a new folder")
            self._write({RECORD: _json(record)})
        elif held != record:
            names = sorted(key for key in {*held, *record} if held.get(key) != record.get(key))
            raise ValueError(
                f"{self.path} holds another song ({', '.join(names)} differ): give another folder, "
                "or the request of this one"
            )

    def read(self, place: int, section: Section) -> SungSection | None:
        """Return a finished section as it is now; None if it is not finished.

        Raises:
            ValueError: if a file is damaged.
        """
        first = self._read(self._name(place))
        if first is None:
            return None
        arrays, facts = first
        codes = torch.from_numpy(arrays["codes"].astype(np.int64))
        sung = SungSection(section, codes, facts["seed"], facts.get("timed"))
        again = self._read(f"{self._name(place)}.redone")
        if again is None:
            return sung
        arrays, facts = again
        return SungSection(
            Section(section.name, section.kind, section.lyrics, section.seconds),
            torch.from_numpy(arrays["codes"].astype(np.int64)),
            facts["seed"],
            facts.get("timed"),
            arrays["samples"],
            codes,
        )

    def write(self, place: int, sung: SungSection, **rates: int) -> None:
        """Write a finished section completely or not at all.

        Args:
            place: index of the section.
            sung: the section.
            rates: ``sampling_rate`` and ``hop_length`` of its codes.
        """
        name = self._name(place) + (".redone" if sung.redone is not None else "")
        arrays: dict[str, Any] = {"codes": sung.codes.numpy().astype(np.int16), **rates}
        if sung.redone is not None:
            arrays["samples"] = sung.redone
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        content = buffer.getvalue()
        facts = {
            "name": sung.section.name,
            "seed": sung.seed,
            "timed": sung.timed,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        self._write({f"{name}.npz": content, f"{name}.json": _json(facts)})

    def _read(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The arrays and facts of a pair of files; None if one of them is missing."""
        arrays_file, facts_file = (self.path / f"{name}.{ending}" for ending in ("npz", "json"))
        if not arrays_file.is_file() or not facts_file.is_file():
            return None
        content = arrays_file.read_bytes()
        try:
            facts = json.loads(facts_file.read_text(encoding="utf-8"))
            if facts["sha256"] != hashlib.sha256(content).hexdigest():
                raise ValueError("digest")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return dict(file), facts
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ValueError(
                f"{arrays_file} is damaged: delete it to generate the section again"
            ) from error

    def _name(self, place: int) -> str:
        return f"section-{place + 1:02d}"

    def _write(self, contents: Mapping[str, bytes]) -> None:
        files = package_module("files", "writing the sections of a song")
        files.write_files({self.path / name: content for name, content in contents.items()})


def plan_of(record: Mapping[str, Any]) -> SongPlan:
    """Return the plan of what was asked for."""
    held = record["plan"]
    sections = tuple(Section(**section) for section in held["sections"])
    return SongPlan(sections, held["window"], held["context"])


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


__all__ = ["RECORD", "SectionFolder", "plan_of"]
