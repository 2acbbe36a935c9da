"""Draw mel spectrograms of songs of a corpus, with notes and phonemes: docs/img/corpus-*.png.

    python benchmarks/corpus_mels.py FOLDER docs/img [--songs 10]

Needs matplotlib. The vocal is drawn above the accompaniment, both on a scale of 80 dB.
"""

import argparse
import glob
import io
from pathlib import Path

import matplotlib
import numpy as np
from corpus_labels import RATE
from PIL import Image

from songgen_hf.data.corpus.rows import read_sound
from songgen_hf.data.listening.mel_picture import mel_decibels

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HOP, BANDS = 160, 96


def mel_of(hertz: float) -> float:
    """Position of a frequency on the axis of the image, in mel bands."""
    scale = [2595 * np.log10(1 + f / 700) for f in (40.0, 7800.0, hertz)]
    return (scale[2] - scale[0]) / (scale[1] - scale[0]) * (BANDS + 1) - 1


def draw(row: dict, path: Path) -> None:
    """Write the picture of one song."""
    figure, axes = plt.subplots(2, 1, figsize=(8, 3.6), sharex=True, layout="constrained")
    for axis, stem in zip(axes, ("vocal", "accompaniment"), strict=True):
        level = mel_decibels(
            read_sound(row, stem), RATE, num_bands=BANDS, hop_length=HOP,
            min_frequency=40.0, max_frequency=7800.0,
        )  # fmt: skip
        axis.imshow(
            level, origin="lower", aspect="auto", cmap="magma", vmin=-45, vmax=35,
            extent=(0, level.shape[1] * HOP / RATE, 0, BANDS), interpolation="nearest",
        )  # fmt: skip
        axis.set_yticks([mel_of(f) for f in (200, 1000, 4000)], ["200", "1k", "4k"])
        axis.set_ylabel(f"{stem}\nHz", fontsize=8)
    for note in row["notes"]:
        place = mel_of(440 * 2 ** ((note["pitch"] - 69) / 12))
        axes[0].plot([note["start"], note["end"]], [place, place], color="cyan", linewidth=0.8)
    for phoneme in row["phonemes"]:
        axes[0].text(phoneme["start"], BANDS - 8, phoneme["symbol"], color="white", fontsize=6)
    facts = (row["genre"], f"{row['tempo']} bpm", row["key"], row["voice_id"])
    lyrics = row["lyrics"].replace("\n", " / ")
    axes[0].set_title(f"{', '.join(facts)}, {row['lead_instrument']} leads: {lyrics}", fontsize=8)
    axes[1].set_xlabel("seconds", fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=72)
    plt.close(figure)
    Image.open(picture).convert("RGB").quantize(40).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("images", type=Path)
    parser.add_argument("--songs", type=int, default=10)
    arguments = parser.parse_args()
    import pyarrow.parquet

    rows: list[dict] = []
    for path in sorted(glob.glob(f"{arguments.folder}/data/*.parquet")):
        rows += pyarrow.parquet.read_table(path).to_pylist()
    arguments.images.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, dict] = {}  # one song per genre
    for row in rows:
        chosen.setdefault(row["genre"], row)
    for number, row in enumerate(list(chosen.values())[: arguments.songs]):
        path = arguments.images / f"corpus-{number}.png"
        draw(row, path)
        print(path)


if __name__ == "__main__":
    main()
