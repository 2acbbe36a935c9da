"""Check the labels of rendered songs with estimators that are independent of the renderer.

    python benchmarks/corpus_labels.py FOLDER [--songs 120]

- Tempo: autocorrelation of the spectral flux of the mixture, with a broad prior around 112 bpm. It
  is correct within 8 %; a second row also counts half and double tempo as correct.
- Key: the chroma of the mixture, compared with the profiles of Albrecht and Shanahan. It is correct
  if tonic and mode are.
- Gender: Praat's pitch tracker on the vocal; male if the median pitch is below 215 Hz.
- Words: each sung line is compared (MFCC, dynamic time warping) with its text, spoken by a voice of
  espeak-ng that no singer uses, and with nine other lines of as many words. It is correct if its
  own text is nearest. Single words are compared with nine other words in the same way.
- Notes: the median pitch of each note according to Praat; correct within a quarter tone.

The check of the words uses the same pronunciation as the corpus (espeak-ng). It shows that the
right sounds are at the labeled times, not that a listener would understand them. The last line of
the output is JSON.
"""

import argparse
import glob
import json
import random

import numpy as np
import parselmouth
import soxr
from scipy.fft import dct
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from songgen_hf.data.corpus.isolation import IsolatedSynthesizers
from songgen_hf.data.corpus.rows import read_sound
from songgen_hf.data.listening.key import estimate_key
from songgen_hf.data.listening.tempo import estimate_tempo

RATE = 16000
OTHER_VOICE = {"male": "en-us+m6", "female": "en-us+f3"}
GENDER_THRESHOLD = 215.0  # Hz


def track_pitch(vocal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds, and pitch in Hz (0 where unvoiced)."""
    track = parselmouth.Sound(vocal, RATE).to_pitch_ac(pitch_floor=65, pitch_ceiling=700)
    return track.xs(), track.selected_array["frequency"]


def estimate_gender(pitch: np.ndarray) -> str:
    """``male`` or ``female``, according to the median pitch."""
    return "male" if np.median(pitch[pitch > 0]) < GENDER_THRESHOLD else "female"


def correct_notes(times: np.ndarray, pitch: np.ndarray, notes: list[dict]) -> list[bool]:
    """Whether the median pitch is correct, for each note that is long enough to measure."""
    correct = []
    for note in notes:
        inside = (times > note["start"] + 0.08) & (times < note["end"] - 0.08) & (pitch > 0)
        if inside.sum() > 3:
            found = 69 + 12 * np.log2(np.median(pitch[inside]) / 440)
            correct.append(bool(abs(found - note["pitch"]) < 0.5))
    return correct


def cepstra(waveform: np.ndarray) -> np.ndarray:
    """MFCC 1 to 12, [T, 12], normalized over the piece."""
    bands = spectrogram(
        waveform, window_function(512, "hann", periodic=False), 512, 160, power=2.0,
        pad_mode="constant", mel_filters=mel_filter_bank(257, 24, 80.0, 6000.0, RATE),
    ).T  # fmt: skip
    values = dct(np.log(bands + 1e-6 * bands.max() + 1e-12), type=2, norm="ortho", axis=1)[:, 1:13]
    return (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)


def warped_distances(sung: np.ndarray, spoken: list[np.ndarray]) -> np.ndarray:
    """Mean distance along the best alignment of ``sung`` [T, D] with each of ``spoken``."""
    lengths = np.array([len(one) for one in spoken])
    padded = np.stack([np.pad(one, ((0, lengths.max() - len(one)), (0, 0))) for one in spoken])
    cost = np.sqrt(((sung[:, None, None] - padded[None]) ** 2).sum(-1))  # [T, N, U]
    best = np.full((len(spoken), lengths.max() + 1), np.inf)
    best[:, 0] = 0.0
    for row in cost:
        following = np.full_like(best, np.inf)
        entry = np.minimum(best[:, :-1], best[:, 1:])  # diagonal or from above, [N, U]
        for column in range(row.shape[1]):
            from_left = following[:, column] if column else np.inf
            following[:, column + 1] = row[:, column] + np.minimum(entry[:, column], from_left)
        best = following
    return best[np.arange(len(spoken)), lengths] / (len(sung) + lengths)


class Reader:
    """Finds the text that is nearest to a piece of singing."""

    def __init__(self) -> None:
        self.speaker = IsolatedSynthesizers().speaker
        self.cache: dict[tuple[str, str], np.ndarray] = {}

    def spoken(self, text: str, gender: str) -> np.ndarray:
        """MFCC [T, 12] of a text that the other voice speaks."""
        if (text, gender) not in self.cache:
            line = self.speaker.speak(text, OTHER_VOICE[gender])
            first, last = line.phonemes[0].start, line.phonemes[-1].end
            sound = line.waveform[int(first * line.sampling_rate) : int(last * line.sampling_rate)]
            self.cache[text, gender] = cepstra(soxr.resample(sound, line.sampling_rate, RATE))
        return self.cache[text, gender]

    def is_nearest(self, sung: np.ndarray, text: str, others: list[str], gender: str) -> bool:
        """Whether ``text`` is nearer to the waveform than all other texts."""
        candidates = [self.spoken(candidate, gender) for candidate in (text, *others)]
        return bool(np.argmin(warped_distances(cepstra(sung), candidates)) == 0)


def check(rows: list[dict], seed: int = 0) -> dict[str, float]:
    """Accuracy of each label, over songs, notes, lines or words."""
    rng = random.Random(seed)
    reader = Reader()
    lines_by_length: dict[int, list[str]] = {}
    for row in rows:
        for line in row["lyrics"].split("\n"):
            lines_by_length.setdefault(len(line.split()), []).append(line)
    words = sorted({word["word"] for row in rows for word in row["words"]})
    right: dict[str, list[bool]] = {}

    def note(name: str, value: bool) -> None:
        right.setdefault(name, []).append(value)

    for row in rows:
        mixture, vocal = read_sound(row).astype(float), read_sound(row, "vocal").astype(float)
        ratio = estimate_tempo(mixture) / row["tempo"]
        note("tempo", abs(ratio - 1) <= 0.08)
        note("tempo or its half or double", min(abs(ratio * f - 1) for f in (0.5, 1, 2)) <= 0.08)
        note("key", estimate_key(mixture) == row["key"])
        times, pitch = track_pitch(vocal)
        note("gender", estimate_gender(pitch) == row["gender"])
        for correct in correct_notes(times, pitch, row["notes"]):
            note("notes, within a quarter tone", correct)
        for number, line in enumerate(row["lyrics"].split("\n")):
            timed = [word for word in row["words"] if word["line"] == number]
            piece = vocal[int(timed[0]["start"] * RATE) : int(timed[-1]["end"] * RATE)]
            pool = [other for other in lines_by_length[len(timed)] if other != line]
            others = rng.sample(pool, min(9, len(pool)))
            note("lines, 1 of 10", reader.is_nearest(piece, line, others, row["gender"]))
            for word in timed:
                piece = vocal[int(word["start"] * RATE) : int(word["end"] * RATE)]
                others = rng.sample([other for other in words if other != word["word"]], 9)
                note(
                    "words, 1 of 10", reader.is_nearest(piece, word["word"], others, row["gender"])
                )
    for name in ("tempo", "key"):
        wrong = [row["genre"] for row, ok in zip(rows, right[name], strict=True) if not ok]
        print(f"{name} wrong in: {', '.join(sorted(wrong)) or 'none'}")
    return {name: float(np.mean(values)) for name, values in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--songs", type=int, default=120)
    arguments = parser.parse_args()
    import pyarrow.parquet

    rows: list[dict] = []
    for path in sorted(glob.glob(f"{arguments.folder}/data/*.parquet")):
        rows += pyarrow.parquet.read_table(path).to_pylist()
    rows = rows[: arguments.songs]
    shares = check(rows)
    print(f"| label ({len(rows)} songs) | accuracy |\n|---|---|")
    for name, share in shares.items():
        print(f"| {name} | {100 * share:.1f} % |")
    print(json.dumps({"songs": len(rows), **shares}))


if __name__ == "__main__":
    main()
