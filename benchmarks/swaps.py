"""Counts songs of songgen-mini whose tracks change places, before and after they are put back.

    python benchmarks/swaps.py CORPUS [--songs 200] [--folder FOLDER] [--seconds 10] [--seed 0]

Songs of the first lines of the prompts of the evaluation are generated in batches and kept in a
folder, and so is what was measured (remove its .json files to measure again): an interrupted run
goes on, and `--drawn-only` measures what is there. The tracks of each song are put in their places
with the pipeline's `put_tracks_in_place`, which listens with `separator-mini`. A song in
which for more than half a second the vocal then still has instruments, or the accompaniment sings,
is generated as with `check_tracks=True, retries=3`, which draws it again.

The judge is another network, which this script trains on a rendered corpus (`songgen-hf corpus`)
within seconds: it tells voice from instruments in a second of one track by cepstra and their
movement, hears true stems and the same after the codec, and is tested on every third song. A song
counts as swapped if the judge hears instruments in the vocal and voice in the accompaniment for a
second on average.

The last line is JSON.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import beta
from torch import nn

from songgen_hf.checkpoints.digests import weights_digest
from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.data.corpus.rows import read_songs
from songgen_hf.evaluation.protocol.prompts import Prompt, read_prompts
from songgen_hf.files import encode_json, write_files
from songgen_hf.pipelines.song import Song
from songgen_hf.pipelines.swapped_tracks import MAY_BE_SWAPPED

RATE = 16000
TRACKS = ("vocal", "accompaniment")
SIDES = ("before", "after", "last")
PROMPTS_TOGETHER, TAKES, RETRIES = 8, 2, 3
WINDOW, HOP = 1024, 200  # samples of a spectrum, and between two
LENGTH, STEP = 80, 20  # spectra of a second that the judge hears, and between two
FRAMES_OF_SECOND = 4  # steps
BANDS, CEPSTRA = 40, 20
AUDIBLE = 1e-4  # mean power of the mel bands
CERTAIN = 4.0  # log-odds beyond which a second counts no more
HELD_OUT = 3  # every third song tests the judge


def mel_filters() -> np.ndarray:
    """The triangular mel filters [bands, bins] from 60 to 7600 Hz."""
    lowest, highest = 2595 * np.log10(1 + np.array([60, 7600]) / 700)
    edges = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)[:, None]
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


FILTERS = mel_filters()
COSINES = np.cos(np.pi / BANDS * np.outer(np.arange(CEPSTRA), np.arange(BANDS) + 0.5))


def features(track: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features [N, F] of each second of a track [S], a quarter apart, and which are audible.

    The level is left out: cepstra without the first one, their spread and their movement.
    """
    samples = np.pad(np.asarray(track, np.float64), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.square(np.abs(np.fft.rfft(frames, axis=-1))) @ FILTERS.T
    levels = np.log(power + AUDIBLE)
    found, audible = [], []
    for start in range(0, max(1, len(levels) - LENGTH + 1), STEP):
        part = levels[start : start + LENGTH]
        cepstra = np.maximum(part, part.max() - 9) @ COSINES.T
        moved = [np.abs(cepstra[by:] - cepstra[:-by]).mean(axis=0) for by in (1, 4)]
        found.append(np.concatenate([cepstra.mean(axis=0)[1:], cepstra.std(axis=0), *moved]))
        audible.append(power[start : start + LENGTH].mean() > 1.0)
    return np.array(found), np.array(audible)


class Judge:
    """A network that tells voice from instruments, trained on the stems of a corpus."""

    def __init__(self, corpus: Path, codec: Any, songs: int) -> None:
        """Train on two of three songs of a split; ``accuracy`` is that of the others' seconds."""
        rows, labels, places = [], [], []
        self.held_out: list[tuple[np.ndarray, np.ndarray]] = []
        for place, tracks in enumerate(stems(corpus, codec, songs)):
            for coded in tracks:
                for label, track in enumerate(coded[::-1]):
                    part, audible = features(track)
                    rows.append(part[audible])
                    labels += [float(label)] * int(audible.sum())
                    places += [place] * int(audible.sum())
            if place % HELD_OUT == 0:
                self.held_out.append((tracks[1][0], tracks[1][1]))
        known, voiced = np.concatenate(rows), torch.tensor(labels)
        trained = torch.tensor(places) % HELD_OUT != 0
        self.mean = known[trained.numpy()].mean(axis=0)
        self.spread = known[trained.numpy()].std(axis=0) + 1e-6
        inputs = self._scaled(known)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = nn.Sequential(
                nn.Linear(inputs.shape[1], 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1)
            )
            self._train(inputs[trained], voiced[trained])
        with torch.no_grad():
            right = (self.network(inputs[~trained])[:, 0] > 0) == (voiced[~trained] > 0)
        self.accuracy = float(right.float().mean())

    def _scaled(self, known: np.ndarray) -> torch.Tensor:
        return torch.tensor((known - self.mean) / self.spread, dtype=torch.float32)

    def _train(self, inputs: torch.Tensor, voiced: torch.Tensor) -> None:
        optimizer = torch.optim.AdamW(self.network.parameters(), 2e-3, weight_decay=0.05)
        for _ in range(25):
            for part in torch.randperm(len(inputs)).split(128):
                odds = self.network(inputs[part])[:, 0]
                loss = nn.functional.binary_cross_entropy_with_logits(odds, voiced[part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.network.eval()

    def evidence(self, vocal: np.ndarray, band: np.ndarray) -> np.ndarray:
        """Log-odds [N] that tracks [S] are in their places, for each second, a quarter apart."""
        odds = []
        for track in (vocal, band):
            known, audible = features(track)
            with torch.no_grad():
                voiced = self.network(self._scaled(known))[:, 0].numpy()
            odds.append(np.where(audible, np.clip(voiced, -CERTAIN, CERTAIN), 0))
        count = min(map(len, odds))
        return odds[0][:count] - odds[1][:count]

    def swapped_seconds(self, vocal: np.ndarray, band: np.ndarray) -> float:
        """The length of what is swapped for a second on average."""
        evidence = self.evidence(vocal, band)
        if len(evidence) < FRAMES_OF_SECOND:
            return 0.0
        mean = np.convolve(evidence, np.ones(FRAMES_OF_SECOND) / FRAMES_OF_SECOND, "valid")
        return float((mean < -1).sum() / FRAMES_OF_SECOND)


def stems(corpus: Path, codec: Any, songs: int) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Yield (vocal, accompaniment) of songs of the corpus, and the same after the codec."""
    rows = read_songs(corpus / "data" / "validation-*.parquet", list(TRACKS))
    for _, row in zip(range(songs), rows, strict=False):
        tracks = [np.asarray(row[name], np.float32)[: 10 * RATE] for name in TRACKS]
        with torch.no_grad():
            codes = codec.encode(torch.tensor(np.stack(tracks))[:, None], return_dict=True)
            coded = codec.decode(codes.audio_codes, return_dict=True).audio_values[:, 0].numpy()
        yield [(tracks[0], tracks[1]), (coded[0], coded[1])]


def request_of(prompt: Prompt, seed: int, lines: int) -> dict[str, Any]:
    """The request of a song."""
    lyrics = "\n".join(prompt.lyrics.splitlines()[:lines])
    return {"text": prompt.text, "lyrics": lyrics, "seed": seed}


def draw(
    pipe: Any, prompts: Sequence[Prompt], folder: Path, seconds: float, lines: int, seed: int = 0
) -> Iterator[tuple[Prompt, list[Song]]]:
    """Yield the songs of each prompt, which are generated if they are missing.

    Their seeds are consecutive, from ``seed`` for the first song.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(prompts), PROMPTS_TOGETHER):
        part = prompts[first : first + PROMPTS_TOGETHER]
        paths = [folder / f"{prompt.id}.npz" for prompt in part]
        missing = [place for place, path in enumerate(paths) if not path.is_file()]
        if missing:
            requests = [
                request_of(part[place], seed + TAKES * (first + place), lines) for place in missing
            ]
            drawn = pipe(
                requests,
                batch_size=len(requests),
                num_return_sequences=TAKES,
                max_seconds=seconds,
            )
            for place, songs in zip(missing, drawn, strict=True):
                arrays = {
                    f"{name}{take}": song[name]
                    for take, song in enumerate(songs)
                    for name in (*TRACKS, "codes")
                }
                started = paths[place].with_suffix(".part.npz")
                np.savez(started, seeds=[song["seed"] for song in songs], **arrays)
                os.replace(started, paths[place])
            print(f"{first + len(part)} of {len(prompts)} prompts", flush=True)
        for prompt, path in zip(part, paths, strict=True):
            yield prompt, read(path)


def read(path: Path) -> list[Song]:
    """The songs in a file of :func:`draw`."""
    with np.load(path) as file:
        return [
            Song(
                {name: file[f"{name}{take}"] for name in TRACKS}
                | {"codes": file[f"codes{take}"].astype(np.int64), "seed": int(seed)}
                | {"sampling_rate": RATE, "audio": None}
            )
            for take, seed in enumerate(file["seeds"])
        ]


def count_swaps(
    pipe: Any,
    judge: Any,
    drawn: Iterator[tuple[Prompt, list[Song]]],
    folder: Path,
    seconds: float,
    lines: int,
) -> dict[str, int]:
    """Count songs, and those that are swapped, exchanged and drawn again.

    The facts of each prompt's songs are kept in the folder, so that an interrupted run goes on.
    """
    counts = dict.fromkeys(("songs", *SIDES, "exchanged", "redrawn", "unnoticed"), 0)
    for prompt, songs in drawn:
        path = folder / f"{prompt.id}.json"
        if not path.is_file():
            facts = [
                _swaps_of(pipe, judge, song, request_of(prompt, song["seed"], lines), seconds)
                for song in songs
            ]
            write_files({path: encode_json(facts)})
        for one in json.loads(path.read_text(encoding="utf-8")):
            counts["songs"] += 1
            for side in SIDES:
                counts[side] += one[side] > 0
            counts["exchanged"] += bool(one["exchanged"])
            counts["redrawn"] += one["redrawn"]
            counts["unnoticed"] += one["before"] > 0 and not one["exchanged"]
            if any(one[name] for name in (*SIDES, "exchanged", "redrawn")):
                print(prompt.id, json.dumps(one), flush=True)
    return counts


def _swaps_of(
    pipe: Any, judge: Any, song: Song, request: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """For how many seconds a song is swapped at each stage, and what was done."""
    repaired = pipe.put_tracks_in_place(song)
    last = repaired
    misplaced = repaired["misplaced_seconds"]
    if misplaced > MAY_BE_SWAPPED:
        last = pipe(request, check_tracks=True, retries=RETRIES, max_seconds=seconds)
    heard = [
        judge.swapped_seconds(*(one[name][0] for name in TRACKS)) for one in (song, repaired, last)
    ]
    return {
        "seed": song["seed"],
        **dict(zip(SIDES, heard, strict=True)),
        "exchanged": [[round(second, 2) for second in pair] for pair in repaired["exchanged"]],
        "misplaced": misplaced,
        "redrawn": misplaced > MAY_BE_SWAPPED,
    }


def at_most(count: int, songs: int) -> float:
    """Clopper and Pearson's one-sided upper bound in percent."""
    return round(100 * float(beta.ppf(0.95, count + 1, songs - count)), 2) if count < songs else 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="folder of a rendered corpus")
    parser.add_argument("--model", default="songgen-mini/interleaving_A_V")
    parser.add_argument("--songs", type=int, default=200, help="number of songs (default 200)")
    parser.add_argument("--folder", type=Path, default=Path("swaps"), help="folder of the songs")
    parser.add_argument("--seconds", type=float, default=10.0, help="longest song (default 10)")
    parser.add_argument("--lines", type=int, default=2, help="lines of the lyrics (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first song")
    parser.add_argument("--judge-songs", type=int, default=64, help="songs of the corpus")
    parser.add_argument(
        "--drawn-only", action="store_true", help="measure the songs in the folder, draw no more"
    )
    arguments = parser.parse_args()
    pipe = load_pipeline(arguments.model, device="cpu")
    judge = Judge(arguments.corpus, pipe.model.audio_encoder, arguments.judge_songs)
    exchanged = [
        (
            np.append(v[: len(v) // 2], b[len(v) // 2 :]),
            np.append(b[: len(v) // 2], v[len(v) // 2 :]),
        )
        for v, b in judge.held_out
    ]
    facts = {
        "accuracy": round(100 * judge.accuracy, 2),
        "true_songs": len(judge.held_out),
        "true_called_swapped": sum(judge.swapped_seconds(*one) > 0 for one in judge.held_out),
        "exchanged_called_swapped": sum(judge.swapped_seconds(*one) > 0 for one in exchanged),
    }
    print("the judge:", facts, flush=True)
    prompts = read_prompts()[: -(-arguments.songs // TAKES)]
    if arguments.drawn_only:
        prompts = [one for one in prompts if (arguments.folder / f"{one.id}.npz").is_file()]
    limits = (arguments.seconds, arguments.lines)
    drawn = draw(pipe, prompts, arguments.folder, *limits, arguments.seed)
    counts = count_swaps(pipe, judge, drawn, arguments.folder, *limits)
    bounds = {f"{name}_at_most": at_most(counts[name], counts["songs"]) for name in SIDES}
    for name in SIDES:
        bound = bounds[f"{name}_at_most"]
        print(f"swapped {name}: {counts[name]} of {counts['songs']}, 95 %: < {bound} %")
    length = {"seconds": arguments.seconds, "lines": arguments.lines}
    found = {"model": weights_digest(pipe.model), **length, "judge": facts, **counts, **bounds}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
