"""The files of a generated song: audio, spectrogram pictures, timed lyrics and a JSON file.

The JSON file contains the settings that generate the song again, and an NPZ file its codes and
exact waveforms, with which it is edited. ``remix`` changes the balance of vocal and accompaniment
from the audio files of the two tracks, without generating anything.
"""

import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files import encode_json, safe_gain, write_files
from ..modeling.audio_io import read_audio
from ..pipelines.lyrics_files import as_lrc, as_webvtt
from ..pipelines.song_edges import mix_tracks
from ..provenance import encode_song
from .edits import OVER
from .generation import GeneratedSong, min_seconds
from .pictures import mel_picture
from .settings import TWO_TRACKS, Settings
from .whole_songs import FOLDER, has_tags

MIXTURE, VOCAL, ACCOMPANIMENT = "mix", "vocal", "band"
TITLES = {MIXTURE: "Mix", VOCAL: "Vocal", ACCOMPANIMENT: "Band"}
"""Name of a track in files and in the API -> its title on the page."""
STOPPED = "stopped"


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
        timed: ``words``, ``lines`` and ``coverage`` as of a song of a pipeline; empty without.
        family: id of the song that this one is an edit or another take of, at the beginning.
        parent: id of the song that was edited; "" for none.
        made: what was done: "" (a song), "stopped", "take", or the kind of an edit with its track
            and stretch, such as "redo vocal 2.0 4.5", or the section, such as "section 2".
        score: score of a take; None for a song that was not compared.
        gain: factor on the samples in all its files.
        sections: ``name``, ``start``, ``end`` and ``lyrics`` of each section of a whole song, with
            the ``state`` of those of a stopped one.
    """

    id: str
    settings: Settings
    with_voice: bool
    tracks: tuple[Track, ...]
    sidecar: Path
    balance: int = 0
    seconds_taken: float = 0.0
    timed: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""
    parent: str = ""
    made: str = ""
    score: float | None = None
    gain: float = 1.0
    sections: Sequence[Mapping[str, Any]] = ()

    @property
    def title(self) -> str:
        """The first line of the lyrics, or the description, at most 60 characters."""
        line = _first_line(self.settings)
        return line if len(line) <= 60 else f"{line[:57].rstrip()}…"

    @property
    def seconds(self) -> float:
        """Duration of the mixture."""
        return self.tracks[0].seconds

    @property
    def has_two_tracks(self) -> bool:
        """Whether vocal and accompaniment are separate tracks."""
        return len(self.tracks) > 1

    @property
    def sections_folder(self) -> Path:
        """The folder of the sections of a whole song, which a stopped one has as well."""
        return self.sidecar.parent / FOLDER

    @property
    def is_unfinished(self) -> bool:
        """Whether this is a whole song that was stopped."""
        return self.settings.whole and self.made == STOPPED

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines with the times of their words; empty for a song without timestamps."""
        return list(self.timed.get("lines", ()))

    @property
    def lyrics_files(self) -> dict[str, Path]:
        """The timed lyrics as LRC and WebVTT; none for a song without timestamps."""
        endings = {"lrc": ".lrc", "vtt": ".vtt"} if self.lines else {}
        return {name: self.sidecar.with_suffix(ending) for name, ending in endings.items()}

    def content(self) -> dict[str, Any]:
        """The song as the dict of a pipeline, with its exact waveforms and codes.

        Raises:
            ValueError: for a song that has no codes.
        """
        path = self.sidecar.with_suffix(".npz")
        if not path.is_file():
            raise ValueError(
                "this song cannot be edited as a whole: sing one of its sections again"
                if self.settings.whole
                else "this song cannot be edited: it has no codes"
            )
        with np.load(path, allow_pickle=False) as stored:
            song: dict[str, Any] = {name: stored[name] for name in stored.files}
        song["sampling_rate"] = int(song["sampling_rate"])
        return {"vocal": None, "accompaniment": None, "seed": self.settings.seed, **song}

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
    parent: Song | None = None,
    family: str = "",
    made: str = "",
) -> Song:
    """Write the files of a song into a new folder.

    Args:
        folder: folder for this song alone; its name becomes the id of the song.
        generated: the song.
        settings: settings of the request.
        record: record that ``songgen_hf.provenance.provenance`` returned.
        with_voice: whether a reference voice was used.
        versions: versions of the libraries, for the JSON file.
        parent: the song that was edited, whose samples keep their gain.
        family, made: as of :class:`Song`.
    """
    own = replace(settings, seed=generated.seed, variations=1)
    waveforms = {MIXTURE: generated.mixture}
    if generated.vocal is not None and generated.accompaniment is not None:
        waveforms |= {VOCAL: generated.vocal, ACCOMPANIMENT: generated.accompaniment}
    # All tracks get the same gain, so that vocal and accompaniment add up to the mixture.
    gain = safe_gain(*waveforms.values()) if parent is None else parent.gain
    mixture_gain = gain
    if made.startswith(OVER):  # the recording stays as it is
        gain, mixture_gain = 1.0, safe_gain(generated.mixture)
    stem = f"{_slug(own)}-{generated.seed}"
    rate = generated.sampling_rate
    files: dict[Path, bytes] = {}
    tracks = []
    for name, waveform in waveforms.items():
        ending = "" if name == MIXTURE else f".{name}"
        path = folder / f"{stem}{ending}.wav"
        own_gain = mixture_gain if name == MIXTURE else gain
        title = _title(own, name)
        files[path] = encode_song(waveform, rate, path, record, gain=own_gain, title=title)
        files[path.with_suffix(".png")] = mel_picture(waveform, rate)
        tracks.append(Track(name, path, path.with_suffix(".png"), waveform.shape[-1] / rate))
    sidecar = folder / f"{stem}.json"
    if generated.codes is not None and not settings.whole:  # a whole song has its sections
        files[sidecar.with_suffix(".npz")] = _exact(generated)
    song = Song(
        folder.name, own, with_voice, tuple(tracks), sidecar, 0, generated.seconds_taken,
        timed=generated.timed, family=family or (parent.family if parent else folder.name),
        parent=parent.id if parent else "", made=made, score=generated.score, gain=gain,
        sections=generated.sections,
    )  # fmt: skip
    for name, path in song.lyrics_files.items():
        text = as_lrc(song.lines, words=True) if name == "lrc" else as_webvtt(song.lines)
        files[path] = text.encode()
    made_of = {"made": made, "score": generated.score} if made else {}
    files[sidecar] = encode_json(
        {
            **asdict(own),
            **made_of,
            **({"timed": dict(generated.timed)} if generated.timed else {}),
            **({"sections": list(generated.sections)} if generated.sections else {}),
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
    return song


def _exact(generated: GeneratedSong) -> bytes:
    """The codes and the waveforms of a song as an NPZ file."""
    assert generated.codes is not None
    arrays = {"codes": generated.codes.astype(np.int64), "audio": generated.mixture}
    if generated.vocal is not None and generated.accompaniment is not None:
        arrays |= {"vocal": generated.vocal, "accompaniment": generated.accompaniment}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, sampling_rate=np.int64(generated.sampling_rate), **arrays)
    return file.getvalue()


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
    said = _first_line(settings) if settings.whole else settings.lyrics or settings.text
    words = unicodedata.normalize("NFKD", said)
    plain = words.encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain)[:5])[:40] or "song"


def _first_line(settings: Settings) -> str:
    """The first line that is sung, or the description."""
    lines = (line.strip() for line in settings.lyrics.split("\n"))
    sung = (line for line in lines if line and not (settings.whole and has_tags(line)))
    return next(sung, "") or settings.text


def _title(settings: Settings, track: str) -> str:
    """The title in the tags of an audio file."""
    line = _first_line(settings)[:80]
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
