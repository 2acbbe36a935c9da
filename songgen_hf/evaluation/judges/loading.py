"""The trained judges of one folder, and how well they judge true songs.

    judges/
      phoneme_recognizer/   config.json, model.safetensors
      song_classifier/      config.json, model.safetensors
      judges.json           how they were trained; their scores on songs they never saw

A judge gives one answer for each waveform, whatever else it is asked with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .log_mels import log_mels
from .phoneme_recognizer import PhonemeRecognizer
from .song_classifier import SongClassifier

RECOGNIZER_FOLDER, CLASSIFIER_FOLDER = "phoneme_recognizer", "song_classifier"
REPORT_FILE = "judges.json"
Waveforms = Sequence[np.ndarray]


class Judges:
    """Answers about waveforms, each float [S] at 16 kHz.

    Args:
        recognizer: hears phonemes.
        classifier: hears gender, lead family and voice.
        report: what ``judges.json`` says of the two.
    """

    def __init__(
        self,
        recognizer: PhonemeRecognizer,
        classifier: SongClassifier,
        report: Mapping[str, Any] | None = None,
    ) -> None:
        self.recognizer, self.classifier = recognizer.eval(), classifier.eval()
        self.report = dict(report or {})

    @classmethod
    def load(cls, directory: Path | str) -> Judges:
        """Read the folder that ``songgen-hf evaluate judges`` wrote.

        Raises:
            FileNotFoundError, ValueError: if it holds no judges.
        """
        directory = Path(directory)
        report = directory / REPORT_FILE
        return cls(
            PhonemeRecognizer.load(directory / RECOGNIZER_FOLDER),
            SongClassifier.load(directory / CLASSIFIER_FOLDER),
            json.loads(report.read_text(encoding="utf-8")) if report.is_file() else None,
        )

    def phonemes(self, waveforms: Waveforms) -> list[list[str]]:
        """The phonemes of ``phonemes.PHONEMES`` that each waveform sings; vocals or mixtures."""
        return [self.recognizer.recognize(log_mels(waveform)) for waveform in waveforms]

    def gender(self, waveforms: Waveforms) -> list[str]:
        """``male`` or ``female``; vocals or mixtures."""
        genders = self.classifier.config.genders
        return [genders[self._answer(waveform).gender.argmax()] for waveform in waveforms]

    def lead_family(self, waveforms: Waveforms) -> list[str]:
        """The instrument family of ``song_classifier.LEAD_FAMILIES`` that leads; mixtures."""
        families = self.classifier.config.lead_families
        return [families[self._answer(waveform).lead_family.argmax()] for waveform in waveforms]

    def voice(self, waveforms: Waveforms) -> list[str]:
        """The most alike of the singers trained on; vocals or mixtures."""
        voices = self.classifier.config.voices
        return [voices[self._answer(waveform).voice.argmax()] for waveform in waveforms]

    def voice_embedding(self, waveforms: Waveforms) -> np.ndarray:
        """float32 [N, E], rows of length 1, whose products tell how alike two voices are."""
        rows = [self._answer(waveform).voice_embedding.numpy() for waveform in waveforms]
        size = self.classifier.config.embedding_size
        return np.stack(rows) if rows else np.zeros((0, size), dtype=np.float32)

    def _answer(self, waveform: np.ndarray) -> Any:
        return self.classifier.judge(log_mels(waveform))


__all__ = ["CLASSIFIER_FOLDER", "RECOGNIZER_FOLDER", "REPORT_FILE", "Judges", "Waveforms"]
