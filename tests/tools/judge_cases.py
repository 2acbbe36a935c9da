"""Small networks and invented songs for the tests of the judges."""

import io

import numpy as np
import soundfile
import torch

from songgen_hf.data.listening.phoneme_recognizer import (
    PhonemeRecognizer,
    PhonemeRecognizerConfig,
    SpectrogramRecognizer,
    SpectrogramRecognizerConfig,
)
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.judges.song_classifier import SongClassifier, SongClassifierConfig

RATE = 16000
VOICES = ("female_1", "male_1")
TINY_RECOGNIZER = PhonemeRecognizerConfig(hidden_size=16, dilations=(1,))
TINY_SECOND = SpectrogramRecognizerConfig(channels=(4, 8), hidden_size=16)
TINY_CLASSIFIER = SongClassifierConfig(
    voices=VOICES, hidden_size=16, dilations=(1,), embedding_size=8
)


def tiny_judges(seed: int = 0) -> Judges:
    """Untrained judges; the global random generator stays as it was."""
    networks = []
    for network, config in (
        (PhonemeRecognizer, TINY_RECOGNIZER),
        (SongClassifier, TINY_CLASSIFIER),
        (SpectrogramRecognizer, TINY_SECOND),
    ):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(network(config))
    recognizer, classifier, second = networks
    return Judges(recognizer, classifier, second=second)


def flac(waveform: np.ndarray) -> dict[str, bytes]:
    """A cell of the corpus."""
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, RATE, format="FLAC")
    return {"bytes": buffer.getvalue()}


def invented_row(index: int, *, seconds: float = 3.0) -> dict:
    """A row of the corpus: two lines of a hummed and a hissed phoneme over a tone."""
    rng = np.random.default_rng(index)
    gender, voice = ("female", VOICES[0]) if index % 2 else ("male", VOICES[1])
    times = np.arange(int(seconds * RATE)) / RATE
    vocal = np.zeros_like(times)
    phonemes, words = [], []
    for line in range(2):
        start = 0.4 + 1.3 * line
        hum = (times >= start) & (times < start + 0.3)
        hiss = (times >= start + 0.3) & (times < start + 0.5)
        pitch = 110.0 * (1 + index % 2)
        for partial in range(1, 8):
            vocal[hum] += 0.05 * np.sin(2 * np.pi * pitch * partial * times[hum])
        vocal[hiss] += 0.1 * rng.standard_normal(hiss.sum())
        words.append({"word": "us", "start": start, "end": start + 0.5, "line": line})
        phonemes.append({"symbol": "ʌ", "start": start, "end": start + 0.3, "word": line})
        phonemes.append({"symbol": "s", "start": start + 0.3, "end": start + 0.5, "word": line})
    lead, family = [("flute", "flute"), ("piano", "piano")][index % 2]
    frequency = {"flute": 880.0, "piano": 330.0}[family]
    accompaniment = 0.05 * np.sin(2 * np.pi * frequency * times)
    return {
        "song_id": f"test-{index:06d}",
        "vocal": flac(vocal),
        "accompaniment": flac(accompaniment),
        "mixture": flac(vocal + accompaniment),
        "gender": gender,
        "voice_id": voice,
        "lead_family": family,
        "lead_instrument": lead,
        "tempo": 120,
        "key": "A minor",
        "sampling_rate": RATE,
        "phonemes": phonemes,
        "words": words,
    }
