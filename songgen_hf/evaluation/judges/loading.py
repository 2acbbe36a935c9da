"""The judges: networks that recognize phonemes and classify songs, loaded from one folder.

judges/
  phoneme_recognizer/   config.json, model.safetensors
  second_recognizer/    the same, optional: see phoneme_recognizer.py
  song_classifier/      the same
  judges.json           how they were trained, and their scores on songs of the corpus
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.listening.log_mels import log_mels
from ...data.listening.phoneme_recognizer import (
    PhonemeRecognizer,
    Recognizer,
    SpectrogramRecognizer,
)
from ...modeling.checkpoint_files import reading
from .song_classifier import SongClassification, SongClassifier

RECOGNIZER_FOLDER, CLASSIFIER_FOLDER = "phoneme_recognizer", "song_classifier"
SECOND_FOLDER = "second_recognizer"
REPORT_FILE = "judges.json"
Waveforms = Sequence[np.ndarray]


class Judges:
    """Predictions about waveforms, each float [S] at 16 kHz and processed by itself.

    Args:
        recognizer: recognizes phonemes.
        classifier: predicts gender, lead instrument family and voice.
        report: content of ``judges.json``.
        second: another recognizer, which shares nothing with the first; None for none.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        classifier: SongClassifier,
        report: Mapping[str, Any] | None = None,
        second: Recognizer | None = None,
    ) -> None:
        self.recognizer, self.classifier = recognizer.eval(), classifier.eval()
        self.report = dict(report or {})
        self.second = None if second is None else second.eval()

    @classmethod
    def load(cls, directory: Path | str) -> Judges:
        """Read a folder that ``songgen-hf evaluate judges`` wrote.

        Raises:
            FileNotFoundError: if the folder lacks a network.
            ValueError: if a network does not fit its folder.
        """
        directory = Path(directory)
        second = directory / SECOND_FOLDER
        return cls(
            PhonemeRecognizer.from_pretrained(directory / RECOGNIZER_FOLDER),
            SongClassifier.from_pretrained(directory / CLASSIFIER_FOLDER),
            read_report(directory),
            SpectrogramRecognizer.from_pretrained(second) if second.is_dir() else None,
        )

    def save(self, directory: Path | str) -> None:
        """Write the networks to the folder that :meth:`load` reads, without ``judges.json``."""
        self.recognizer.save_pretrained(Path(directory) / RECOGNIZER_FOLDER)
        self.classifier.save_pretrained(Path(directory) / CLASSIFIER_FOLDER)
        if self.second is not None:
            self.second.save_pretrained(Path(directory) / SECOND_FOLDER)

    def phonemes(self, waveforms: Waveforms) -> list[list[str]]:
        """Recognize the phonemes of each vocal or mixture, members of ``phonemes.PHONEMES``."""
        return [self.recognizer.recognize(log_mels(waveform)) for waveform in waveforms]

    def second_phonemes(self, waveforms: Waveforms) -> list[list[str]] | None:
        """Recognize the phonemes of each vocal or mixture with the second recognizer, if any."""
        if self.second is None:
            return None
        return [self.second.recognize(log_mels(waveform)) for waveform in waveforms]

    def gender(self, waveforms: Waveforms) -> list[str]:
        """Predict the gender of each vocal or mixture, ``male`` or ``female``."""
        genders = self.classifier.config.genders
        return [genders[self._classify(waveform).gender.argmax()] for waveform in waveforms]

    def lead_family(self, waveforms: Waveforms) -> list[str]:
        """Predict the family of each mixture's lead instrument, one of ``LEAD_FAMILIES``."""
        families = self.classifier.config.lead_families
        return [families[self._classify(waveform).lead_family.argmax()] for waveform in waveforms]

    def voice(self, waveforms: Waveforms) -> list[str]:
        """Predict the most similar training voice of each vocal or mixture."""
        voices = self.classifier.config.voices
        return [voices[self._classify(waveform).voice.argmax()] for waveform in waveforms]

    def voice_embedding(self, waveforms: Waveforms) -> np.ndarray:
        """Embed the voice of each vocal or mixture.

        Returns:
            float32 [N, E], rows of length 1; the product of two rows is their similarity.
        """
        rows = [self._classify(waveform).voice_embedding.numpy() for waveform in waveforms]
        size = self.classifier.config.embedding_size
        return np.stack(rows) if rows else np.zeros((0, size), dtype=np.float32)

    def _classify(self, waveform: np.ndarray) -> SongClassification:
        return self.classifier.classify(log_mels(waveform))


def read_report(directory: Path | str) -> dict[str, Any]:
    """Return the content of ``judges.json`` in a folder of judges, empty without that file."""
    path = Path(directory) / REPORT_FILE
    if not path.is_file():
        return {}
    with reading(path):
        return dict(json.loads(path.read_text(encoding="utf-8")))


__all__ = [
    "CLASSIFIER_FOLDER",
    "RECOGNIZER_FOLDER",
    "REPORT_FILE",
    "SECOND_FOLDER",
    "Judges",
    "Waveforms",
    "read_report",
]
