"""Measure how well the vocal of rendered songs is separated, and the speed of separation.

    python benchmarks/separation.py 'songs/data/test-*.parquet' [--songs 50] [--separator mini]

Each song of the corpus is mixed to stereo, with the vocal in the middle and the accompaniment in
both channels at a random balance, and written as MP3 at 44.1 kHz. The stage of `songgen-hf prepare`
separates the file. Scores are the scale-invariant signal-to-distortion ratio (SI-SDR) in dB of the
vocal and of the accompaniment, and its improvement over the mixture as the estimate. The speed is
in seconds of audio per second of CPU time. The last line of the output is JSON.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from songgen_hf.data.corpus.rows import read_songs
from songgen_hf.data.preparation.separation import STEM_RATE, SeparateOptions, separate
from songgen_hf.evaluation.metrics.reconstruction import si_sdr
from songgen_hf.modeling.audio_io import read_audio, resample

RATE, RECORDING_RATE = 16000, 44100
STEMS = ("vocal", "accompaniment")


def write_recording(stems: dict[str, np.ndarray], path: Path, rng: np.random.Generator) -> None:
    """Mix stems to stereo and write them at 44.1 kHz; the mean of both channels is their sum."""
    vocal, accompaniment = (resample(stems[stem], RATE, RECORDING_RATE) for stem in STEMS)
    left = rng.uniform(0.5, 1.5)
    mixed = np.stack([vocal + left * accompaniment, vocal + (2 - left) * accompaniment], axis=1)
    soundfile.write(path, mixed / max(1.0, np.abs(mixed).max()), RECORDING_RATE)


def score(estimates: dict[str, str], stems: dict[str, np.ndarray], path: Path) -> dict[str, float]:
    """SI-SDR of both stems, and its improvement over the recording."""
    recording = read_audio(path, STEM_RATE)
    scores = {}
    for stem in STEMS:
        true = resample(stems[stem], RATE, STEM_RATE)[: len(recording)]
        estimate = read_audio(estimates[stem], STEM_RATE)[: len(true)]
        scores[stem] = si_sdr(true, estimate)
        scores[f"{stem}_improvement"] = scores[stem] - si_sdr(true, recording[: len(true)])
    return scores


def main(arguments: list[str] | None = None) -> None:
    """Separate the songs and print the scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("songs", help="pattern of the parquet files of a rendered corpus")
    parser.add_argument("--songs", dest="count", type=int, default=50, help="number of songs")
    parser.add_argument("--separator", default="mini", help="see `SeparateOptions`")
    parser.add_argument("--ending", default=".mp3", help="format of the recordings")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    found, seconds, spent = [], 0.0, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, stems in enumerate(read_songs(options.songs, STEMS, count=options.count)):
            path = folder / f"song{options.ending}"
            write_recording(stems, path, rng)
            row = {"recording_id": "song", "path": str(path)}
            began = time.process_time()
            made = separate(row, SeparateOptions(options.separator), folder / "stems")
            if index:  # the first song loads the network
                spent += time.process_time() - began
                seconds += soundfile.info(path).duration
            found.append(score(made, stems, path))
    if not found:
        raise ValueError(f"no songs in {options.songs}: expected parquet files of a corpus")
    result: dict[str, object] = {
        "separator": options.separator,
        "songs": len(found),
        "times_real_time": round(seconds / spent, 1) if spent else None,
    }
    for key in found[0]:
        values = np.array([one[key] for one in found])
        low, high = np.quantile(values, [0.1, 0.9])
        print(f"{key:28} mean {values.mean():6.2f} dB, 10 % {low:6.2f} dB, 90 % {high:6.2f} dB")
        result[key] = round(float(values.mean()), 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
