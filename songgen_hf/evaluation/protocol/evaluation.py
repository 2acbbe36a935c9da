"""The evaluation of a song model, as one protocol: sing, judge, compare.

For every checkpoint these rows are scored by the same judges:

- ``true``: the corpus' own songs of the prompts; what the judges make of perfect songs.
- ``codec``: the same songs through the codec and back; what a perfect model could reach.
- ``untrained``: the same model with random weights, under the headline's setting.
- ``sung``: the headline, with several seeds, and the other settings.

FAD compares mixtures with the mixtures of all held-out songs that no prompt was made of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..codec_round_trip import codec_round_trip
from ..judges.loading import Judges
from ..metrics.frechet_distance import Moments
from .options import MiniOptions, Setting
from .prompts import Prompt, read_prompts
from .reference_songs import TrueSongs
from .sampling import Singer, SungSong, weights_digest
from .scores import RowScores, score_row

logger = logging.getLogger(__name__)

SONGS_KEPT = 6  # of a row, for the page of spectrograms


@dataclass(frozen=True)
class EvaluatedRow:
    """One row of the evaluation.

    Args:
        kind: ``true``, ``codec``, ``untrained`` or ``sung``.
        setting: of what was sung; None for true songs.
        seeds: likewise.
        is_headline: whether it is the row that is quoted.
        songs: the first of what was sung, in the order of the scores; none but the headline's and
            the untrained model's.
        scores: of its songs.
    """

    kind: str
    setting: Setting | None
    seeds: tuple[int, ...]
    is_headline: bool
    songs: tuple[SungSong, ...]
    scores: RowScores


@dataclass(frozen=True)
class EvaluatedCheckpoint:
    """A model and its rows; ``name`` is its track pattern, ``weights`` a digest."""

    name: str
    weights: str
    has_vocal_track: bool
    rows: tuple[EvaluatedRow, ...]

    def row(self, kind: str) -> EvaluatedRow:
        """The row of that kind; of the sung ones the headline."""
        return next(row for row in self.rows if row.kind == kind and row.is_headline)


def evaluate_checkpoints(
    options: MiniOptions, *, tell: Callable[[str], None] = logger.info
) -> list[EvaluatedCheckpoint]:
    """Sing and judge.

    Args:
        options: of the evaluation.
        tell: is told what has been done, a line at a time.
    Raises:
        ValueError: if there are fewer prompts than asked for, two checkpoints of one track pattern,
            or a checkpoint, the judges or the corpus does not fit.
        OSError: if something cannot be read or written.
    """
    prompts = chosen_prompts(options)
    judges = Judges.load(options.judges)
    truth = TrueSongs(options.songs, judges)
    references: dict[str, Moments] = {}
    evaluated: list[EvaluatedCheckpoint] = []
    for checkpoint in options.checkpoints:
        singer = _singer(options, checkpoint, truth)
        name = singer.model.config.decoder.track_pattern
        if name in [one.name for one in evaluated]:
            raise ValueError(
                f"{checkpoint} is the second checkpoint of {name}, expected one of each track "
                "pattern; evaluate them one after the other"
            )
        codec = singer.model.audio_encoder
        codec_digest = weights_digest(codec)
        if codec_digest not in references:
            references[codec_digest] = truth.moments_besides(codec, prompts)
        headline = options.headline.with_own_guidance(singer.model.generation_config)
        own = replace(options, headline=headline)
        evaluation = _Evaluation(own, judges, truth, singer, references[codec_digest], tell)
        evaluated.append(evaluation.run(prompts))
    return evaluated


def compare_settings(
    options: MiniOptions, settings: Sequence[Setting], *, tell: Callable[[str], None] = logger.info
) -> list[EvaluatedRow]:
    """One checkpoint under several settings: what to sing with.

    Compare on prompts that are not those of the evaluation, or its figures flatter.

    Args:
        options: of the evaluation; one checkpoint, its ``prompts`` and ``row_seeds``.
        settings: each gives a row.
        tell: is told what has been done, a line at a time.
    Raises:
        ValueError: unless there is one checkpoint, and as :func:`evaluate_checkpoints`.
        OSError: if something cannot be read or written.
    """
    if len(options.checkpoints) != 1:
        raise ValueError(
            f"got {len(options.checkpoints)} checkpoints, expected one: compare the settings of "
            "each by itself"
        )
    prompts = chosen_prompts(options)
    judges = Judges.load(options.judges)
    truth = TrueSongs(options.songs, judges)
    singer = _singer(options, options.checkpoints[0], truth)
    references = truth.moments_besides(singer.model.audio_encoder, prompts)
    evaluation = _Evaluation(options, judges, truth, singer, references, tell)
    own = singer.model.generation_config
    return [
        evaluation.sung_row("sung", prompts, options.row_seeds, setting.with_own_guidance(own))
        for setting in settings
    ]


def _singer(options: MiniOptions, checkpoint: str, truth: TrueSongs) -> Singer:
    return Singer(
        checkpoint,
        options.cache,
        truth.voice,
        device=options.device,
        dtype=options.dtype,
        max_seconds=options.max_seconds,
        batch_size=options.batch_size,
    )


def chosen_prompts(options: MiniOptions) -> list[Prompt]:
    """The first prompts of the file; ValueError if it has fewer."""
    prompts = read_prompts(options.prompts_file)
    if len(prompts) < options.prompts:
        raise ValueError(
            f"got {options.prompts} prompts to sing, expected at most the {len(prompts)} that "
            "there are; make more with songgen-hf evaluate prompts"
        )
    return prompts[: options.prompts]


@dataclass(frozen=True)
class _Evaluation:
    """Of one checkpoint."""

    options: MiniOptions
    judges: Judges
    truth: TrueSongs
    singer: Singer
    references: Moments
    tell: Callable[[str], None]

    def run(self, prompts: Sequence[Prompt]) -> EvaluatedCheckpoint:
        options = self.options
        some = prompts[: options.row_prompts]
        untrained = replace(options.headline, trained=False)
        rows = [
            self.true_row(prompts),
            self.codec_row(prompts),
            self.sung_row("untrained", prompts, options.row_seeds, untrained, is_headline=True),
            self.sung_row("sung", prompts, options.seeds, options.headline, is_headline=True),
        ]
        rows += [
            self.sung_row("sung", some, options.row_seeds, setting)
            for setting in options.other_settings
        ]
        config = self.singer.model.config
        return EvaluatedCheckpoint(
            config.decoder.track_pattern,
            weights_digest(self.singer.model),
            self.singer.has_vocal_track,
            tuple(rows),
        )

    def true_row(self, prompts: Sequence[Prompt]) -> EvaluatedRow:
        mixtures = [self.truth.sound(prompt.id) for prompt in prompts]
        vocals = [self.truth.sound(prompt.id, "vocal") for prompt in prompts]
        return self.row("true", prompts, mixtures, vocals)

    def codec_row(self, prompts: Sequence[Prompt]) -> EvaluatedRow:
        """Vocals by themselves; mixtures as the model's tracks make them."""
        codec = self.singer.model.audio_encoder

        def decoded(column: str) -> list[np.ndarray]:
            return codec_round_trip(codec, [self.truth.sound(one.id, column) for one in prompts])

        vocals = decoded("vocal")
        if self.singer.has_vocal_track:
            pairs = zip(vocals, decoded("accompaniment"), strict=True)
            mixtures = [vocal + accompaniment for vocal, accompaniment in pairs]
        else:
            mixtures = decoded("mixture")
        return self.row("codec", prompts, mixtures, vocals)

    def sung_row(
        self,
        kind: str,
        prompts: Sequence[Prompt],
        seeds: tuple[int, ...],
        setting: Setting,
        *,
        is_headline: bool = False,
    ) -> EvaluatedRow:
        songs = tuple(self.singer.sing(prompts, seeds, setting))
        vocals = [song.vocal for song in songs if song.vocal is not None]
        return self.row(
            kind,
            [song.prompt for song in songs],
            [song.mixture for song in songs],
            vocals if self.singer.has_vocal_track else None,
            setting=setting,
            seeds=seeds,
            songs=songs[:SONGS_KEPT] if is_headline else (),
            is_headline=is_headline,
        )

    def row(
        self,
        kind: str,
        prompts: Sequence[Prompt],
        mixtures: Sequence[np.ndarray],
        vocals: Sequence[np.ndarray] | None,
        *,
        setting: Setting | None = None,
        seeds: tuple[int, ...] = (),
        songs: tuple[SungSong, ...] = (),
        is_headline: bool = True,
    ) -> EvaluatedRow:
        scores = score_row(
            self.judges,
            self.singer.model.audio_encoder,
            prompts,
            mixtures,
            vocals,
            voice_of=self.truth.voice_embedding,
            references=self.references,
            voice=setting is None or setting.voice,
        )
        row = EvaluatedRow(kind, setting, seeds, is_headline, songs, scores)
        self.tell(f"{self.singer.model.config.decoder.track_pattern}: {describe_row(row)}")
        return row


def describe_row(row: EvaluatedRow) -> str:
    """One line: what the row is, and its scores."""
    name = row.kind
    if row.setting is not None:
        name += f", {row.setting}"
    scores = ", ".join(f"{key} {value:.3f}" for key, value in row.scores.scores().items())
    return f"{name} ({len(row.scores.prompts)} songs): {scores}"


__all__ = [
    "EvaluatedCheckpoint",
    "EvaluatedRow",
    "chosen_prompts",
    "compare_settings",
    "describe_row",
    "evaluate_checkpoints",
]
