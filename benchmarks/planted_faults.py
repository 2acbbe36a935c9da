"""Measure how many planted faults of recordings are found, and how many good clips are lost.

    python benchmarks/planted_faults.py FOLDER [--songs 200] [--first 0] [--seed 0] [--separate]
        [--faults lyrics speech language] [--table FILE]

FOLDER holds parquet files of rendered songs. Every song is written as a stereo mp3 file at 44.1 kHz
with its stems, and once more with a fault: a copy at another bit rate, gain and format, clipping,
silence, 8 kHz resampled, an end that is missing, text with the ending .mp3, the lyrics of another
song, lyrics that are spoken, or a song in German or Spanish (with its own lyrics but no word on its
language, or with English lyrics). With --separate the stems are left out and the network of the
package separates every recording. A fault is found if the reason names it. Clips (here whole songs)
are inspected, separated, scored, aligned, grouped and filtered as by `prepare songs`. The last line
of the output is JSON.
"""

import argparse
import json
import resource
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr

from songgen_hf.data.corpus.rows import read_songs
from songgen_hf.data.corpus.singer import SungNote, sing_line
from songgen_hf.data.corpus.speech import Speaker
from songgen_hf.data.corpus.voices import singers_named
from songgen_hf.data.preparation.alignment import AlignmentOptions, align_lyrics
from songgen_hf.data.preparation.duplicates import group_duplicates
from songgen_hf.data.preparation.filtering import PRESETS, filter_clips
from songgen_hf.data.preparation.inspection import inspect_recording
from songgen_hf.data.preparation.quality import ScoreOptions, score
from songgen_hf.data.preparation.segmentation import (
    SegmentationOptions,
    describe_clip,
    listen,
)
from songgen_hf.data.preparation.separation import SeparateOptions, separate

RATE, STEM_RATE = 44100, 16000
STEMS = ("vocal", "accompaniment")
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
FAULTS = (
    *("duplicate", "clipping", "silence", "8 kHz", "truncated", "text", "lyrics"),
    *("speech", "language"),
)
EXPECTED = {
    "duplicate": "duplicate",
    "clipping": "clipping",
    "silence": ("silence", "error: segment: it is silent"),
    "8 kHz": "bandwidth",
    "truncated": ("truncated", "error"),
    "text": "error",
    "lyrics": "lyrics are not sung",
    "speech": "speech",
    "language": ("language", "lyrics are not sung"),
}
"""The beginnings of the reasons that name each fault."""
BOUNDS = {
    "lyrics": ("lyrics_match", (0.2, 0.25, 0.3, 0.35, 0.4)),
    "speech": ("speech_score", (0.35, 0.4, 0.45, 0.5, 0.65)),
}
"""The score that tells a fault, and bounds to compare."""
SPOKEN_VOICES = ("m1", "m2", "m3", "m4", "m7", "f1", "f2", "f4", "f5", "Annie")
FOREIGN = {
    "de": "wenn der Morgen leise kommt such ich deine Hand im kalten Wind alle Sterne schweigen "
    "heute Nacht und ich singe immer noch dein Lied komm nach Hause durch den tiefen Schnee keiner "
    "kennt den Weg zum blauen See meine Träume fliegen weit hinaus warum bist du nicht geblieben",
    "es": "cuando cae la tarde sobre el mar busco tus ojos en la oscuridad nadie sabe la verdad "
    "canta el viento una vieja historia las estrellas guardan tu secreto siempre llueve cuando "
    "pienso en ti bajo el cielo de la noche azul quiero volver a la casa de mi madre",
}
"""Words that are sung in another language, and the voices of espeak-ng that pronounce them."""


class Song(NamedTuple):
    """Vocal and accompaniment [S] at 16 kHz, the lyrics or None, and the labels of the corpus."""

    vocal: np.ndarray
    accompaniment: np.ndarray
    lyrics: str | None
    labels: dict[str, Any] | None = None


def speak(song: Song, rng: np.random.Generator) -> np.ndarray:
    """The lyrics of a song, spoken by espeak-ng as loud as they were sung, [S]."""
    voice = f"en-us+{rng.choice(SPOKEN_VOICES)}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        text = song.lyrics.replace("\n", ". ")
        command = ["espeak-ng", "-v", voice, "-s", str(rng.integers(130, 180)), "-w", path, text]
        subprocess.run(command, check=True)
        samples, rate = soundfile.read(path)
    spoken = np.zeros_like(song.vocal)
    first = round(song.labels["words"][0]["start"] * STEM_RATE)
    samples = soxr.resample(samples, rate, STEM_RATE)[: len(spoken) - first]
    spoken[first : first + len(samples)] = samples
    return at_level_of(song.vocal, spoken)


@cache
def speaker() -> Speaker:
    """espeak-ng, which can be opened once."""
    return Speaker()


def sing_abroad(song: Song, language: str, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """The vocal [S] of a song in another language on the same notes, and its lyrics."""
    labels, words = song.labels, FOREIGN[language].split()
    singer = singers_named([labels["voice_id"]])[0]
    voice = singer.variant.replace("en-us", language)
    vocal, lines = np.zeros(len(song.vocal)), []
    for line in sorted({word["line"] for word in labels["words"]}):
        times = [word for word in labels["words"] if word["line"] == line]
        start, end = times[0]["start"] - 0.01, times[-1]["end"]
        notes = [note for note in labels["notes"] if start <= note["start"] < end]
        place, text, spoken = int(rng.integers(len(words))), [], None
        while spoken is None or spoken.syllables < len(notes):
            text.append(words[(place + len(text)) % len(words)])
            longer = speaker().speak(" ".join(text), voice, skip_unnamed=True).without_pause()
            if spoken is not None and longer.syllables <= spoken.syllables:
                text.pop()  # espeak-ng makes a pause here
                break
            spoken = longer
        sung = [SungNote(note["start"], note["end"], note["pitch"]) for note in notes]
        while len(sung) < spoken.syllables:
            longest = max(range(len(sung)), key=lambda index: sung[index].end - sung[index].start)
            note = sung[longest]
            middle = (note.start + note.end) / 2
            sung[longest : longest + 1] = [
                SungNote(note.start, middle, note.pitch),
                SungNote(middle, note.end, note.pitch),
            ]
        waveform, begin, _ = sing_line(
            spoken, sung[: spoken.syllables], singer, STEM_RATE, rng, fast=True
        )
        piece = vocal[round(begin * STEM_RATE) :][: len(waveform)]
        piece += waveform[: len(piece)]
        lines.append(" ".join(text))
    return at_level_of(song.vocal, vocal), "\n".join(lines)


def at_level_of(reference: np.ndarray, waveform: np.ndarray) -> np.ndarray:
    """A waveform with the root mean square of the audible part of another one, float32."""

    def level(samples: np.ndarray) -> float:
        return float(np.sqrt((samples**2).sum() / max(1, (np.abs(samples) > 1e-4).sum())))

    gain = level(reference) / max(level(waveform), 1e-9)
    return np.clip(gain * waveform, -1, 1).astype(np.float32)


def stereo(vocal: np.ndarray, accompaniment: np.ndarray) -> np.ndarray:
    """A stereo mixture [S, 2] at 44.1 kHz: the accompaniment is a little wider than the vocal."""
    left = vocal + accompaniment
    right = vocal + 0.8 * accompaniment + 0.2 * np.roll(accompaniment, 40)
    mixture = soxr.resample(np.stack([left, right], axis=1), STEM_RATE, RATE)
    return mixture * min(1.0, 0.98 / np.abs(mixture).max())


def write_mp3(path: Path, sound: np.ndarray, compression: float = 0.3, rate: int = RATE) -> None:
    """Write an mp3 file of a constant bit rate; a higher compression is a lower rate."""
    soundfile.write(path, sound, rate, compression_level=compression, **MP3)


def plant(fault: str, sound: np.ndarray, path: Path, rng: np.random.Generator) -> Path:
    """Write a recording [S, 2] with a fault; the result is its file."""
    if fault == "duplicate":
        copy = sound[round(rng.uniform(0.01, 0.3) * RATE) :] * rng.uniform(0.2, 0.9)
        kind = rng.integers(3)
        if kind == 0:
            path = path.with_suffix(".ogg")
            soundfile.write(path, copy, RATE, format="OGG", subtype="VORBIS", compression_level=0.9)
        elif kind == 1:
            write_mp3(path, soxr.resample(copy, RATE, 32000), 0.8, 32000)
        else:
            write_mp3(path, copy, rng.choice([0.1, 0.6, 0.9]))
        return path
    if fault == "clipping":
        gain = 10 ** (rng.uniform(6, 15) / 20) / np.abs(sound).max()
        sound = np.clip(gain * sound, -1, 1) * rng.uniform(0.3, 0.95)
    elif fault == "silence":
        silent = round(rng.uniform(0.6, 1.0) * len(sound))
        start = rng.integers(len(sound) - silent + 1)
        sound = sound.copy()
        sound[start : start + silent] = 1e-5 * rng.standard_normal((silent, 2))
    elif fault == "8 kHz":
        sound = soxr.resample(soxr.resample(sound, RATE, 8000), 8000, RATE)
    if fault == "text":
        path.write_text("These are no samples but words.\n" * 2000)
        return path
    if fault in ("clipping", "truncated") and rng.integers(2):
        path = path.with_suffix(str(rng.choice([".flac", ".wav"])))
        soundfile.write(path, sound, RATE)
    else:
        write_mp3(path, sound, rng.choice([0.1, 0.3, 0.6]))
    if fault == "truncated":
        content = path.read_bytes()
        path.write_bytes(content[: round(rng.uniform(0.2, 0.95) * len(content))])
    return path


def write_song(name: str, song: Song, folder: Path, *, stems: bool = True) -> dict[str, Any]:
    """Write a recording, perhaps with its stems; the result is its row."""
    row = {"recording_id": name, "fault": None, "lyrics": song.lyrics}
    if stems:
        for stem in STEMS:
            row[stem] = str(folder / f"{name}-{stem}.flac")
            soundfile.write(row[stem], getattr(song, stem), STEM_RATE)
    write_mp3(folder / f"{name}.mp3", stereo(song.vocal, song.accompaniment))
    return {**row, "path": folder / f"{name}.mp3"}


def recordings(
    songs: Iterable[Song],
    folder: Path,
    seed: int,
    *,
    faults: Sequence[str] = FAULTS,
    stems: bool = True,
) -> Iterator[dict]:
    """Write songs, each with one faulty copy, and yield a row for each file.

    Args:
        songs: the songs; those with spoken or foreign lyrics need labels.
        folder: folder to write to.
        seed: seed of the faults.
        faults: what is planted, in turn.
        stems: whether recordings have their stems.
    """
    others = None
    for index, song in enumerate(songs):
        rng = np.random.default_rng([seed, index])
        row = write_song(f"{index:04d}", song, folder, stems=stems)
        yield row
        fault, lyrics = faults[index % len(faults)], song.lyrics
        name = f"{index:04d}-{fault.replace(' ', '')}"
        if fault == "speech":
            row = write_song(name, song._replace(vocal=speak(song, rng)), folder, stems=stems)
        elif fault == "language":
            vocal, foreign = sing_abroad(song, str(rng.choice(list(FOREIGN))), rng)
            row = write_song(name, song._replace(vocal=vocal), folder, stems=stems)
            lyrics = foreign if rng.integers(2) else lyrics
        elif fault == "lyrics":
            lyrics = others or "no word of this is sung by anybody here"
        else:
            sound = stereo(song.vocal, song.accompaniment)
            row = {**row, "path": plant(fault, sound, folder / f"{name}.mp3", rng)}
        others = song.lyrics
        yield {**row, "recording_id": name, "fault": fault, "lyrics": lyrics}


def prepared(rows: Iterable[dict], options: ScoreOptions, folder: Path | None = None) -> list[dict]:
    """Inspect, score and align recordings as clips of their whole length; group the duplicates.

    Args:
        rows: recordings; those without stems are separated.
        options: which scores.
        folder: folder for the stems that are made.
    """
    clips, cutting = [], SegmentationOptions()
    for row in rows:
        row = {**row, "id": f"{row['recording_id']}-{0:09d}"}
        try:
            row = inspect_recording(row)
            if "vocal" not in row:
                row = separate(row, SeparateOptions(), folder)
            activity = listen(row["path"], row["vocal"], cutting)
            clip = describe_clip(row, 0, min(len(activity.sung), 1500), activity, cutting)
            clips += align_lyrics(score([clip], options), AlignmentOptions())
        except ValueError as error:
            clips.append({**row, "error": str(error)})
    return group_duplicates(clips)


def found_faults(clips: list[dict]) -> tuple[dict[str, list[bool]], list[dict]]:
    """Whether each planted fault was named by its reason, and the good clips that were lost.

    Of a duplicate, the copy or the original has to be dropped, and the other one kept.
    """
    filtered = filter_clips(clips, PRESETS["paper"])
    by_name = {row["recording_id"]: row for row in filtered}
    found = defaultdict(list)
    lost = []
    for row in filtered:
        original = by_name[row["recording_id"][:4]]
        if row["fault"] == "duplicate":
            found["duplicate"].append(original["kept"] != row["kept"])
        elif row["fault"]:
            expected = EXPECTED[row["fault"]]
            found[row["fault"]].append(any(one.startswith(expected) for one in row["reasons"]))
        elif not row["kept"] and not row["reasons"][0].startswith("duplicate"):
            lost.append(row)
        elif not row["kept"] and not by_name[_kept_copy(row)]["kept"]:
            lost.append(row)
        elif not row["kept"] and by_name[_kept_copy(row)]["fault"] != "duplicate":
            lost.append(row)
    return found, lost


def rates(clips: Sequence[dict], fault: str) -> list[tuple[float, float, float]]:
    """Bounds of the score that tells a fault, the share of good songs lost and of faults found."""
    column, bounds = BOUNDS[fault]
    good, bad = (
        np.array([row[column] for row in clips if row["fault"] == kind and row[column] is not None])
        for kind in (None, fault)
    )
    beyond = np.less if column == "lyrics_match" else np.greater
    return [
        (bound, float(beyond(good, bound).mean()), float(beyond(bad, bound).mean()))
        for bound in bounds
        if len(good) and len(bad)
    ]


def _kept_copy(row: dict) -> str:
    """The recording that a duplicate was dropped for."""
    return row["reasons"][0].rpartition(" ")[2].rpartition("-")[0]


def rendered_songs(folder: str, first: int, count: int) -> Iterator[Song]:
    """The songs of a rendered corpus."""
    labels = ("words", "notes", "voice_id")
    for row in read_songs(folder, [*STEMS, "lyrics", *labels], first=first, count=count):
        known = {name: row[name] for name in labels}
        yield Song(row["vocal"], row["accompaniment"], row["lyrics"], known)


def processor_seconds() -> float:
    """Seconds of processor time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--separate", action="store_true", help="leave the stems out")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parser.add_argument("--table", help="parquet file to write the clips to, with their audio kept")
    arguments = parser.parse_args()
    songs = rendered_songs(arguments.folder, arguments.first, arguments.songs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.table).parent if arguments.table else Path(temporary)
        written = recordings(
            songs, folder, arguments.seed, faults=arguments.faults, stems=not arguments.separate
        )
        rows = list(written)
        start = processor_seconds()
        clips = prepared(rows, ScoreOptions(music=False), folder / "stems")
        seconds = processor_seconds() - start
    if arguments.table:
        names = {name: None for row in clips for name in row}
        table = [{**names, **row, "path": str(row["path"])} for row in filter_clips(clips)]
        pq.write_table(pa.Table.from_pylist(table), arguments.table)
    found, lost = found_faults(clips)
    for fault, results in found.items():
        print(f"{fault:<10} {sum(results):>4} of {len(results):>4}")
    for fault in BOUNDS.keys() & found.keys():
        for bound, share_lost, share_found in rates(clips, fault):
            name = f"{BOUNDS[fault][0]} {bound:g}"
            print(f"{name:<20} good songs lost {share_lost:.1%}, found {share_found:.1%}")
    for row in lost:
        print(f"lost {row['recording_id']}: {'; '.join(row['reasons'])}")
    everything = [one for results in found.values() for one in results]
    good = sum(row["fault"] is None for row in rows)
    print(
        json.dumps(
            {
                "songs": good,
                "separated": arguments.separate,
                "found": sum(everything) / len(everything),
                "lost": len(lost) / good,
                "by_fault": {fault: sum(one) / len(one) for fault, one in found.items()},
                "processor_seconds_per_clip": seconds / len(rows),
            }
        )
    )


if __name__ == "__main__":
    main()
