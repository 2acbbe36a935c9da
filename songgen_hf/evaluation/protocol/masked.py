"""The evaluation of masked models beside an autoregressive one: make, judge, time, compare.

Every row has the same prompts, seeds and reference voices, and the same judges. The autoregressive
row is the headline of ``mini.py``: its songs come from the same cache. Wall-clock time is taken
apart from all that, from songs made one by one, the rows in turn.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...files import encode_json, write_files
from ..judges.loading import Judges
from ..metrics.bootstrap import Interval, bootstrap
from ..metrics.frechet_distance import Moments, frechet_distance
from .evaluation import chosen_prompts
from .growing_cache import growing_cache
from .masked_options import MaskedOptions, MaskedSetting
from .masked_singing import MaskedSinger
from .options import MiniOptions, Setting
from .prompts import Prompt
from .reference_songs import TrueSongs
from .sampling import Singer, weights_digest
from .scores import RowScores, score_row

logger = logging.getLogger(__name__)

FAD_DRAWS = 200


@dataclass(frozen=True)
class Timing:
    """What one song costs, made by itself.

    Args:
        passes: of the transformer, counted while it ran; the mean over the timed songs.
        seconds: from the request to the sound, the mean.
        songs: that were timed.
    """

    passes: float
    seconds: float
    songs: int


@dataclass(frozen=True)
class ComparedRow:
    """One row of the evaluation.

    Args:
        mode: "ar" or "masked".
        head: of a masked model, else None.
        setting: that its songs were made with.
        weights: digest of the model.
        scores: of its songs.
        timing: None if no song was timed.
    """

    mode: str
    head: str | None
    setting: Setting | MaskedSetting
    weights: str
    scores: RowScores
    timing: Timing | None = None

    @property
    def name(self) -> str:
        """What the row is, in words."""
        return f"{self.mode} {self.head or ''}".strip() + f", {self.setting}"


def evaluate_masked(
    options: MaskedOptions, *, tell: Callable[[str], None] = logger.info
) -> list[ComparedRow]:
    """Make, judge and time; the autoregressive row first.

    Args:
        options: of the evaluation.
        tell: is told what has been done, a line at a time.
    Raises:
        ValueError: if there are fewer prompts than asked for, two masked models of one head, or
            models, judges and corpus do not fit together.
        OSError: if something cannot be read or written.
    """
    prompts = chosen_prompts(_as_mini(options))
    judges = Judges.load(options.judges)
    truth = TrueSongs(options.songs, judges)
    common: dict[str, Any] = {
        "device": options.device,
        "dtype": options.dtype,
        "max_seconds": options.max_seconds,
        "batch_size": options.batch_size,
    }
    singer = Singer(options.checkpoint, options.cache, truth.voice, **common)
    makers: dict[str, MaskedSinger] = {}
    for checkpoint in options.masked:
        maker = MaskedSinger(checkpoint, options.cache, truth.voice, **common)
        if maker.head in makers:
            raise ValueError(
                f"{checkpoint} is the second masked model with a {maker.head} head, expected one "
                "of each; evaluate them one after the other"
            )
        if weights_digest(maker.pipe.codec) != weights_digest(singer.model.audio_encoder):
            raise ValueError(
                f"{checkpoint} has another codec than {options.checkpoint}: distances of songs "
                "compare within one codec; train the masked model from that song model"
            )
        makers[maker.head] = maker
    codec = singer.model.audio_encoder
    references = truth.moments_besides(codec, prompts)

    def judged(one: Singer, setting: Any) -> RowScores:
        songs = list(one.sing(prompts, options.seeds, setting))
        vocals = [song.vocal for song in songs if song.vocal is not None]
        return score_row(
            judges,
            codec,
            [song.prompt for song in songs],
            [song.mixture for song in songs],
            vocals if one.has_vocal_track else None,
            voice_of=truth.voice_embedding,
            references=references,
            voice=setting.voice,
        )

    rows: list[ComparedRow] = []

    def add(row: ComparedRow) -> None:
        rows.append(row)
        scores = ", ".join(f"{key} {value:.3f}" for key, value in row.scores.scores().items())
        tell(f"{row.name} ({len(row.scores.prompts)} songs): {scores}")

    sung = options.sung.with_own_guidance(singer.model.generation_config)
    add(ComparedRow("ar", None, sung, weights_digest(singer.model), judged(singer, sung)))
    for head, maker in makers.items():
        for setting in options.rows(maker.own_scheduler.config):
            scores = judged(maker, setting)
            add(ComparedRow("masked", head, setting, maker.weights, scores))
    if not options.timed_songs:
        return rows
    timed = []
    for row in rows:
        one = singer if row.head is None else makers[row.head]
        timing = time_songs(one, prompts[: options.timed_songs], options.seeds[0], row.setting)
        timed.append(replace(row, timing=timing))
        tell(f"{row.name}: {timing.passes:g} passes, {timing.seconds:.2f} s a song by itself")
    return timed


def time_songs(
    singer: Singer, prompts: Sequence[Prompt], seed: int, setting: Setting | MaskedSetting
) -> Timing:
    """Make songs one by one, keep none; one short song first to warm up.

    Args:
        singer: of the row.
        prompts: of the songs.
        seed: of the evaluation.
        setting: of the row.
    """
    masked = isinstance(singer, MaskedSinger)
    network = singer.model if masked else singer.model.decoder.model

    def make(prompt: Prompt) -> None:
        if isinstance(singer, MaskedSinger):
            assert isinstance(setting, MaskedSetting)
            singer.make([prompt], [seed], setting)
            return
        assert isinstance(setting, Setting)
        singer.pipeline(setting.trained)(
            [singer.request(prompt, seed, setting)],
            batch_size=1,
            max_seconds=singer.max_seconds,
            past_key_values=growing_cache(),
            **setting.generation,
        )

    longest, singer.max_seconds = singer.max_seconds, min(1.0, singer.max_seconds)
    try:
        make(prompts[0])
    finally:
        singer.max_seconds = longest
    seconds = []
    with counted_passes(network) as passes:
        for prompt in prompts:
            start = time.perf_counter()
            make(prompt)
            seconds.append(time.perf_counter() - start)
    return Timing(len(passes) / len(prompts), float(np.mean(seconds)), len(prompts))


@contextmanager
def counted_passes(network: Any) -> Iterator[list[None]]:
    """A list that grows by one entry with each call of a module within the block."""
    passes: list[None] = []
    hook = network.register_forward_hook(lambda *_: passes.append(None))
    try:
        yield passes
    finally:
        hook.remove()


def paired_difference(
    first: RowScores, second: RowScores, metric: str, *, seed: int, draws: int = 1000
) -> tuple[float, Interval]:
    """How far a metric of ``first`` is above that of ``second``, with its 95 % interval.

    Both rows have the same prompts, which are drawn together: what a prompt makes hard for both
    does not blur the difference.

    Args:
        first, second: of the same prompts and seeds, in one order.
        metric: a ratio of the rows, or "fad".
        seed: of the draws.
        draws: of the bootstrap; at most 200 for "fad".
    Raises:
        ValueError: if the rows have other prompts.
    """
    if first.prompts != second.prompts:
        raise ValueError("the rows have different prompts: compare rows of one evaluation")
    names = list(dict.fromkeys(first.prompts))
    places = {name: place for place, name in enumerate(names)}
    own = np.array([places[name] for name in first.prompts])
    if metric == "fad":
        grouped = [
            [
                Moments.pooled(row.moments[i] for i in np.flatnonzero(own == n))
                for n in places.values()
            ]
            for row in (first, second)
        ]

        def difference(drawn: np.ndarray) -> float:
            ours, theirs = (
                frechet_distance(Moments.pooled(row[i] for i in drawn), first.references)
                for row in grouped
            )
            return ours - theirs

        draws = min(draws, FAD_DRAWS)
    else:
        sums = np.stack(
            [
                [np.bincount(own, part, len(names)) for part in row.parts[metric]]
                for row in (first, second)
            ]
        )  # [2 rows, above and below, prompts]

        def difference(drawn: np.ndarray) -> float:
            (above, below), (other_above, other_below) = sums[:, :, drawn].sum(axis=2)
            return above / below - other_above / other_below

    whole = difference(np.arange(len(names)))
    return whole, bootstrap(difference, len(names), seed=seed, draws=draws)


def keep_best(options: MaskedOptions, rows: Sequence[ComparedRow]) -> list[Path]:
    """Write each masked model's settings with the lowest phoneme error rate into its scheduler.

    The number of passes is no part of a scheduler and stays the caller's choice.

    Returns:
        The files written.
    Raises:
        ValueError: if a masked model is no directory.
    """
    written = []
    for checkpoint in options.masked:
        path = Path(checkpoint) / "scheduler" / "scheduler_config.json"
        if not path.is_file():
            raise ValueError(
                f"got a best setting to keep for {checkpoint}, expected a directory with {path}; "
                "leave --keep-best out and give the setting to the pipeline"
            )
        sizes = Path(checkpoint) / "transformer" / "config.json"
        transformer = json.loads(sizes.read_text(encoding="utf-8"))
        own = [row for row in rows if row.head == transformer["head"]]
        best = min(own, key=lambda row: row.scores.scores()["per"])
        assert isinstance(best.setting, MaskedSetting)
        config = json.loads(path.read_text(encoding="utf-8"))
        write_files({path: encode_json(config | best.setting.scheduler)})
        written.append(path)
    return written


def _as_mini(options: MaskedOptions) -> MiniOptions:
    return MiniOptions(
        checkpoints=(options.checkpoint,),
        songs=options.songs,
        judges=options.judges,
        cache=options.cache,
        prompts_file=options.prompts_file,
        prompts=options.prompts,
    )


__all__ = [
    "ComparedRow",
    "Timing",
    "counted_passes",
    "evaluate_masked",
    "keep_best",
    "paired_difference",
    "time_songs",
]
