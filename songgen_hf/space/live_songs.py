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
from .edits import CONTINUE, Edit
from .settings import Settings
from .streams import Chunk
from .whole_songs import SectionBegin, WholeSong, described


@dataclass(eq=False)
class LiveSong:
    """A song that is being generated.

    Attributes:
        section: index of the section of a whole song that is being generated; -1 before.
        rewinds: how often a section has begun again, with other sound.
        is_kept: whether its files stay, because it was stopped and what was heard is kept.

    Args:
        folder: folder for this song alone; its name is the id of the song.
        session: session that gets the song.
        settings: checked settings of the request.
        with_voice: whether a reference voice is used.
        adapters: weight of each adapter, by its folder.
        two_tracks: whether its mode has a vocal and a band.
        edit: what of a song is generated; None for a new one that is sung at once.
        parent: the song that is edited.
        made: as of :class:`songgen_hf.space.song_files.Song`.
    """

    folder: Path
    session: str
    settings: Settings
    with_voice: bool
    adapters: dict[str, float]
    two_tracks: bool = False
    edit: Edit | WholeSong | None = None
    parent: Any = None
    made: str = ""
    chunks: list[Chunk] = field(default_factory=list)
    parts: list[Path] = field(default_factory=list)
    section: int = -1
    rewinds: int = 0
    is_kept: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """The id that the song will have."""
        return self.folder.name

    @property
    def sampling_rate(self) -> int:
        """Sampling rate in Hz; 0 before the first sound."""
        return self.chunks[0].sampling_rate if self.chunks else 0

    @property
    def seconds(self) -> float:
        """Seconds that were generated so far."""
        return sum(len(chunk.mixture) for chunk in self.chunks) / max(1, self.sampling_rate)

    @property
    def longest(self) -> float:
        """Seconds that the song lasts at most."""
        edited = 0.0 if self.edit is None else self.edit.seconds
        if self.edit is None or self.edit.kind == CONTINUE:
            edited += self.settings.seconds
        return max(edited, self.seconds)

    @property
    def sections(self) -> list[dict[str, Any]]:
        """The sections of a whole song with their states; none of another song."""
        work = self.edit
        return described(work.plan, self.section) if isinstance(work, WholeSong) else []

    @property
    def seconds_taken(self) -> float:
        """Seconds since the first sound was announced."""
        return time.monotonic() - self.started

    @property
    def tracks(self) -> tuple[str, ...]:
        """The channels of the parts: the mix alone, or vocal and band."""
        return ("vocal", "band") if self.two_tracks else ("mix",)

    def add(self, chunk: Chunk) -> None:
        """Write the file of the next chunk."""
        self.chunks.append(chunk)
        sounds = [np.asarray(getattr(chunk, _FIELDS[name]), np.float32) for name in self.tracks]
        part = self.folder / f"part-{self.rewinds:02d}-{len(self.parts):04d}.wav"
        write_files({part: encode_sound(np.stack(sounds), chunk.sampling_rate, part)})
        self.parts.append(part)

    def begin_section(self, begin: SectionBegin) -> None:
        """Note that a section begins; if it begins again, drop its sound of before."""
        self.section = begin.index
        if begin.chunks < len(self.chunks):
            del self.chunks[begin.chunks :], self.parts[begin.chunks :]
            self.rewinds += 1


_FIELDS = {"mix": "mixture", "vocal": "vocal", "band": "accompaniment"}

__all__ = ["LiveSong"]
