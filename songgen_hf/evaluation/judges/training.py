"""Training of the judges' networks on the songs of the corpus.

The batch of a step follows from seed and step alone, so a resumed run gives the same networks as an
uninterrupted one on the same machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ...checkpoints.digests import weights_digest
from ...data.listening.phoneme_recognizer import (
    PhonemeRecognizer,
    PhonemeRecognizerConfig,
    Recognizer,
    SpectrogramRecognizer,
    SpectrogramRecognizerConfig,
)
from ...data.tables import source_digest
from ...files import encode_json, write_files
from ...training.precision import warn_of_slow_bfloat16
from ...training.resumable_run import (
    Action,
    Metrics,
    cosine_rate,
    load_state,
    optimizer_step,
    run_steps,
    save_state,
    set_learning_rate,
)
from ...training.seeding import seeded
from .dataset import JudgeSong, count_rows, read_judge_songs, read_rows
from .loading import CLASSIFIER_FOLDER, RECOGNIZER_FOLDER, REPORT_FILE, SECOND_FOLDER, Judges
from .losses import Losses, classifier_losses, recognizer_losses
from .options import JudgeTrainingOptions
from .song_classifier import SongClassifier, SongClassifierConfig

NetworkT = TypeVar("NetworkT", bound=Recognizer)
CHECKPOINTS = "checkpoints"  # temporary folder, removed when the judges are trained


def train_judges(
    data: str | Path,
    out: Path | str,
    options: JudgeTrainingOptions,
    *,
    second_data: str | Path | None = None,
    validation_data: str | Path | None = None,
    validate: Callable[..., dict[str, float]] | None = None,
    codec: Any = None,
    progress: bool = True,
) -> dict[str, float]:
    """Train and validate the networks, and write the folder that ``Judges.load`` reads.

    Args:
        data: pattern of the parquet files of the corpus to train on.
        out: folder to write; an interrupted run in it is resumed.
        options: options of the run.
        second_data: pattern of the files of other songs, on which a second recognizer of another
            kind is trained with another seed; None for none.
        validation_data: pattern of parquet files of other songs to validate the judges with.
        validate: ``validate_judges`` of the evaluation's protocol, needed for ``validation_data``.
        codec: ``XCodecModel`` that some of the songs are encoded and decoded with, which makes the
            judges robust to its artifacts; None for none.
        progress: show progress bars.
    Returns:
        The scores of ``validate``, empty without ``validation_data``.
    Raises:
        FileNotFoundError: if no file matches a pattern.
        ValueError: if ``out`` holds a run with other options or songs, or a song does not
            belong to the corpus.
        ImportError: if pyarrow is missing.
    """
    out = Path(out)
    if validation_data is not None and not count_rows(validation_data):
        raise FileNotFoundError(
            f"no file matches {validation_data}: render songs with `songgen-hf corpus songs`"
        )
    digest = source_digest(data, recorded=options.data_files)
    options = replace(options, data_files=digest or "")
    if second_data is not None:
        digest = source_digest(second_data, recorded=options.second_data_files)
        options = replace(options, second_data_files=digest or "")
    if codec is not None:
        options = replace(options, codec=weights_digest(codec))
    read = partial(
        read_judge_songs, codec=codec, coded_songs=options.coded_songs, progress=progress
    )
    if options.bf16:
        warn_of_slow_bfloat16("--fp32")
    songs = read(data)
    checkpoints = out / CHECKPOINTS
    recognizer = train_recognizer(songs, options, checkpoints, progress=progress)
    recognizer.save_pretrained(out / RECOGNIZER_FOLDER)
    classifier = train_classifier(songs, options, checkpoints, progress=progress)
    classifier.save_pretrained(out / CLASSIFIER_FOLDER)
    count = len(songs)
    if second_data is not None:
        songs = read(second_data)
        second = train_second_recognizer(songs, options, checkpoints, progress=progress)
        second.save_pretrained(out / SECOND_FOLDER)
    scores: dict[str, float] = {}
    if validation_data is not None and validate is not None:
        scores = validate(Judges.load(out), read_rows(validation_data), seed=options.seed)
    report = {"training_songs": count, "options": asdict(options), "true_songs": scores}
    write_files({out / REPORT_FILE: encode_json(report)})
    shutil.rmtree(checkpoints)
    return scores


def train_recognizer(
    songs: list[JudgeSong],
    options: JudgeTrainingOptions,
    directory: Path,
    *,
    config: PhonemeRecognizerConfig | None = None,
    progress: bool = True,
) -> PhonemeRecognizer:
    """Train a phoneme recognizer, or resume the run whose checkpoint is in ``directory``.

    Args:
        songs: training songs.
        options: options of the run.
        directory: folder of the checkpoint.
        config: sizes of the network; None for the default ones.
        progress: show a progress bar.
    Returns:
        The network in evaluation mode.
    Raises:
        ValueError: if the checkpoint belongs to a run with other options.
    """
    with seeded(options.seed):
        network = PhonemeRecognizer(config or PhonemeRecognizerConfig())
    return _train_recognizer(network, songs, options, directory / "phonemes.pt", progress)


def train_second_recognizer(
    songs: list[JudgeSong],
    options: JudgeTrainingOptions,
    directory: Path,
    *,
    config: SpectrogramRecognizerConfig | None = None,
    progress: bool = True,
) -> SpectrogramRecognizer:
    """Train the second recognizer, with the seed after that of the options.

    Arguments and errors are those of :func:`train_recognizer`.
    """
    options = replace(options, seed=options.seed + 1)
    with seeded(options.seed):
        network = SpectrogramRecognizer(config or SpectrogramRecognizerConfig())
    return _train_recognizer(network, songs, options, directory / "second.pt", progress)


def _train_recognizer(
    network: NetworkT,
    songs: list[JudgeSong],
    options: JudgeTrainingOptions,
    path: Path,
    progress: bool,
) -> NetworkT:
    losses = partial(recognizer_losses, network, songs, options)
    steps = options.recognizer_steps
    _train(network, losses, options, steps=steps, path=path, progress=progress)
    return network


def train_classifier(
    songs: list[JudgeSong],
    options: JudgeTrainingOptions,
    directory: Path,
    *,
    config: SongClassifierConfig | None = None,
    progress: bool = True,
) -> SongClassifier:
    """Train a song classifier; arguments and errors are those of :func:`train_recognizer`."""
    voices = tuple(sorted({song.voice_id for song in songs}))
    with seeded(options.seed):
        network = SongClassifier(config or SongClassifierConfig(voices=voices))
    losses = partial(classifier_losses, network, songs, options)
    steps, path = options.classifier_steps, directory / "songs.pt"
    _train(network, losses, options, steps=steps, path=path, progress=progress)
    return network


def _train(
    network: nn.Module,
    losses: Callable[[int], Losses],
    options: JudgeTrainingOptions,
    *,
    steps: int,
    path: Path,
    progress: bool,
) -> None:
    """Train a network in place, or resume the run whose checkpoint is ``path``."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.02
    )
    state = load_state(path, asdict(options), free=("save_every",))
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    averages: dict[str, float] = {}

    def train_step(step: int) -> Losses:
        peak = options.learning_rate
        rate = cosine_rate(step, peak=peak, steps=steps, warmup_steps=steps // 20)
        set_learning_rate(rate, optimizer)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            values = losses(step)
        optimizer_step(optimizer, values["loss"], max_norm=1.0)
        return values

    def show(step: int, metrics: Metrics) -> Metrics:
        for key, value in metrics.items():
            now = float(value.detach())
            averages[key] = 0.98 * averages.get(key, now) + 0.02 * now
        return averages

    def save(step: int, metrics: Metrics) -> None:
        weights = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        save_state(path, asdict(options), step, weights)

    network.train()
    run_steps(
        train_step,
        steps=steps,
        done=0 if state is None else state["step"],
        name=path.stem,
        actions=[Action(1, show), Action(options.save_every, save)],
        show_progress=progress,
    )
    network.eval()


__all__ = ["train_classifier", "train_judges", "train_recognizer", "train_second_recognizer"]
