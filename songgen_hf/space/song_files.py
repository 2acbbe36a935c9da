"""The files of a generated song: audio files, spectrogram pictures and a JSON file.

The JSON file contains the settings that generate the song again. ``remix`` changes the balance of
vocal and accompaniment from the audio files of the two tracks, without generating anything.
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
from ..pipelines.song_edges import mix_tracks
from ..provenance import encode_song
from .generation import GeneratedSong, min_seconds
from .pictures import mel_picture
from .settings import TWO_TRACKS, Settings

MIXTURE, VOCAL, ACCOMPANIMENT = "mix", "vocal", "band"
TITLES = {MIXTURE: "Mix", VOCAL: "Vocal", ACCOMPANIMENT: "Band"}
"""Name of a track in files and in the API -> its title on the page."""


@dataclass(frozen=True)
class Track:
    """One player of the page: an audio file and a picture of its spectrogram."""

    name: str
    audio: Path
    picture: Path
    seconds: float


@dataclass(frozen=True)
class Song:
    """A song of the history.

    Args:
        id: identifier, unique within the Space.
        settings: settings that generate the song again, with its own seed and one variation.
        with_voice: whether a reference voice was used.
        tracks: the mixture, then the vocal and the accompaniment of a two-track model.
        sidecar: path of the JSON file.
        balance: balance of the mixture, from -100 (accompaniment only) to 100 (vocal only).
        seconds_taken: time that the generation took.
    """

    id: str
    settings: Settings
    with_voice: bool
    tracks: tuple[Track, ...]
    sidecar: Path
    balance: int = 0
    seconds_taken: float = 0.0

    @property
    def title(self) -> str:
        """The first line of the lyrics, or the description, at most 60 characters."""
        line = self.settings.lyrics.split("\n")[0].strip() or self.settings.text
        return line if len(line) <= 60 else f"{line[:57].rstrip()}…"

    @property
    def seconds(self) -> float:
        """Duration of the mixture."""
        return self.tracks[0].seconds

    @property
    def has_two_tracks(self) -> bool:
        """Whether vocal and accompaniment are separate tracks."""
        return len(self.tracks) > 1

    def track(self, name: str) -> Track:
        """The track of that name; KeyError if the song has none."""
        return {track.name: track for track in self.tracks}[name]


def write_song_files(
    folder: Path,
    generated: GeneratedSong,
    settings: Settings,
    record: Mapping[str, Any],
    *,
    with_voice: bool,
    versions: Mapping[str, str],
) -> Song:
    """Write the files of a song into a new folder.

    Args:
        folder: folder for this song alone; its name becomes the id of the song.
        generated: the song.
        settings: settings of the request.
        record: record that ``songgen_hf.provenance.provenance`` returned.
        with_voice: whether a reference voice was used.
        versions: versions of the libraries, for the JSON file.
    """
    own = replace(settings, seed=generated.seed, variations=1)
    waveforms = {MIXTURE: generated.mixture}
    if generated.vocal is not None and generated.accompaniment is not None:
        waveforms |= {VOCAL: generated.vocal, ACCOMPANIMENT: generated.accompaniment}
    # All tracks get the same gain, so that vocal and accompaniment add up to the mixture.
    gain = safe_gain(*waveforms.values())
    stem = f"{_slug(own)}-{generated.seed}"
    rate = generated.sampling_rate
    files: dict[Path, bytes] = {}
    tracks = []
    for name, waveform in waveforms.items():
        ending = "" if name == MIXTURE else f".{name}"
        path = folder / f"{stem}{ending}.wav"
        files[path] = encode_song(waveform, rate, path, record, gain=gain, title=_title(own, name))
        files[path.with_suffix(".png")] = mel_picture(waveform, rate)
        tracks.append(Track(name, path, path.with_suffix(".png"), waveform.shape[-1] / rate))
    sidecar = folder / f"{stem}.json"
    files[sidecar] = encode_json(
        {
            **asdict(own),
            "min_seconds": min_seconds(settings),
            "voice": with_voice,
            "sampling_rate": rate,
            "duration": tracks[0].seconds,
            "seconds_taken": round(generated.seconds_taken, 3),
            "gain": gain,
            "files": {track.name: track.audio.name for track in tracks},
            "link": f"?{own.query(voice=with_voice)}",
            "versions": dict(versions),
            "provenance": dict(record),
        }
    )
    write_files(files)
    return Song(folder.name, own, with_voice, tuple(tracks), sidecar, 0, generated.seconds_taken)


def remix(song: Song, balance: float) -> Song:
    """Change the balance of vocal and accompaniment in the mixture of a song.

    Args:
        song: a song with two tracks.
        balance: from -100 (accompaniment only) over 0 (as generated) to 100 (vocal only).
    Raises:
        ValueError: for a song with one track, or a balance out of range.
        TypeError: for a balance that is not a number.
    """
    if isinstance(balance, bool) or not isinstance(balance, int | float):
        raise TypeError(f"the balance must be a number: got {balance!r}")
    if not -100 <= balance <= 100:
        raise ValueError(f"the balance must be from -100 (band) to 100 (vocal): got {balance}")
    if not song.has_two_tracks:
        raise ValueError(
            f'this song was sung as one mix: sing it in the mode "{TWO_TRACKS}" to balance it'
        )
    balance = round(balance)
    mixture = song.track(MIXTURE)
    sidecar = json.loads(song.sidecar.read_text(encoding="utf-8"))
    original = song.sidecar.with_suffix(".wav")
    ending = f".balance{balance:+d}.wav" if balance else ".wav"
    path = song.sidecar.with_suffix(ending)
    if not path.is_file():
        rate = int(sidecar["sampling_rate"])
        vocal, accompaniment = (
            read_audio(song.track(name).audio, rate) for name in (VOCAL, ACCOMPANIMENT)
        )
        vocal_gain, accompaniment_gain = balance_gains(balance)
        mixed = mix_tracks(accompaniment_gain * accompaniment, vocal_gain * vocal, rate)
        record = sidecar["provenance"]
        record = {**record, "options": {**record["options"], "balance": balance}}
        title = _title(song.settings, MIXTURE)
        write_files(
            {
                path: encode_song(mixed, rate, path, record, title=title),
                path.with_suffix(".png"): mel_picture(mixed, rate),
            }
        )
    if mixture.audio not in (original, path):  # the mixture of the previous balance
        mixture.audio.unlink(missing_ok=True)
        mixture.picture.unlink(missing_ok=True)
    remixed = replace(mixture, audio=path, picture=path.with_suffix(".png"))
    return replace(song, tracks=(remixed, *song.tracks[1:]), balance=balance)


def balance_gains(balance: float) -> tuple[float, float]:
    """Gains of vocal and accompaniment: the balance attenuates the track it moves away from."""
    return min(1.0, 1 + balance / 100), min(1.0, 1 - balance / 100)


def _slug(settings: Settings) -> str:
    """A few words of the lyrics or the description, safe in a file name on every system."""
    words = unicodedata.normalize("NFKD", settings.lyrics or settings.text)
    plain = words.encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain)[:5])[:40] or "song"


def _title(settings: Settings, track: str) -> str:
    """The title in the tags of an audio file."""
    line = (settings.lyrics or settings.text).split("\n")[0].strip()[:80]
    return f"{line or 'AI-generated song'} ({TITLES[track].lower()}, AI-generated)"


__all__ = [
    "ACCOMPANIMENT",
    "MIXTURE",
    "TITLES",
    "VOCAL",
    "Song",
    "Track",
    "balance_gains",
    "remix",
    "write_song_files",
]
