"""Runs an evaluation of song models: the rows of its report, their songs and their comparison.

All rows of an evaluation have the same judges. For every autoregressive model these are:

- ``true``: the corpus songs of the prompts, the scores of the judges for perfect songs.
- ``codec``: the same songs encoded and decoded, the best that a model of the codes can reach.
- ``untrained``: the same model with random weights, with the setting of the headline.
- ``sung``: the headline with several seeds, and other settings.

Masked models are compared with one autoregressive model on the same prompts, seeds and reference
voices. Wall-clock time is measured separately, with songs generated one by one.

The Frechet distance of codec features compares mixtures with the mixtures of all held-out songs
that belong to no prompt.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...checkpoints.loading import resolve_checkpoint
from ...files import encode_json, write_files
from ..codec_round_trip import codec_round_trip
from ..judges.loading import Judges
from ..metrics.frechet_distance import Moments
from .options import (
    AutoregressiveSetting,
    EvaluationOptions,
    MaskedOptions,
    MaskedSetting,
    SamplingSetting,
    SettingsOptions,
    SongModelOptions,
)
from .prompts import Prompt, read_prompts
from .reference_songs import ReferenceSongs
from .sampling import AutoregressiveSampler, GeneratedSong, MaskedSampler, SongSampler
from .scores import RowScores, score_songs
from .timing import Timing, time_songs

logger = logging.getLogger(__name__)

KEPT_SONGS = 6  # of a headline, for the page of spectrograms
Log = Callable[[str], None]
Sampler = TypeVar("Sampler", bound=SongSampler)


@dataclass(frozen=True)
class EvaluatedModel:
    """A model of the evaluation.

    Args:
        checkpoint: folder or Hub id.
        mode: "autoregressive" or "masked".
        name: track pattern of an autoregressive model, head of a masked one.
        weights: digest of the weights.
        has_vocal_track: whether vocal and accompaniment are separate tracks.
    """

    checkpoint: str
    mode: str
    name: str
    weights: str
    has_vocal_track: bool = True

    @classmethod
    def of(cls, sampler: SongSampler) -> EvaluatedModel:
        """Describe the model of a sampler."""
        names = ("checkpoint", "mode", "name", "has_vocal_track")
        return cls(weights=sampler.weights(), **{name: getattr(sampler, name) for name in names})


@dataclass(frozen=True)
class EvaluatedRow:
    """One row of the evaluation.

    Args:
        model: model that generated the songs, or that true songs are compared with.
        kind: ``true``, ``codec``, ``untrained`` or ``sung``.
        scores: scores of its songs.
        setting: setting that the songs were generated with; None for true songs.
        seeds: seeds that the songs were generated with.
        is_headline: whether the row belongs to the headline of the model.
        songs: first songs of a headline, in the order of the scores.
        timing: time of single songs, if it was measured.
    """

    model: EvaluatedModel
    kind: str
    scores: RowScores
    setting: SamplingSetting | None = None
    seeds: tuple[int, ...] = ()
    is_headline: bool = False
    songs: tuple[GeneratedSong, ...] = ()
    timing: Timing | None = None

    def __str__(self) -> str:
        name = f"masked {self.model.name}" if self.model.mode == "masked" else self.model.name
        return f"{name}: {self.kind}" + ("" if self.setting is None else f", {self.setting}")


def evaluate_checkpoints(
    options: SongModelOptions, *, log: Log = logger.info
) -> list[EvaluatedRow]:
    """Evaluate autoregressive models.

    Args:
        options: options of the evaluation.
        log: called with each progress line.
    Raises:
        ValueError: if there are fewer prompts than requested, two checkpoints of one track pattern,
            or a checkpoint, the judges or the corpus does not fit.
        OSError: if a file cannot be read or written.
    """
    evaluation = Evaluation(options, log)
    prompts, seeds = evaluation.prompts, options.row_seeds
    rows: list[EvaluatedRow] = []
    for checkpoint in options.checkpoints:
        sampler = evaluation.sampler(AutoregressiveSampler, checkpoint)
        if sampler.name in {row.model.name for row in rows}:
            raise ValueError(
                f"{checkpoint} is the second checkpoint of {sampler.name}, expected one of each "
                "track pattern; evaluate them one after the other"
            )
        headline = sampler.resolve(options.headline)
        untrained = replace(headline, trained=False)
        rows += [
            evaluation.corpus_row(sampler, "true"),
            evaluation.corpus_row(sampler, "codec"),
            evaluation.row(sampler, untrained, prompts, seeds, kind="untrained", is_headline=True),
            evaluation.row(sampler, headline, prompts, options.seeds, is_headline=True),
        ]
        rows += [
            evaluation.row(sampler, setting, prompts[: options.row_prompts], seeds)
            for setting in replace(options, headline=headline).other_settings
        ]
    return rows


def compare_settings(options: SettingsOptions, *, log: Log = logger.info) -> list[EvaluatedRow]:
    """Evaluate one autoregressive model with several settings, each of which gives a row.

    The prompts should not be those of the final evaluation, whose scores would become too good.
    Arguments and errors are those of :func:`evaluate_checkpoints`.
    """
    evaluation = Evaluation(options, log)
    sampler = evaluation.sampler(AutoregressiveSampler, options.checkpoint)
    return [
        evaluation.row(sampler, setting, evaluation.prompts, options.seeds)
        for setting in options.settings
    ]


def evaluate_masked(options: MaskedOptions, *, log: Log = logger.info) -> list[EvaluatedRow]:
    """Evaluate masked models; the first row is that of the autoregressive model.

    Args:
        options: options of the evaluation.
        log: called with each progress line.
    Raises:
        ValueError: if there are fewer prompts than requested, two masked models of one head, or
            models, judges and corpus do not fit together.
        OSError: if a file cannot be read or written.
    """
    evaluation = Evaluation(options, log)
    first = evaluation.sampler(AutoregressiveSampler, options.checkpoint)
    masked: dict[str, MaskedSampler] = {}
    for checkpoint in options.masked:
        sampler = evaluation.sampler(MaskedSampler, checkpoint)
        if sampler.name in masked:
            raise ValueError(
                f"{checkpoint} is the second masked model with a {sampler.name} head, expected one "
                "of each; evaluate them one after the other"
            )
        if sampler.codec_weights != first.codec_weights:
            raise ValueError(
                f"{checkpoint} has another codec than {options.checkpoint}: distances of songs "
                "compare within one codec; train the masked model from that song model"
            )
        masked[sampler.name] = sampler
    settings: list[tuple[SongSampler, SamplingSetting]] = [(first, options.headline)]
    for sampler in masked.values():
        settings += [(sampler, setting) for setting in options.rows(sampler.scheduler.config)]
    prompts, seeds = evaluation.prompts, options.seeds
    rows = [evaluation.row(*one, prompts, seeds) for one in settings]
    if not options.timed_songs:
        return rows
    timed = []
    for (model, setting), row in zip(settings, rows, strict=True):
        setting = model.resolve(setting)
        timing = time_songs(model, prompts[: options.timed_songs], seeds[0], setting)
        timed.append(replace(row, timing=timing))
        log(f"{row}: {timing.forward_passes:g} passes, {timing.seconds:.2f} s per song")
    return timed


class Evaluation:
    """The prompts, judges and reference songs of an evaluation, and the scoring of rows.

    Args:
        options: options of the evaluation.
        log: called with the scores of each row.
    Raises:
        ValueError: if there are fewer prompts than requested, or the judges or the corpus does not
            fit.
        OSError: if a file cannot be read.
    """

    def __init__(self, options: EvaluationOptions, log: Log) -> None:
        self.options, self.log = options, log
        self.prompts = first_prompts(options)
        self.judges = Judges.load(options.judges)
        self.references = ReferenceSongs(options.songs, self.judges)
        self._moments: dict[str, Moments] = {}

    def sampler(self, kind: type[Sampler], checkpoint: str) -> Sampler:
        """Load a model as a sampler of this evaluation."""
        options = self.options
        return kind(
            checkpoint,
            options.cache or Path(tempfile.gettempdir()) / "songgen-hf-evaluation",
            self.references.reference_voice,
            device=options.device,
            dtype=options.dtype,
            max_seconds=options.max_seconds,
            batch_size=options.batch_size,
        )

    def row(
        self,
        sampler: SongSampler,
        setting: SamplingSetting,
        prompts: Sequence[Prompt],
        seeds: tuple[int, ...],
        *,
        kind: str = "sung",
        is_headline: bool = False,
    ) -> EvaluatedRow:
        """Generate songs and score them.

        Args:
            sampler: model that generates the songs.
            setting: setting of all songs.
            prompts: prompts of the songs.
            seeds: seeds that each prompt is sampled with.
            kind: kind of the row.
            is_headline: whether the row belongs to the headline of the model.
        """
        setting = sampler.resolve(setting)
        songs = tuple(sampler.sample(prompts, seeds, setting))
        vocals = [song.vocal for song in songs if song.vocal is not None]
        scores = self.scores(
            sampler,
            [song.prompt for song in songs],
            [song.mixture for song in songs],
            vocals if sampler.has_vocal_track else None,
            voice=setting.voice,
        )
        kept = songs[:KEPT_SONGS] if is_headline else ()
        model = EvaluatedModel.of(sampler)
        return self._logged(EvaluatedRow(model, kind, scores, setting, seeds, is_headline, kept))

    def corpus_row(self, sampler: SongSampler, kind: str) -> EvaluatedRow:
        """Score the corpus songs of the prompts.

        Args:
            sampler: model whose rows this row belongs to.
            kind: ``true`` for the songs themselves, ``codec`` for the songs encoded and decoded by
                the model's codec, the mixtures as the sum of tracks if the model generates tracks.
        """

        def waveforms(column: str) -> list[np.ndarray]:
            originals = [self.references.waveform(prompt.id, column) for prompt in self.prompts]
            return originals if kind == "true" else codec_round_trip(sampler.codec, originals)

        vocals = waveforms("vocal")
        if kind == "codec" and sampler.has_vocal_track:
            pairs = zip(vocals, waveforms("accompaniment"), strict=True)
            mixtures = [vocal + accompaniment for vocal, accompaniment in pairs]
        else:
            mixtures = waveforms("mixture")
        scores = self.scores(sampler, self.prompts, mixtures, vocals, voice=True)
        return self._logged(
            EvaluatedRow(EvaluatedModel.of(sampler), kind, scores, is_headline=True)
        )

    def scores(
        self,
        sampler: SongSampler,
        prompts: Sequence[Prompt],
        mixtures: Sequence[np.ndarray],
        vocals: Sequence[np.ndarray] | None,
        *,
        voice: bool,
    ) -> RowScores:
        """Score songs, see :func:`~songgen_hf.evaluation.protocol.scores.score_songs`."""
        codec = sampler.codec_weights
        if codec not in self._moments:
            self._moments[codec] = self.references.moments_excluding(sampler.codec, self.prompts)
        return score_songs(
            self.judges,
            sampler.codec,
            prompts,
            mixtures,
            vocals,
            voice_embedding=self.references.voice_embedding,
            references=self._moments[codec],
            voice=voice,
            unseen_phonemes=self.references.unseen_phonemes,
        )

    def _logged(self, row: EvaluatedRow) -> EvaluatedRow:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in row.scores.scores().items())
        self.log(f"{row} ({len(row.scores.prompts)} songs): {scores}")
        return row


def first_prompts(options: EvaluationOptions) -> list[Prompt]:
    """Return the requested number of prompts of the file.

    Raises:
        ValueError: if it has fewer.
    """
    prompts = read_prompts(options.prompts_file)
    if len(prompts) < options.prompts:
        raise ValueError(
            f"got {options.prompts} prompts to evaluate, expected at most the {len(prompts)} of "
            "the file; make more with songgen-hf evaluate prompts"
        )
    return prompts[: options.prompts]


def settings_file(checkpoint: str, mode: str) -> Path:
    """Return the file of a checkpoint that holds its sampling settings.

    Raises:
        ValueError: if the checkpoint is not a directory with that file.
    """
    name = "scheduler/scheduler_config.json" if mode == "masked" else "generation_config.json"
    path = Path(resolve_checkpoint(checkpoint)) / name
    if not path.is_file():
        raise ValueError(
            f"got --keep-best for {checkpoint}, expected a directory with {name}; leave the flag "
            "out and pass the setting when you generate"
        )
    return path


def keep_setting(checkpoint: str, setting: SamplingSetting) -> Path:
    """Write a setting into a checkpoint, as the default of its sampling.

    The number of inference steps of a masked model is not part of its scheduler and not written.

    Returns:
        The file written.
    Raises:
        ValueError: if the checkpoint is not a directory.
    """
    if isinstance(setting, MaskedSetting):
        path = settings_file(checkpoint, "masked")
        config = json.loads(path.read_text(encoding="utf-8"))
        write_files({path: encode_json(config | setting.scheduler)})
        return path
    from transformers import GenerationConfig

    assert isinstance(setting, AutoregressiveSetting)
    path = settings_file(checkpoint, "autoregressive")
    defaults: Any = GenerationConfig.from_pretrained(path.parent)
    defaults.update(**setting.generation)
    defaults.save_pretrained(path.parent)
    return path


def best_row(rows: Sequence[EvaluatedRow]) -> EvaluatedRow:
    """Return the row with the lowest phoneme error rate."""
    return min(rows, key=lambda row: row.scores.scores()["per"])


__all__ = [
    "EvaluatedModel",
    "EvaluatedRow",
    "Evaluation",
    "best_row",
    "compare_settings",
    "evaluate_checkpoints",
    "evaluate_masked",
    "first_prompts",
    "keep_setting",
    "settings_file",
]
