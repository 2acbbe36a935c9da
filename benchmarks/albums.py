"""Measure the preparation of albums: separation, cuts, alignment, planted parts, time and memory.

    python benchmarks/albums.py FOLDER [--songs 200] [--first 0] [--songs-per-album 10] [--seed 0]
        [--stems] [--output FOLDER] [--core-hour 0.04]

FOLDER holds parquet files of rendered songs. Albums of them are written as stereo mp3 files at 44.1
kHz: between two songs there is silence, a spoken announcement or an instrumental part, and one song
in ten has the lyrics of another one in the text file. Every stage of `songgen-hf prepare songs`
(the bounds of `paper`, no models of the Hub) runs in a process of its own, and then `prepare
codes`. With --stems the albums have their true stems and nothing is separated. The first table is
of the results, the second of processor seconds for each minute of music and of peak memory; the
last line of the output is JSON.
"""

import argparse
import concurrent.futures
import difflib
import json
import multiprocessing
import resource
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import soundfile
import soxr

from songgen_hf.data.corpus.rows import read_songs
from songgen_hf.data.preparation.codes import prepare_codes
from songgen_hf.data.preparation.configuration import read_preparation
from songgen_hf.data.preparation.options import CodesOptions, SongsOptions
from songgen_hf.data.preparation.recordings import find_recordings
from songgen_hf.data.preparation.songs import build_stages, prepare_songs
from songgen_hf.data.preparation.stages import run_stages
from songgen_hf.data.shards import datasets_progress_bars
from songgen_hf.evaluation.metrics.reconstruction import si_sdr
from songgen_hf.modeling.audio_io import read_audio

RATE, RECORDING_RATE = 16000, 44100
STEMS = ("vocal", "accompaniment")
WORDS = "words"
OFFLINE = ("transcribe.models=[]",)
ANNOUNCEMENT = "Thank you all for coming tonight. The next song is about {}. We hope you like it."
TOLERANCE = 0.02  # seconds: a frame of the segmentation
PUBLISHED_SPEEDS = {
    "htdemucs_ft": 180 / 19,
    "whisper-large-v2": 780 / 143,
    "whisper-large-v3": 780 / 143,
}
"""Times real time on one GPU, by others and not measured here: three minutes in 19 s on an RTX 3090
Ti (github.com/ZFTurbo/MVSEP-MDX23-music-separation-model, issue 33), and 13 minutes in 143 s on an
RTX 2080 Ti, transformers in fp16 with 5 beams (github.com/SYSTRAN/faster-whisper, issue 1030)."""
_WRONG_LYRICS = 10  # one song in ten


class Part(NamedTuple):
    """A part of an album: ``song``, ``wrong lyrics``, ``silence``, ``speech``, ``instrumental``.

    ``start`` and ``end`` are in seconds of the album; ``words`` of a song are (text, start, end,
    line) with times in seconds of the album.
    """

    kind: str
    start: float
    end: float
    words: tuple[tuple[str, float, float, int], ...] = ()


def announcement(word: str, rng: np.random.Generator) -> np.ndarray:
    """A spoken announcement [S] at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        voice = f"en-us+{rng.choice(['m1', 'm3', 'm7', 'f2', 'f4'])}"
        text = ANNOUNCEMENT.format(word)
        subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", path, text], check=True)
        samples, rate = soundfile.read(path, dtype="float32")
    return 0.5 * soxr.resample(samples, rate, RATE)


def between(kind: str, song: dict[str, Any], rng: np.random.Generator) -> list[np.ndarray]:
    """Vocal and accompaniment [S] of a part between two songs, with silence around it."""
    pause = np.zeros((2, round(rng.uniform(1.5, 3.0) * RATE)), dtype=np.float32)
    inside = np.zeros((2, 0), dtype=np.float32)
    if kind == "speech":
        spoken = announcement(song[WORDS][0]["word"], rng)
        inside = np.stack([spoken, np.zeros_like(spoken)])
    elif kind == "instrumental":
        band = song["accompaniment"]
        inside = np.stack([np.zeros_like(band), band])
    parts = [pause, inside, pause] if inside.shape[1] else [pause]
    return list(np.concatenate(parts, axis=1))


def write_album(
    songs: Sequence[dict[str, Any]],
    name: str,
    folder: Path,
    rng: np.random.Generator,
    *,
    unsung: str,
    stems: bool = False,
    kinds: Sequence[str] = ("silence", "speech", "instrumental"),
) -> list[Part]:
    """Write an album as mp3 with its lyrics, perhaps with its stems; the result is what it holds.

    Args:
        songs: rows of :func:`read_songs`.
        name: name of the file.
        folder: folder of all albums; the true stems are written beside it, or into it.
        rng: draws parts, levels and the songs with wrong lyrics.
        unsung: those wrong lyrics.
        stems: whether the preparation may use the stems.
        kinds: what may be between two songs.
    """
    parts, sounds, lyrics, now = [], [], [], 0.0
    for index, song in enumerate(songs):
        wrong = rng.integers(_WRONG_LYRICS) == 0
        words = tuple(
            (word["word"], now + word["start"], now + word["end"], 100 * index + word["line"])
            for word in song[WORDS]
        )
        sounds.append(np.stack([song[stem] for stem in STEMS]))
        end = now + sounds[-1].shape[1] / RATE
        parts.append(Part("wrong lyrics" if wrong else "song", now, end, words))
        lyrics.append(unsung if wrong else song["lyrics"])
        kind = str(rng.choice(list(kinds)))
        sounds.append(np.stack(between(kind, song, rng)))
        now = end + sounds[-1].shape[1] / RATE
        parts.append(Part(kind, end, now))
    vocal, accompaniment = np.concatenate(sounds, axis=1)
    true = folder if stems else folder.parent / "true"
    true.mkdir(parents=True, exist_ok=True)
    for stem, sound in zip(STEMS, (vocal, accompaniment), strict=True):
        soundfile.write(true / f"{name}.{stem}.flac", np.clip(sound, -1, 1), RATE)
    left = rng.uniform(0.7, 1.3)
    channels = [vocal + share * accompaniment for share in (left, 2 - left)]
    mixture = soxr.resample(np.stack(channels, axis=1), RATE, RECORDING_RATE)
    mixture /= max(1.0, np.abs(mixture).max())
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{name}.mp3", mixture, RECORDING_RATE)
    (folder / f"{name}.txt").write_text("\n\n".join(lyrics), encoding="utf-8")
    return parts


def run_stage(source: Path, output: Path, number: int) -> tuple[float, float]:
    """Run one stage: its processor seconds and the peak memory of this process in MB."""
    options = songs_options(source, output)
    recordings = find_recordings(options.source, options.output / "recordings", split="train")
    stages = build_stages(read_preparation(options.config, options.changes), output)
    with datasets_progress_bars(False, extra="prepare"):
        return measured(
            lambda: run_stages(stages[: number + 1], recordings, output / "stages", progress=False)
        )


def run_filter(source: Path, output: Path) -> tuple[float, float]:
    """Finish the preparation: duplicates, filter, data and report."""
    return measured(lambda: prepare_songs(songs_options(source, output), progress=False))


def run_codes(source: Path, output: Path) -> tuple[float, float]:
    """Encode the kept clips with the codec of the package."""
    options = CodesOptions(source=str(output / "data"), output=output / "codes")
    return measured(lambda: prepare_codes(options, progress=False))


def songs_options(source: Path, output: Path) -> SongsOptions:
    """How albums are prepared."""
    return SongsOptions(source=str(source), output=output, config="paper", changes=OFFLINE)


def measured(function: Any) -> tuple[float, float]:
    """Call a function; its processor seconds and the peak memory of this process in MB."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Linux counts the memory of the process that started this one in ru_maxrss.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return seconds, int(status.partition("VmHWM:")[2].split()[0]) / 1000


def in_process(function: Any, *arguments: Any) -> tuple[float, float]:
    """Call a function in a new process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def separation_scores(estimate: str, mixture: str, true: str, parts: Sequence[Part]) -> list[float]:
    """The improvement of the vocal's SI-SDR over the mixture in dB, of each song of an album."""
    sounds = [read_audio(path, RATE) for path in (true, estimate, mixture)]
    improvements = []
    for part in parts:
        if part.words:
            place = slice(round(part.start * RATE), round(part.end * RATE))
            vocal, separated, mixed = (sound[place] for sound in sounds)
            improvements.append(si_sdr(vocal, separated) - si_sdr(vocal, mixed))
    return improvements


def cuts_in_pauses(clips: Sequence[dict[str, Any]], parts: Sequence[Part]) -> list[bool]:
    """Whether each edge of a clip is in no word."""
    words = [(start, end) for part in parts for _, start, end, _ in part.words]
    edges = [clip["clip_start"] for clip in clips]
    edges += [clip["clip_start"] + clip["clip_seconds"] for clip in clips]
    return [
        not any(start + TOLERANCE < edge < end - TOLERANCE for start, end in words)
        for edge in edges
    ]


def word_errors(clips: Sequence[dict[str, Any]], parts: Sequence[Part]) -> list[float]:
    """Distances in seconds between the true and the aligned begin of the words of right lyrics."""
    true = [word for part in parts if part.kind == "song" for word in part.words]
    found = [
        (word["word"], clip["clip_start"] + word["start"])
        for clip in clips
        for word in clip["words"] or ()
    ]
    matcher = difflib.SequenceMatcher(
        None, [word[0] for word in true], [word[0] for word in found], autojunk=False
    )
    return [
        abs(found[second + step][1] - true[first + step][1])
        for first, second, length in matcher.get_matching_blocks()
        for step in range(length)
    ]


def part_of(clip: dict[str, Any], parts: Sequence[Part]) -> str:
    """The kind of the part that most of a clip's sound is from."""
    start, end = clip["clip_start"], clip["clip_start"] + clip["clip_seconds"]
    overlaps: dict[str, float] = {}
    for part in parts:
        if part.kind != "silence":
            shared = max(0.0, min(end, part.end) - max(start, part.start))
            overlaps[part.kind] = overlaps.get(part.kind, 0.0) + shared
    return max(overlaps, key=lambda kind: overlaps[kind])


def judge(clips: list[dict[str, Any]], parts: dict[str, list[Part]]) -> dict[str, tuple[int, int]]:
    """How many clips of each kind of part are kept, of how many."""
    counts: dict[str, tuple[int, int]] = {}
    for clip in clips:
        kind = part_of(clip, parts[clip["recording_id"]])
        kept, number = counts.get(kind, (0, 0))
        counts[kind] = (kept + clip["kept"], number + 1)
    return counts


def main(arguments: list[str] | None = None) -> None:
    """Prepare albums and print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", help="parquet files of a rendered corpus: a folder or a pattern")
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--songs-per-album", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stems", action="store_true", help="give the true stems")
    parser.add_argument("--output", help="folder that is kept (default: a temporary one)")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price of a core for an hour")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        measure(options, Path(options.output or temporary))


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Write, prepare and judge the albums, and print what was found."""
    rng = np.random.default_rng(options.seed)
    source, output = folder / "albums", folder / "prepared"
    parts, waiting = {}, []
    columns = [*STEMS, "lyrics", WORDS]
    songs = read_songs(options.folder, columns, first=options.first, count=options.songs + 1)
    for song in songs:
        if len(waiting) == options.songs_per_album:
            name = f"album{len(parts):03d}"
            parts[name] = write_album(
                waiting, name, source, rng, unsung=song["lyrics"], stems=options.stems
            )
            waiting = []
        waiting.append(song)
    if not parts:
        raise ValueError(f"{options.folder} has too few songs for an album")
    minutes = sum(album[-1].end for album in parts.values()) / 60
    stages = ("inspect", "separate", "segment", "transcribe", "score", "caption")
    costs = {
        name: in_process(run_stage, source, output, number) for number, name in enumerate(stages)
    }
    del costs["transcribe"]  # no model
    costs["filter"] = in_process(run_filter, source, output)
    costs["codes"] = in_process(run_codes, source, output)
    clips = pq.read_table(output / "clips.parquet").to_pylist()
    true = source if options.stems else folder / "true"
    improvements, pauses, errors = [], [], []
    for name, album in parts.items():
        own = [clip for clip in clips if clip["recording_id"] == name]
        pauses += cuts_in_pauses(own, album)
        errors += word_errors(own, album)
        if not options.stems:
            paths = (own[0]["vocal"], own[0]["path"], str(true / f"{name}.vocal.flac"))
            improvements += separation_scores(*paths, album)
    kinds = judge(clips, parts)
    print_results(options, minutes, costs, improvements, pauses, errors, kinds)


def print_results(
    options: argparse.Namespace,
    minutes: float,
    costs: dict[str, tuple[float, float]],
    improvements: list[float],
    pauses: list[bool],
    errors: list[float],
    kinds: dict[str, tuple[int, int]],
) -> None:
    """Print both tables and the line of JSON."""
    result: dict[str, Any] = {"songs": options.songs, "minutes": round(minutes, 1)}
    if improvements:
        result["vocal_improvement"] = round(float(np.mean(improvements)), 2)
    result["edges"], result["edges_in_pauses"] = len(pauses), sum(pauses)
    median, most = np.quantile(errors, [0.5, 0.95]) if errors else (None, None)
    result |= {"words": len(errors), "word_error_median": median, "word_error_95": most}
    result |= {f"kept {kind}": f"{kept} of {number}" for kind, (kept, number) in kinds.items()}
    for name, value in result.items():
        print(f"{name:24} {value}")
    print(f"\n{'stage':12} {'processor s / min':>18} {'peak MB':>9} {'hours / 1000 h':>15}")
    for name, (seconds, megabytes) in costs.items():
        print(
            f"{name:12} {seconds / minutes:18.3f} {megabytes:9.0f} {seconds / minutes / 0.06:15.1f}"
        )
    hours = sum(seconds for seconds, _ in costs.values()) / minutes / 0.06
    price = f"{hours * options.core_hour:.2f} at {options.core_hour:g} an hour"
    print(f"1000 h of music: {hours:.0f} core hours, {price}")
    gpu_hours = sum(1000 / speed for speed in PUBLISHED_SPEEDS.values())
    print(f"1000 h with {', '.join(PUBLISHED_SPEEDS)}: {gpu_hours:.0f} h on one GPU and")
    print(f"{gpu_hours / 64:.1f} h on 64, estimated from published speeds and not measured")
    result["processor_seconds_per_minute"] = {
        name: round(seconds / minutes, 4) for name, (seconds, _) in costs.items()
    }
    result["peak_megabytes"] = {name: round(megabytes) for name, (_, megabytes) in costs.items()}
    result["core_hours_per_1000_hours"] = round(hours, 1)
    result["estimated_gpu_hours_per_1000_hours"] = round(gpu_hours)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
