"""Writes the page of a listening test: one HTML file beside songs of equal loudness, and its key.

key.json               which system each song is from; not for listeners
listeners/index.html   the page, which needs no network
listeners/*.flac       the songs: equal loudness, sampling rate and channels, names without
                       meaning
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from transformers.utils.logging import tqdm

from ...data.loudness import SILENCE, integrated_loudness
from ...files import encode_json, encode_sound, new_directory, write_files
from ...modeling.audio_io import read_channels, resample
from .options import Design, ListeningOptions
from .songs import PairedSongs, find_songs
from .trials import Trial, draw_trials

KEY_FILE, LISTENERS_FOLDER, PAGE_FILE = "key.json", "listeners", "index.html"
CEILING = 10 ** (-1 / 20)  # of the largest sample
FADE_SECONDS = 0.05  # at the end of a song that is cut
MAX_SAMPLING_RATE = 48000  # Hz; browsers play higher rates, but hear no more
QUESTIONS: dict[Design, str] = {
    "ab": "Which song do you prefer?",
    "abx": "Which song is the same as X?",
    "mos": "How good is this song?",
}
OPINIONS = {5: "Excellent", 4: "Good", 3: "Fair", 2: "Poor", 1: "Bad"}  # ITU-T P.800
TIE = "tie"


@dataclass(frozen=True)
class WrittenPage:
    """What was written.

    Args:
        page: the HTML file.
        key: the key.
        page_id: identity of the page, which votes refer to.
        trials: number of trials.
        unpaired: number of songs that were left out, because not every system has them.
        loudness: LUFS of all songs.
    """

    page: Path
    key: Path
    page_id: str
    trials: int
    unpaired: int
    loudness: float


def write_page(options: ListeningOptions, *, progress: bool = False) -> WrittenPage:
    """Write a listening test; the same options and songs give the same bytes.

    Args:
        options: options of the page.
        progress: show a progress bar.
    Raises:
        FileExistsError: if the folder holds files.
        FileNotFoundError, ValueError: if songs are missing, unreadable, silent or too short, or
            the options do not fit them.
    """
    songs = find_songs(options.songs, options.names)
    random = np.random.default_rng(_entropy(options.seed, songs))
    trials = draw_trials(
        options.design, len(songs.systems), len(songs.items), options.count, random
    )
    items = list(songs.items.values())
    used = {items[trial.item][system]: None for trial in trials for system in trial.systems}
    with new_directory(options.out) as folder:
        bar = partial(tqdm, disable=not progress)
        rate, channels = _common_format(bar(used, desc="reading"))
        read = partial(_read, rate=rate, channels=channels, max_seconds=options.max_seconds)
        measured = {path: _measure(path, read(path), rate) for path in bar(used, desc="loudness")}
        target = min(options.loudness, *(top for _, top in measured.values()))
        shown, answers = [], {}
        for trial in bar(trials, desc="writing"):
            paths = [items[trial.item][system] for system in trial.systems]
            paths += [] if trial.x is None else [paths[trial.x]]
            names = [f"{random.bytes(8).hex()}.{options.format}" for _ in paths]
            for path, name in zip(paths, names, strict=True):
                waveform = read(path) * 10 ** ((target - measured[path][0]) / 20)
                # Dither of 16 bits; it also makes the file of X another one than that of its twin.
                waveform += random.triangular(-1, 0, 1, waveform.shape) / 2**15
                sound = encode_sound(waveform, rate, name)
                write_files({folder / LISTENERS_FOLDER / name: sound})
            trial_id = random.bytes(4).hex()
            shown.append({"id": trial_id, "songs": names})
            answers[trial_id] = _answer(trial, songs)
        page_id, html = _render(options, shown)
        key = {
            "page": page_id,
            "design": options.design,
            "systems": list(songs.systems),
            "seed": options.seed,
            "ties": options.design == "ab" and options.ties,
            "loudness": round(target, 2),
            "sampling_rate": rate,
            "trials": answers,
        }
        write_files({
            folder / LISTENERS_FOLDER / PAGE_FILE: html.encode(),
            folder / KEY_FILE: encode_json(key),
        })  # fmt: skip
    return WrittenPage(
        options.out / LISTENERS_FOLDER / PAGE_FILE, options.out / KEY_FILE, page_id, len(trials),
        songs.unpaired, target,
    )  # fmt: skip


def _entropy(seed: int, songs: PairedSongs) -> int:
    """A seed that a listener, who has not the original files, cannot repeat."""
    digest = hashlib.sha256(f"{seed}\n{songs.systems}\n{list(songs.items)}\n".encode())
    for paths in songs.items.values():
        for path in paths:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return int.from_bytes(digest.digest())


def _read_original(path: Path) -> tuple[np.ndarray, int]:
    try:
        return read_channels(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _common_format(paths: Any) -> tuple[int, int]:
    """The highest sampling rate and the number of channels (1 or 2) of songs."""
    formats = [(rate, len(waveform)) for waveform, rate in map(_read_original, paths)]
    return min(max(rate for rate, _ in formats), MAX_SAMPLING_RATE), min(
        max(channels for _, channels in formats), 2
    )


def _read(path: Path, *, rate: int, channels: int, max_seconds: float | None) -> np.ndarray:
    """[channels, S] float64 of a song in the common format."""
    waveform, own_rate = _read_original(path)
    if len(waveform) not in (1, channels):
        waveform = waveform.mean(axis=0, keepdims=True)
    found = resample(np.ascontiguousarray(waveform.T), own_rate, rate).T.astype(np.float64)
    if max_seconds is not None and found.shape[1] > max_seconds * rate:
        found = found[:, : round(max_seconds * rate)].copy()
        fade = min(found.shape[1], round(FADE_SECONDS * rate))
        found[:, -fade:] *= np.linspace(1, 0, fade)
    return found if len(found) == channels else np.repeat(found, channels, axis=0)


def _measure(path: Path, waveform: np.ndarray, rate: int) -> tuple[float, float]:
    """The loudness of a song, and the highest one that its peaks allow, in LUFS."""
    try:
        loudness = integrated_loudness(waveform.T, rate)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if loudness <= SILENCE:
        raise ValueError(f"{path} is silent, so it has no loudness: leave it out")
    return loudness, loudness + 20 * float(np.log10(CEILING / np.abs(waveform).max()))


def _answer(trial: Trial, songs: PairedSongs) -> dict[str, Any]:
    """What the key says about a trial."""
    name, paths = list(songs.items.items())[trial.item]
    answer: dict[str, Any] = {
        "item": name,
        "systems": [songs.systems[system] for system in trial.systems],
        "files": [paths[system].name for system in trial.systems],
    }
    return answer if trial.x is None else answer | {"x": "ab"[trial.x]}


def choices(design: Design, ties: bool) -> list[dict[str, Any]]:
    """The answers of a design: value, label, and the keys of the keyboard that give it."""
    if design == "mos":
        return [
            {"value": value, "label": f"{value} {word}", "keys": [str(value)]}
            for value, word in OPINIONS.items()
        ]
    two: list[dict[str, Any]] = [
        {"value": value, "label": value.upper(), "keys": [key, value]}
        for key, value in (("1", "a"), ("2", "b"))
    ]
    tied = [{"value": TIE, "label": "No preference", "keys": ["0", "n"]}]
    return two + (tied if design == "ab" and ties else [])


def _render(options: ListeningOptions, trials: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The id of the page and its HTML."""
    labels = {"ab": ["A", "B"], "abx": ["A", "B", "X"], "mos": ["song"]}[options.design]
    test: dict[str, Any] = {
        "design": options.design,
        "labels": labels,
        "choices": choices(options.design, options.ties),
        "trials": trials,
    }
    question = options.question or QUESTIONS[options.design]
    described = json.dumps([options.title, question, test], ensure_ascii=False)
    page_id = hashlib.sha256(described.encode()).hexdigest()[:16]
    parts = {
        name: files(__package__).joinpath(f"page.{name}").read_text(encoding="utf-8")
        for name in ("html", "css", "js")
    }
    data = json.dumps({"page": page_id, **test}, ensure_ascii=False).replace("<", "\\u003c")
    keys = [f"{'/'.join(one['keys'])}: {one['label']}" for one in test["choices"]]
    html = Template(parts["html"]).substitute(
        title=escape(options.title),
        question=escape(question),
        style=parts["css"],
        script=parts["js"],
        style_digest=_digest(parts["css"]),
        script_digest=_digest(parts["js"]),
        keys=escape(", ".join(keys)),
        data=data,
    )
    return page_id, html


def _digest(text: str) -> str:
    """The digest of an inline element in the form of a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


__all__ = [
    "KEY_FILE",
    "LISTENERS_FOLDER",
    "PAGE_FILE",
    "TIE",
    "WrittenPage",
    "choices",
    "write_page",
]
