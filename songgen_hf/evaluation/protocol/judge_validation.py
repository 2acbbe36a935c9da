"""The judges judged: their scores on true songs, by the functions that score generated ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...data.corpus.rows import read_sound
from ..judges.loading import Judges
from ..judges.phonemes import row_phonemes
from ..metrics.accuracy import accuracy_scores, mean_score
from ..metrics.gender import evaluate_gender
from ..metrics.key import evaluate_key
from ..metrics.lead_instrument import evaluate_lead_instrument
from ..metrics.phoneme_error_rate import evaluate_lyrics
from ..metrics.tempo import evaluate_tempo
from ..metrics.voice_similarity import evaluate_voice_similarity

_FACTS = ("gender", "lead_family", "voice_id", "tempo", "key")


def validate_judges(
    judges: Judges, rows: Iterable[Mapping[str, Any]], *, seed: int = 0
) -> dict[str, float]:
    """Scores on songs of the corpus that no judge was trained on.

    Args:
        judges: of the songs.
        rows: of the corpus; at least two voices, one of them twice.
        seed: of the pairs of songs whose voices are compared.
    Returns:
        ``songs``; the metrics' own names for mixtures (``gender``, ``instrument``, ``tempo``,
        ``tempo_any_octave``, ``key``); ``per``, ``voice`` (the right one of the singers) and
        ``voice_match`` for true vocals and, ending in ``_mixture``, for mixtures.
    Raises:
        ValueError: if there are too few songs.
    """
    vocals, mixtures, facts, phonemes = [], [], [], []
    for row in rows:
        vocals.append(read_sound(row, "vocal"))
        mixtures.append(read_sound(row, "mixture"))
        facts.append({name: row[name] for name in _FACTS})
        phonemes.append(row_phonemes(row))
    truth = {name: [fact[name] for fact in facts] for name in _FACTS}
    scores = {"songs": float(len(vocals))}
    scores |= evaluate_gender(judges, mixtures, truth["gender"])
    scores |= evaluate_lead_instrument(judges, mixtures, truth["lead_family"])
    scores |= evaluate_tempo(mixtures, truth["tempo"])
    scores |= evaluate_key(mixtures, truth["key"])
    same, other = voice_pairs(truth["voice_id"], seed=seed)
    voices = judges.classifier.config.voices
    for ending, waveforms in (("", vocals), ("_mixture", mixtures)):
        right = accuracy_scores(judges.voice(waveforms), truth["voice_id"], voices)
        similar = evaluate_voice_similarity(
            judges,
            waveforms,
            [vocals[index] for index in same],
            [vocals[index] for index in other],
        )
        found = evaluate_lyrics(judges, waveforms, phonemes) | similar
        found["voice"] = mean_score(right)
        scores |= {name + ending: value for name, value in found.items()}
    return scores


def voice_pairs(voices: list[str], *, seed: int) -> tuple[list[int], list[int]]:
    """For each song another song of its voice, and a song of another voice.

    A voice with a single song is paired with itself.

    Args:
        voices: one a song.
        seed: of the draws.
    Raises:
        ValueError: if all voices are the same.
    """
    if len(set(voices)) < 2:
        raise ValueError(f"got {len(set(voices))} voices, expected songs of at least two")
    rng = np.random.default_rng(seed)
    names = np.array(voices)
    same, other = [], []
    for index, name in enumerate(names):
        alike = np.flatnonzero(names == name)
        alike = alike[alike != index] if len(alike) > 1 else alike
        same.append(int(rng.choice(alike)))
        other.append(int(rng.choice(np.flatnonzero(names != name))))
    return same, other


__all__ = ["validate_judges", "voice_pairs"]
