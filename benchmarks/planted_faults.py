"""Measure how many planted faults of recordings are found, and how many good clips are lost.

    python benchmarks/planted_faults.py FOLDER [--songs 200] [--first 0] [--seed 0] [--table FILE]

FOLDER holds parquet files of rendered songs. Every song is written as a stereo mp3 file at 44.1 kHz
with its stems, and once more with a fault: a copy at another bit rate, gain and format, clipping,
silence, 8 kHz resampled, an end that is missing, text with the ending .mp3, or the lyrics of
another song. A fault is found if the reason names it. Clips (here whole songs) are inspected,
scored, aligned, grouped and filtered as by `prepare songs`. The last line of the output is JSON.
"""

import argparse
import glob
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr

from songgen_hf.data.corpus.rows import read_sound
from songgen_hf.data.preparation.alignment import AlignmentOptions, align_lyrics
from songgen_hf.data.preparation.duplicates import group_duplicates
from songgen_hf.data.preparation.filtering import PRESETS, filter_clips
from songgen_hf.data.preparation.inspection import inspect_recording
from songgen_hf.data.preparation.quality import ScoreOptions, score

RATE, STEM_RATE = 44100, 16000
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
FAULTS = ("duplicate", "clipping", "silence", "8 kHz", "truncated", "text", "lyrics")
EXPECTED = {
    "duplicate": "duplicate",
    "clipping": "clipping",
    "silence": "silence",
    "8 kHz": "bandwidth",
    "truncated": "truncated",
    "text": "error",
    "lyrics": "lyrics are not sung",
}
"""The beginning of the reason that names each fault."""


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


def recordings(songs: Iterable[tuple], folder: Path, seed: int) -> Iterator[dict]:
    """Write songs, each with one faulty copy, and yield a row for each file.

    Args:
        songs: vocal and accompaniment [S] at 16 kHz and the lyrics, or None, of each song.
        folder: folder to write to.
        seed: seed of the faults.
    """
    others = None
    for index, (vocal, accompaniment, lyrics) in enumerate(songs):
        rng = np.random.default_rng([seed, index])
        row = {"recording_id": f"{index:04d}", "fault": None, "lyrics": lyrics}
        row["path"] = folder / f"{index:04d}.mp3"
        for name, waveform in (("vocal", vocal), ("accompaniment", accompaniment)):
            row[name] = str(folder / f"{index:04d}-{name}.flac")
            soundfile.write(row[name], waveform, STEM_RATE)
        sound, fault = stereo(vocal, accompaniment), FAULTS[index % len(FAULTS)]
        write_mp3(row["path"], sound)
        yield row
        name = f"{index:04d}-{fault.replace(' ', '')}"
        path = plant(fault, sound, folder / f"{name}.mp3", rng)
        given, others = (others if fault == "lyrics" else lyrics), lyrics
        yield {**row, "recording_id": name, "fault": fault, "path": path, "lyrics": given}


def prepared(rows: Iterable[dict], options: ScoreOptions) -> list[dict]:
    """Inspect, score and align recordings as clips of their whole length; group the duplicates."""
    clips = []
    for row in rows:
        row = {**row, "id": f"{row['recording_id']}-{0:09d}"}
        try:
            row = inspect_recording(row)
            seconds = min(30.0, row["source_seconds"])
            scored = score([{**row, "clip_start": 0.0, "clip_seconds": seconds}], options)
            clips += align_lyrics(scored, AlignmentOptions())
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
        one_of_two = original["kept"] != row["kept"]
        if row["fault"] == "duplicate":
            dropped = original if row["kept"] else row
            named = dropped["reasons"] and dropped["reasons"][0].startswith("duplicate")
            found["duplicate"].append(bool(one_of_two and named))
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


def _kept_copy(row: dict) -> str:
    """The recording that a duplicate was dropped for."""
    return row["reasons"][0].rpartition(" ")[2].rpartition("-")[0]


def rendered_songs(folder: str, first: int, count: int) -> Iterator[tuple]:
    """The vocal, the accompaniment and the lyrics of the songs of a rendered corpus."""
    for path in sorted(glob.glob(f"{folder}/**/*.parquet", recursive=True)):
        file = pq.ParquetFile(path)
        if first >= file.metadata.num_rows:
            first -= file.metadata.num_rows
            continue
        for batch in file.iter_batches(8, columns=["vocal", "accompaniment", "lyrics"]):
            for row in batch.to_pylist():
                first -= 1
                if first < 0 < count:
                    count -= 1
                    yield (
                        *(read_sound(row, name) for name in ("vocal", "accompaniment")),
                        row["lyrics"],
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", help="parquet file to write the clips to, with their audio kept")
    arguments = parser.parse_args()
    songs = rendered_songs(arguments.folder, arguments.first, arguments.songs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.table).parent if arguments.table else Path(temporary)
        rows = list(recordings(songs, folder, arguments.seed))
        start = time.perf_counter()
        clips = prepared(rows, ScoreOptions(music=False))
        seconds = time.perf_counter() - start
    if arguments.table:
        names = {name: None for row in clips for name in row}
        table = [{**names, **row, "path": str(row["path"])} for row in filter_clips(clips)]
        pq.write_table(pa.Table.from_pylist(table), arguments.table)
    found, lost = found_faults(clips)
    for fault, results in found.items():
        print(f"{fault:<10} {sum(results):>4} of {len(results):>4}")
    for row in lost:
        print(f"lost {row['recording_id']}: {'; '.join(row['reasons'])}")
    everything = [one for results in found.values() for one in results]
    good = sum(row["fault"] is None for row in rows)
    print(
        json.dumps(
            {
                "songs": good,
                "found": sum(everything) / len(everything),
                "lost": len(lost) / good,
                "by_fault": {fault: sum(one) / len(one) for fault, one in found.items()},
                "seconds_per_clip": seconds / len(rows),
            }
        )
    )


if __name__ == "__main__":
    main()
