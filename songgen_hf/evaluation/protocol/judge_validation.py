"""Validation of the judges on songs of the corpus, with the metrics of generated songs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...data.corpus.rows import read_sound
from ...data.listening.phonemes import row_phonemes
from ..judges.loading import Judges
from ..metrics.accuracy import accuracy_scores, mean_score
from ..metrics.gender import evaluate_gender
from ..metrics.key import evaluate_key
from ..metrics.lead_instrument import evaluate_lead_instrument
from ..metrics.phoneme_error_rate import evaluate_lyrics, phoneme_error_rate
from ..metrics.tempo import evaluate_tempo
from ..metrics.voice_similarity import evaluate_voice_similarity

_LABELS = ("gender", "lead_family", "voice_id", "tempo", "key")


def validate_judges(
    judges: Judges, rows: Iterable[Mapping[str, Any]], *, seed: int = 0
) -> dict[str, float]:
    """Score songs of the corpus that the judges were not trained on.

    Args:
        judges: judges to validate.
        rows: rows of the corpus with at least two voices.
        seed: seed of the pairs of songs whose voices are compared.
    Returns:
        ``songs`` (their number); ``gender``, ``instrument``, ``tempo``, ``tempo_any_octave`` and
        ``key`` of mixtures; ``per``, with a second recognizer ``per_second``, ``voice`` (accuracy
        over the songs of training voices),
        ``voice_match`` and voice similarities of vocals and, ending in ``_mixture``, of mixtures.
    Raises:
        ValueError: if there are too few songs.
    """
    vocals, mixtures, phonemes = [], [], []
    labels: dict[str, list[Any]] = {name: [] for name in _LABELS}
    for row in rows:
        vocals.append(read_sound(row, "vocal"))
        mixtures.append(read_sound(row, "mixture"))
        phonemes.append(row_phonemes(row))
        for name, values in labels.items():
            values.append(row[name])
    scores = {"songs": float(len(vocals))}
    scores |= evaluate_gender(judges, mixtures, labels["gender"])
    scores |= evaluate_lead_instrument(judges, mixtures, labels["lead_family"])
    scores |= evaluate_tempo(mixtures, labels["tempo"])
    scores |= evaluate_key(mixtures, labels["key"])
    same, other = voice_pairs(labels["voice_id"], seed=seed)
    voices = judges.classifier.config.voices
    for ending, waveforms in (("", vocals), ("_mixture", mixtures)):
        references, others = ([vocals[index] for index in group] for group in (same, other))
        found = evaluate_lyrics(judges, waveforms, phonemes)
        found |= evaluate_voice_similarity(judges, waveforms, references, others)
        known = [place for place, voice in enumerate(labels["voice_id"]) if voice in voices]
        if known:
            named = judges.voice([waveforms[place] for place in known])
            correct = accuracy_scores(named, [labels["voice_id"][place] for place in known], voices)
            found["voice"] = mean_score(correct)
        second = judges.second_phonemes(waveforms)
        if second is not None:
            found["per_second"] = phoneme_error_rate(phonemes, second)
        scores |= {name + ending: value for name, value in found.items()}
    return scores


def voice_pairs(voices: list[str], *, seed: int) -> tuple[list[int], list[int]]:
    """Draw another song of the same voice, and a song of another voice, for each song.

    The only song of a voice is paired with itself.

    Args:
        voices: voice of each song.
        seed: seed of the draws.
    Returns:
        Indices of the songs of the same voice, and of those of other voices.
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
