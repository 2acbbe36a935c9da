"""Scores of one row of the evaluation: songs that were all sung under one setting.

Every metric is kept song by song, as a numerator and a denominator, so that the row's score and its
bootstrap interval come from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..judges.loading import Judges
from ..judges.phonemes import merge_phonemes
from ..metrics.bootstrap import Interval, bootstrap, ratio_interval
from ..metrics.frechet_distance import Moments, frechet_distance, semantic_moments
from ..metrics.gender import gender_scores
from ..metrics.lead_instrument import lead_instrument_scores
from ..metrics.phoneme_error_rate import phoneme_edits
from ..metrics.tempo import tempo_scores
from .prompts import Prompt

FAD_DRAWS = 200
VoiceOf = Callable[[str], np.ndarray]


class SingleHearing(Judges):
    """Judges that hear each waveform once, whatever else they are asked about it.

    Args:
        judges: whose networks answer.
    """

    def __init__(self, judges: Judges):
        super().__init__(judges.recognizer, judges.classifier, judges.report)
        # The waveform is kept beside its answer: only then is its id its own.
        self._heard: dict[int, tuple[np.ndarray, Any]] = {}

    def _classify(self, waveform: np.ndarray) -> Any:
        if id(waveform) not in self._heard:
            self._heard[id(waveform)] = (waveform, super()._classify(waveform))
        return self._heard[id(waveform)][1]


@dataclass(frozen=True)
class RowScores:
    """What was measured of N songs.

    Args:
        prompts: [N], prompt of each song; songs of one prompt are drawn together.
        parts: numerators and denominators, [N] each, of every metric that is a ratio of sums.
        moments: of the semantic features of each mixture.
        references: moments of the true songs that ``fad`` compares with.
        heard: phonemes that the recognizer heard in each song.
    """

    prompts: tuple[str, ...]
    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    moments: tuple[Moments, ...]
    references: Moments
    heard: tuple[tuple[str, ...], ...]

    def scores(self) -> dict[str, float]:
        """Every metric of the row, pooled over its songs."""
        pooled = {
            name: float(above.sum() / below.sum()) for name, (above, below) in self.parts.items()
        }
        return pooled | {"fad": frechet_distance(Moments.pooled(self.moments), self.references)}

    def intervals(self, *, seed: int, draws: int = 1000) -> dict[str, Interval]:
        """95 % intervals of the same metrics; ``fad`` with at most ``FAD_DRAWS`` draws."""
        found = {
            name: ratio_interval(above, below, seed=seed, groups=self.prompts, draws=draws)
            for name, (above, below) in self.parts.items()
        }
        names = list(dict.fromkeys(self.prompts))
        grouped = [
            Moments.pooled(
                one for one, own in zip(self.moments, self.prompts, strict=True) if own == name
            )
            for name in names
        ]

        def fad(drawn: np.ndarray) -> float:
            return frechet_distance(Moments.pooled(grouped[i] for i in drawn), self.references)

        found["fad"] = bootstrap(fad, len(names), seed=seed, draws=min(draws, FAD_DRAWS))
        return found


def score_row(
    judges: Judges,
    codec: Any,
    prompts: Sequence[Prompt],
    mixtures: Sequence[np.ndarray],
    vocals: Sequence[np.ndarray] | None,
    *,
    voice_of: VoiceOf,
    references: Moments,
    voice: bool,
) -> RowScores:
    """Judge the songs of one row.

    Args:
        judges: of the songs.
        codec: whose semantic features ``fad`` compares.
        prompts: what was asked for, one a song.
        mixtures: float32 [S] at 16 kHz.
        vocals: the vocal tracks, where there are any.
        voice_of: the voice embedding [E] of the true vocal of a song id.
        references: moments of the true songs.
        voice: whether the songs are compared with their reference voices.
    Returns:
        Ratios ``per`` (of the vocals, or of the mixtures where there are none), ``per_mixture``,
        ``gender``, ``instrument``, ``tempo``, ``tempo_any_octave``, ``seconds`` and, with
        ``voice``, ``voice_match`` (against any other voice), ``voice_match_same_gender`` and
        ``voice_similarity``.
    """
    hearing = SingleHearing(judges)
    asked = [merge_phonemes(prompt.phonemes) for prompt in prompts]
    heard_in_mixtures = hearing.phonemes(mixtures)
    heard = heard_in_mixtures if vocals is None else hearing.phonemes(vocals)
    ones = np.ones(len(prompts))
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "per": _floats(*phoneme_edits(asked, heard)),
        "per_mixture": _floats(*phoneme_edits(asked, heard_in_mixtures)),
        "gender": (gender_scores(hearing, mixtures, [one.gender for one in prompts]), ones),
        "instrument": (
            lead_instrument_scores(hearing, mixtures, [one.lead_family for one in prompts]),
            ones,
        ),
    }
    tempi = [one.tempo for one in prompts]
    parts["tempo"] = (tempo_scores(mixtures, tempi), ones)
    parts["tempo_any_octave"] = (tempo_scores(mixtures, tempi, any_octave=True), ones)
    parts["seconds"] = (np.array([len(one) / codec.config.sample_rate for one in mixtures]), ones)
    if voice:
        sung = mixtures if vocals is None else vocals
        embeddings = hearing.voice_embedding(sung)
        own, other, rival = (
            (embeddings * np.stack([voice_of(getattr(one, name)) for one in prompts])).sum(axis=1)
            for name in ("reference_song_id", "other_song_id", "rival_song_id")
        )
        parts["voice_match"] = ((own > other).astype(float), ones)
        parts["voice_match_same_gender"] = ((own > rival).astype(float), ones)
        parts["voice_similarity"] = (own, ones)
    return RowScores(
        tuple(prompt.id for prompt in prompts),
        parts,
        tuple(semantic_moments(codec, mixtures)),
        references,
        tuple(tuple(one) for one in heard),
    )


def _floats(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return above.astype(np.float64), below.astype(np.float64)


__all__ = ["RowScores", "SingleHearing", "VoiceOf", "score_row"]
