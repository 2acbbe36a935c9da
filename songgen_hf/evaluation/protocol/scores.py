"""Calls the metrics for the songs of one row of a report: scores with bootstrap intervals.

Every metric is stored per song, as a numerator and a denominator, so that the score of the row and
its interval come from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.listening.edit_distance import edits_by_phoneme
from ...data.listening.phonemes import merge_phonemes
from ..judges.loading import Judges
from ..judges.song_classifier import SongClassification
from ..metrics.bootstrap import Interval, bootstrap, grouped_ratio
from ..metrics.frechet_distance import Moments, frechet_distance, semantic_moments
from ..metrics.gender import gender_scores
from ..metrics.lead_instrument import lead_instrument_scores
from ..metrics.phoneme_error_rate import phoneme_edits
from ..metrics.tempo import tempo_scores
from .prompts import Prompt

MAX_FAD_DRAWS = 200
Statistic = Callable[[np.ndarray], float]
VoiceEmbeddings = Callable[[str], np.ndarray]
UnseenPhonemes = Callable[[str], np.ndarray]


class CachingJudges(Judges):
    """Judges that classify each waveform once, however many questions are asked about it.

    Args:
        judges: judges whose networks are used.
    """

    def __init__(self, judges: Judges) -> None:
        super().__init__(judges.recognizer, judges.classifier, judges.report, judges.second)
        # The waveform is kept with its result, since only then is its id unique.
        self._results: dict[int, tuple[np.ndarray, SongClassification]] = {}

    def _classify(self, waveform: np.ndarray) -> SongClassification:
        if id(waveform) not in self._results:
            self._results[id(waveform)] = (waveform, super()._classify(waveform))
        return self._results[id(waveform)][1]


@dataclass(frozen=True)
class RowScores:
    """Measurements of N songs.

    Args:
        prompts: [N], id of each song's prompt; the bootstrap draws the songs of a prompt together.
        parts: numerators and denominators, float64 [N] each, of every metric that is a ratio of
            sums.
        moments: moments of the semantic features of each mixture.
        references: moments of the reference songs that ``fad`` compares with.
        phonemes: phonemes that the recognizer found in each song.
    """

    prompts: tuple[str, ...]
    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    moments: tuple[Moments, ...]
    references: Moments
    phonemes: tuple[tuple[str, ...], ...]

    def scores(self) -> dict[str, float]:
        """Compute every metric over all songs."""
        pooled = {
            name: float(above.sum() / below.sum()) for name, (above, below) in self.parts.items()
        }
        return pooled | {"fad": frechet_distance(Moments.pooled(self.moments), self.references)}

    def intervals(self, *, seed: int, draws: int = 1000) -> dict[str, Interval]:
        """Compute the 95 % interval of every metric, of ``fad`` with at most 200 draws."""
        count = len(set(self.prompts))
        return {
            metric: bootstrap(
                self.statistic(metric), count, seed=seed, draws=limited_draws(metric, draws)
            )
            for metric in (*self.parts, "fad")
        }

    def statistic(self, metric: str) -> Statistic:
        """Return the function from indices of drawn prompts to the metric of their songs."""
        if metric != "fad":
            above, below = self.parts[metric]
            return grouped_ratio(above, below, self.prompts)[0]
        grouped = [
            Moments.pooled(
                moments
                for moments, own in zip(self.moments, self.prompts, strict=True)
                if own == prompt
            )
            for prompt in dict.fromkeys(self.prompts)
        ]
        return lambda drawn: frechet_distance(
            Moments.pooled(grouped[index] for index in drawn), self.references
        )


def limited_draws(metric: str, draws: int) -> int:
    """Return the number of bootstrap draws of a metric; ``fad`` is slow and has at most 200."""
    return min(draws, MAX_FAD_DRAWS) if metric == "fad" else draws


def paired_difference(
    first: RowScores, second: RowScores, metric: str, *, seed: int, draws: int = 1000
) -> tuple[float, Interval]:
    """Return the difference of a metric between two rows, with its 95 % interval.

    Both rows have the same prompts, which are drawn together, so that prompts that are difficult
    for both do not widen the interval.

    Args:
        first, second: rows with the same prompts and seeds in the same order.
        metric: a ratio of the rows, or "fad".
        seed: seed of the draws.
        draws: number of draws; at most 200 for "fad".
    Returns:
        ``first`` minus ``second``, and the interval.
    Raises:
        ValueError: if the rows have different prompts.
    """
    if first.prompts != second.prompts:
        raise ValueError("the rows have different prompts: compare rows of one evaluation")
    ours, theirs = (row.statistic(metric) for row in (first, second))

    def difference(drawn: np.ndarray) -> float:
        return ours(drawn) - theirs(drawn)

    count = len(set(first.prompts))
    draws = limited_draws(metric, draws)
    return difference(np.arange(count)), bootstrap(difference, count, seed=seed, draws=draws)


def score_songs(
    judges: Judges,
    codec: Any,
    prompts: Sequence[Prompt],
    mixtures: Sequence[np.ndarray],
    vocals: Sequence[np.ndarray] | None,
    *,
    voice_embedding: VoiceEmbeddings,
    references: Moments,
    voice: bool,
    unseen_phonemes: UnseenPhonemes | None = None,
) -> RowScores:
    """Score the songs of one row.

    Args:
        judges: judges of the songs.
        codec: codec whose semantic features ``fad`` compares.
        prompts: what was requested, one per song.
        mixtures: float32 [S] at 16 kHz.
        vocals: vocal tracks; None for a model that generates mixtures only.
        voice_embedding: returns the voice embedding [E] of a corpus song's vocal by its id.
        references: moments of the reference songs.
        voice: whether the songs are compared with their reference voices.
        unseen_phonemes: returns which merged phonemes of a corpus song belong to words that no
            training song has, bool [N], by its id.
    Returns:
        Ratios ``per`` (of the vocals, or of the mixtures where there are none), with
        ``unseen_phonemes`` also ``per_seen`` and ``per_unseen`` (its share at words that occur in
        training songs, and at the others), with a second recognizer ``per_second`` (as ``per``,
        recognized by it), ``per_mixture``,
        ``gender``, ``instrument``, ``tempo``, ``tempo_any_octave``, ``seconds``; with two tracks
        ``swapped`` (songs whose lyrics are recognized better in the accompaniment than in the
        vocal); with ``voice`` ``voice_match`` (against any other voice),
        ``voice_match_same_gender`` and ``voice_similarity``.
    """
    judges = CachingJudges(judges)
    mixture_phonemes = judges.phonemes(mixtures)
    phonemes = mixture_phonemes if vocals is None else judges.phonemes(vocals)
    lyrics, tempi = [prompt.phonemes for prompt in prompts], [prompt.tempo for prompt in prompts]
    means = {
        "gender": gender_scores(judges, mixtures, [prompt.gender for prompt in prompts]),
        "instrument": lead_instrument_scores(
            judges, mixtures, [prompt.lead_family for prompt in prompts]
        ),
        "tempo": tempo_scores(mixtures, tempi),
        "tempo_any_octave": tempo_scores(mixtures, tempi, any_octave=True),
        "seconds": np.array([len(mixture) / codec.config.sample_rate for mixture in mixtures]),
    }
    if vocals is not None:
        accompaniments = [rest_of_mixture(*pair) for pair in zip(mixtures, vocals, strict=True)]
        in_vocal, _ = phoneme_edits(lyrics, phonemes)
        in_accompaniment, _ = phoneme_edits(lyrics, judges.phonemes(accompaniments))
        means["swapped"] = (in_accompaniment < in_vocal).astype(float)
    if voice:
        embeddings = judges.voice_embedding(mixtures if vocals is None else vocals)
        means |= _voice_scores(embeddings, prompts, voice_embedding)
    parts = {
        "per": _as_floats(*phoneme_edits(lyrics, phonemes)),
        "per_mixture": _as_floats(*phoneme_edits(lyrics, mixture_phonemes)),
        **{name: (values, np.ones(len(values))) for name, values in means.items()},
    }
    second = judges.second_phonemes(mixtures if vocals is None else vocals)
    if second is not None:
        parts["per_second"] = _as_floats(*phoneme_edits(lyrics, second))
    if unseen_phonemes is not None:
        masks = [unseen_phonemes(prompt.id) for prompt in prompts]
        parts |= _parts_of_words(lyrics, phonemes, masks)
    return RowScores(
        tuple(prompt.id for prompt in prompts),
        parts,
        tuple(semantic_moments(codec, mixtures)),
        references,
        tuple(tuple(song) for song in phonemes),
    )


def _parts_of_words(
    lyrics: Sequence[Sequence[str]],
    recognized: Sequence[Sequence[str]],
    unseen: Sequence[np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Edits and lengths of the seen and of the unseen words of each song, where there are any."""
    edits = [
        edits_by_phoneme(merge_phonemes(reference), merge_phonemes(hypothesis))
        for reference, hypothesis in zip(lyrics, recognized, strict=True)
    ]
    parts = {}
    for name, masks in (("per_seen", [~mask for mask in unseen]), ("per_unseen", unseen)):
        lengths = np.array([mask.sum() for mask in masks])
        if lengths.sum():
            above = np.array([e[mask].sum() for e, mask in zip(edits, masks, strict=True)])
            parts[name] = _as_floats(above, lengths)
    return parts


def rest_of_mixture(mixture: np.ndarray, vocal: np.ndarray) -> np.ndarray:
    """The accompaniment [S'] of a mixture [S], which is the sum of both tracks."""
    length = min(len(mixture), len(vocal))
    return mixture[:length] - vocal[:length]


def _voice_scores(
    embeddings: np.ndarray, prompts: Sequence[Prompt], voice_embedding: VoiceEmbeddings
) -> dict[str, np.ndarray]:
    """Compare the voice of each song with its reference voice and with two other voices."""
    own, other, same_gender = (
        (embeddings * np.stack([voice_embedding(getattr(p, song)) for p in prompts])).sum(axis=1)
        for song in ("reference_song_id", "other_song_id", "rival_song_id")
    )
    return {
        "voice_match": (own > other).astype(float),
        "voice_match_same_gender": (own > same_gender).astype(float),
        "voice_similarity": own,
    }


def _as_floats(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return above.astype(np.float64), below.astype(np.float64)


__all__ = ["CachingJudges", "RowScores", "paired_difference", "rest_of_mixture", "score_songs"]
