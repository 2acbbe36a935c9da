"""Adapts a song model to a folder of recordings: preparation, codes, and a LoRA adapter.

Every part goes on where it was stopped, so the same call finishes what a crash interrupted,
prepares recordings that were added, and trains further for a larger number of steps.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from transformers import TrainerCallback

from ...checkpoints.loading import read_model_type, resolve_checkpoint
from ...data.preparation.codes import DESCRIPTION_FILE, prepare_codes, songs_digest
from ...data.preparation.options import CodesOptions, SongsOptions
from ...data.preparation.songs import DATA_FOLDER, TABLE_FILE, PreparedSongs, prepare_songs
from ...data.shards import datasets_progress_bars
from ...modeling.checkpoint_files import reading
from ...modeling.configuration_songgen import SongGenConfig
from ...optional import require
from ..language_model.lora import train_lora
from ..language_model.options import LORA_OPTIONS
from ..language_model.song_trainer import last_checkpoint
from ..option_parsing import make_options
from .options import AdaptOptions

SONGS_FOLDER, CODES_FOLDER, RUN_FOLDER = "songs", "codes", "run"


class RecordingState(NamedTuple):
    """Where a recording stands: its clips, how many are trained on, and why the others are not."""

    recording_id: str
    clips: int
    kept: int
    reason: str


class NothingKept(ValueError):
    """Raised if no clip of the recordings can be trained on; ``states`` says why."""

    def __init__(self, states: list[RecordingState], message: str):
        super().__init__(message)
        self.states = states


class Adapted(NamedTuple):
    """The result: steps that were trained, the drift from the base, the recordings, the samples."""

    steps: int
    drift: float | None
    stopped_by_drift: bool
    found: PreparedSongs
    samples: Path


class AdaptProgress(NamedTuple):
    """How far an adaptation has come.

    ``stage`` is that of the preparation, such as "2/6 separate", "codes" or "train"; ``done`` and
    ``total`` count its recordings or steps. The loss and the drift are those that were logged last.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    drift: float | None = None


def adapt(
    options: AdaptOptions,
    confirm: Callable[[PreparedSongs, list[RecordingState]], bool] = lambda *_: True,
    *,
    progress: bool = True,
    watch: Callable[[AdaptProgress], bool] | None = None,
) -> Adapted | None:
    """Adapt a model to recordings.

    Args:
        options: recordings, model and training.
        confirm: decides, from what was prepared, whether to train.
        progress: whether to show progress.
        watch: called with the progress instead of showing it. If it returns True, the adaptation
            stops: training with a checkpoint and the adapter as it is, and the same call goes on.
    Returns:
        The result; None if ``confirm`` said no, or ``watch`` stopped before the training.
    Raises:
        NothingKept: if no clip is kept.
        ValueError: if an option does not fit, or is not that of the adapter to train further; or if
            the model is not autoregressive.
        OSError: if a file cannot be read or written.
        ImportError: if a package is missing.
    """
    bars = progress and watch is None
    model = resolve_checkpoint(options.model)
    _check_model(options, model)
    songs = SongsOptions(
        source=options.source,
        output=options.out / SONGS_FOLDER,
        config=options.config,
        changes=options.changes,
        retry=True,
        seed=options.seed,
        workers=options.workers,
    )

    def told(stage: str, done: int, total: int) -> None:
        if watch is not None and watch(AdaptProgress(stage, done, total)):
            raise _Stopped

    try:
        found = prepare_songs(songs, progress=progress if watch is None else told)
    except _Stopped:
        return None
    assert found is not None  # without ``until`` all stages run
    states = recording_states(songs.output)
    if not found.kept:
        wrong = next(iter(found.reasons), "no singing and no sound")
        raise NothingKept(
            states,
            f"none of the {found.clips} clips of {options.source} can be used (mostly: {wrong}); "
            f"see {songs.output / 'report.html'}, and change bounds with --set filter.NAME=VALUE",
        )
    if not confirm(found, states):
        return None
    codes = _codes_folder(options.out, songs.output)
    if watch is not None and watch(AdaptProgress("codes", 0, found.kept)):
        return None
    prepare_codes(
        CodesOptions(
            source=str(songs.output / DATA_FOLDER),
            output=codes,
            model=model,
            workers=options.workers,
        ),
        progress=bars,
    )
    _remove_other_codes(options.out, codes)
    with datasets_progress_bars(bars, extra="train"):
        return _train(options, model, codes, found, watch, bars)


def recording_states(folder: Path) -> list[RecordingState]:
    """Where every recording of a preparation stands, in order.

    Args:
        folder: output of ``songgen-hf prepare songs``.
    """
    parquet = require("pyarrow.parquet", "prepare")
    table = parquet.read_table(folder / TABLE_FILE, columns=["recording_id", "kept", "reasons"])
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["recording_id"], []).append(row)
    return [
        RecordingState(
            name,
            len(clips),
            sum(clip["kept"] for clip in clips),
            next((clip["reasons"][0] for clip in clips if clip["reasons"]), ""),
        )
        for name, clips in rows.items()
    ]


def _codes_folder(out: Path, songs: Path) -> Path:
    """A folder of codes for the clips that are kept now; other clips need other codes."""
    return out / f"{CODES_FOLDER}-{songs_digest(str(songs / DATA_FOLDER))}"


def _remove_other_codes(out: Path, codes: Path) -> None:
    """Remove the codes of clips that were kept before."""
    for path in out.glob(f"{CODES_FOLDER}-*/"):
        if path != codes and (path / DESCRIPTION_FILE).is_file():
            shutil.rmtree(path)


class _Stopped(Exception):
    """Raised to end the preparation."""


class _Watch(TrainerCallback):
    """Tells of every step, and stops the training with a checkpoint if it is told to."""

    def __init__(self, watch: Callable[[AdaptProgress], bool]):
        self.watch = watch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the step."""
        logged = {key: value for entry in state.log_history for key, value in entry.items()}
        now = AdaptProgress(
            "train", state.global_step, state.max_steps, logged.get("loss"),
            logged.get("eval_drift"),
        )  # fmt: skip
        if self.watch(now):
            control.should_save = control.should_training_stop = True


def _check_model(options: AdaptOptions, model: str) -> None:
    """Refuse a model without adapters, and an adapter of another model or of another rank."""
    if (kind := read_model_type(model)) != SongGenConfig.model_type:
        raise ValueError(
            f"{options.model} is of type {kind!r}: adapters are for autoregressive song models; "
            "give one of these with --model"
        )
    checkpoint = last_checkpoint(options.out / RUN_FOLDER)
    path = None if checkpoint is None else Path(checkpoint) / "adapter_config.json"
    if path is None or not path.is_file():
        return
    with reading(path):
        config = json.loads(path.read_text(encoding="utf-8"))
    rank, base = config.get("r"), config.get("base_model_name_or_path") or model
    if rank != options.rank:
        raise ValueError(
            f"the adapter in {options.out} has the rank {rank}, --rank is {options.rank}: give "
            "that rank, or another --out"
        )
    if PurePath(base).name != PurePath(model).name:  # the folder of the model may have been moved
        raise ValueError(
            f"the adapter in {options.out} was trained for {base}, --model is {model}: give that "
            "model, or another --out"
        )


def _train(
    options: AdaptOptions,
    model: str,
    codes: Path,
    found: PreparedSongs,
    watch: Callable[[AdaptProgress], bool] | None,
    bars: bool,
) -> Adapted:
    run = options.out / RUN_FOLDER
    values = {
        "model": model,
        "dataset": str(codes),
        "output_dir": str(run),
        "max_steps": options.steps,
        "per_device_train_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": min(20, options.steps // 4),
        "lora_rank": options.rank,
        "max_drift": options.max_drift,
        "eval_split": "train",
        "max_eval_songs": 8,
        "eval_strategy": "steps",
        "eval_steps": options.every,
        "eval_on_start": last_checkpoint(run) is None,
        "sample_songs": options.samples,
        "sample_seconds": options.sample_seconds,
        "save_strategy": "steps",
        "save_steps": options.every,
        "seed": options.seed,
        "disable_tqdm": not bars,
        "resume_from_checkpoint": "auto",
        # More steps, other clips: the run is meant to go on.
        "allow_changed_options": True,
    }
    callbacks = [] if watch is None else [_Watch(watch)]
    trainer = train_lora(*make_options(LORA_OPTIONS, values), callbacks=callbacks)
    drifts = [entry["eval_drift"] for entry in trainer.state.log_history if "eval_drift" in entry]
    trainer.model.save_pretrained(options.out)
    trainer.processor.save_pretrained(options.out)
    drift = drifts[-1] if drifts else None
    return Adapted(
        trainer.state.global_step,
        drift,
        drift is not None and drift > options.max_drift,
        found,
        run / "samples",
    )


__all__ = [
    "AdaptOptions",
    "AdaptProgress",
    "Adapted",
    "NothingKept",
    "RecordingState",
    "adapt",
    "recording_states",
]
