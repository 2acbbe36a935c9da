"""Songs while they are generated: their sound so far, as files that the page and programs fetch.

Each chunk is a WAV file of its own, which is complete when its number is told. So no chunk is lost
when a page skips a report, and none is sent twice.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import encode_sound, write_files
from .edits import Edit
from .settings import Settings
from .streams import Chunk


@dataclass(eq=False)
class LiveSong:
    """A song that is being generated.

    Args:
        folder: folder for this song alone; its name is the id of the song.
        session: session that gets the song.
        settings: checked settings of the request.
        with_voice: whether a reference voice is used.
        adapters: weight of each adapter, by its folder.
        edit: what of another song is generated; None for a new song.
        parent: the song that is edited.
        made: as of :class:`songgen_hf.space.song_files.Song`.
    """

    folder: Path
    session: str
    settings: Settings
    with_voice: bool
    adapters: dict[str, float]
    edit: Edit | None = None
    parent: Any = None
    made: str = ""
    chunks: list[Chunk] = field(default_factory=list)
    parts: list[Path] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """The id that the song will have."""
        return self.folder.name

    @property
    def sampling_rate(self) -> int:
        """Sampling rate in Hz."""
        return self.chunks[0].sampling_rate

    @property
    def seconds(self) -> float:
        """Seconds that were generated so far."""
        return sum(len(chunk.mixture) for chunk in self.chunks) / max(1, self._rate)

    @property
    def longest(self) -> float:
        """Seconds that the song lasts at most."""
        edited = 0.0 if self.edit is None else self.edit.seconds
        if self.edit is None or self.edit.kind == "continue":
            edited += self.settings.seconds
        return max(edited, self.seconds)

    @property
    def seconds_taken(self) -> float:
        """Seconds since the first sound was announced."""
        return time.monotonic() - self.started

    @property
    def tracks(self) -> tuple[str, ...]:
        """The channels of the parts: the mix alone, or vocal and band."""
        two = bool(self.chunks) and self.chunks[0].vocal is not None
        return ("vocal", "band") if two else ("mix",)

    @property
    def _rate(self) -> int:
        return self.chunks[0].sampling_rate if self.chunks else 0

    def add(self, chunk: Chunk) -> None:
        """Write the file of the next chunk."""
        self.chunks.append(chunk)
        sounds = [np.asarray(getattr(chunk, _FIELDS[name]), np.float32) for name in self.tracks]
        part = self.folder / f"part-{len(self.parts):04d}.wav"
        write_files({part: encode_sound(np.stack(sounds), chunk.sampling_rate, part)})
        self.parts.append(part)


_FIELDS = {"mix": "mixture", "vocal": "vocal", "band": "accompaniment"}

__all__ = ["LiveSong"]
