"""A sung song as files: its tracks, a picture of each, and a JSON file that says how to sing it
again. Re-mixing reads the tracks back; nothing is sung for it.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..files import encode_json, safe_gain, write_files
from ..modeling.audio_io import read_audio
from ..provenance import encode_song
from .generation import SungSong, shortest
from .pictures import mel_picture
from .settings import TWO_TRACKS, Settings

MIX, VOCAL, BAND = "mix", "vocal", "band"
TITLES = {MIX: "Mix", VOCAL: "Vocal", BAND: "Band"}


@dataclass(frozen=True)
class Track:
    """One player: a sound file and its picture."""

    name: str
    sound: Path
    picture: Path
    seconds: float


@dataclass(frozen=True)
class Song:
    """A song of the history.

    Args:
        id: tells it from every other song of the Space.
        settings: that sing it again: its own seed, one variation.
        voiced: whether a reference voice was used.
        tracks: the mix, and the vocal and the band of a model that sings them apart.
        sidecar: JSON file.
        balance: of the mix, -100 (band alone) to 100 (vocal alone).
        seconds_taken: to sing it.
    """

    id: str
    settings: Settings
    voiced: bool
    tracks: tuple[Track, ...]
    sidecar: Path
    balance: int = 0
    seconds_taken: float = 0.0

    @property
    def title(self) -> str:
        """The first line, or the description."""
        line = self.settings.lyrics.split("\n")[0].strip() or self.settings.text
        return line if len(line) <= 60 else f"{line[:57].rstrip()}…"

    @property
    def seconds(self) -> float:
        """Length of the mix."""
        return self.tracks[0].seconds

    @property
    def has_parts(self) -> bool:
        """Whether vocal and band are there apart."""
        return len(self.tracks) > 1

    def track(self, name: str) -> Track:
        """The track of that name; KeyError if the song has none."""
        return {track.name: track for track in self.tracks}[name]


def write_song_files(
    folder: Path,
    sung: SungSong,
    settings: Settings,
    record: Mapping[str, Any],
    *,
    voiced: bool,
    versions: Mapping[str, str],
) -> Song:
    """Write a song's files into a new folder.

    Args:
        folder: of this song alone; its name becomes the song's id.
        sung: the song.
        settings: of the request.
        record: of ``songgen_hf.provenance.provenance``.
        voiced: whether a reference voice was used.
        versions: of the libraries, for the sidecar.
    """
    own = replace(settings, seed=sung.seed, variations=1)
    sounds = {MIX: sung.mix}
    if sung.vocal is not None and sung.band is not None:
        sounds |= {VOCAL: sung.vocal, BAND: sung.band}
    gain = safe_gain(*sounds.values())  # one for all, so that the tracks add up to the mix
    stem = f"{_slug(own)}-{sung.seed}"
    rate = sung.sampling_rate
    files: dict[Path, bytes] = {}
    tracks = []
    for name, sound in sounds.items():
        ending = "" if name == MIX else f".{name}"
        path = folder / f"{stem}{ending}.wav"
        files[path] = encode_song(sound, rate, path, record, gain=gain, title=_title(own, name))
        files[path.with_suffix(".png")] = mel_picture(sound, rate)
        tracks.append(Track(name, path, path.with_suffix(".png"), sound.shape[-1] / rate))
    sidecar = folder / f"{stem}.json"
    files[sidecar] = encode_json(
        {
            **asdict(own),
            "min_seconds": shortest(settings),
            "voice": voiced,
            "sampling_rate": rate,
            "duration": tracks[0].seconds,
            "seconds_taken": round(sung.seconds_taken, 3),
            "gain": gain,
            "files": {track.name: track.sound.name for track in tracks},
            "link": f"?{own.query(voice=voiced)}",
            "versions": dict(versions),
            "provenance": dict(record),
        }
    )
    write_files(files)
    return Song(folder.name, own, voiced, tuple(tracks), sidecar, 0, sung.seconds_taken)


def remix(song: Song, balance: float) -> Song:
    """The song with another balance of vocal and band in its mix; nothing is sung.

    Args:
        song: that has parts.
        balance: -100 leaves the band alone, 0 is as it was sung, 100 leaves the vocal alone.
    Raises:
        ValueError: for a song of one track, or a balance out of range.
        TypeError: for a balance that is no number.
    """
    if isinstance(balance, bool) or not isinstance(balance, int | float):
        raise TypeError(f"the balance must be a number: got {balance!r}")
    if not -100 <= balance <= 100:
        raise ValueError(f"the balance must be from -100 (band) to 100 (vocal): got {balance}")
    if not song.has_parts:
        raise ValueError(
            f'this song was sung as one mix: sing it in the mode "{TWO_TRACKS}" to balance it'
        )
    balance = round(balance)
    mix = song.track(MIX)
    sidecar = json.loads(song.sidecar.read_text(encoding="utf-8"))
    original = song.sidecar.with_suffix(".wav")
    ending = f".balance{balance:+d}.wav" if balance else ".wav"
    path = song.sidecar.with_suffix(ending)
    if not path.is_file():
        rate = int(sidecar["sampling_rate"])
        vocal, band = (read_audio(song.track(name).sound, rate) for name in (VOCAL, BAND))
        length = min(len(vocal), len(band))
        mixed = gains(balance)[0] * vocal[:length] + gains(balance)[1] * band[:length]
        record = sidecar["provenance"]
        record = {**record, "options": {**record["options"], "balance": balance}}
        title = _title(song.settings, MIX)
        write_files(
            {
                path: encode_song(mixed, rate, path, record, title=title),
                path.with_suffix(".png"): mel_picture(mixed, rate),
            }
        )
    if mix.sound not in (original, path):  # of the balance before
        mix.sound.unlink(missing_ok=True)
        mix.picture.unlink(missing_ok=True)
    mixed_track = replace(mix, sound=path, picture=path.with_suffix(".png"))
    return replace(song, tracks=(mixed_track, *song.tracks[1:]), balance=balance)


def gains(balance: float) -> tuple[float, float]:
    """Factors of vocal and band: the one that the balance leans away from gets quieter."""
    return min(1.0, 1 + balance / 100), min(1.0, 1 - balance / 100)


def _slug(settings: Settings) -> str:
    """A few words that are safe as a file name everywhere."""
    words = unicodedata.normalize("NFKD", settings.lyrics or settings.text)
    plain = words.encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain)[:5])[:40] or "song"


def _title(settings: Settings, track: str) -> str:
    """The title in a sound file's tags."""
    line = (settings.lyrics or settings.text).split("\n")[0].strip()[:80]
    return f"{line or 'AI-generated song'} ({TITLES[track].lower()}, AI-generated)"


__all__ = [
    "BAND",
    "MIX",
    "TITLES",
    "VOCAL",
    "Song",
    "Track",
    "gains",
    "remix",
    "write_song_files",
]
