"""Phoneme recognizers of the rendered corpus, such as the embedded recognizer-mini."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...checkpoints.devices import checked_device
from ...data.listening.log_mels import SAMPLING_RATE, log_mels
from ...data.listening.phoneme_recognizer import PhonemeRecognizer, SpectrogramRecognizer
from ...data.preparation.stages import loading
from .networks import model_settings

_KINDS = {one.config_class.model_type: one for one in (PhonemeRecognizer, SpectrogramRecognizer)}


def is_phoneme_recognizer(name: str, revision: str | None = None) -> bool:
    """Whether a folder or Hub id holds a phoneme recognizer of this package.

    Raises:
        ModelError: if there is no configuration.
    """
    return _model_type(name, revision) in _KINDS


def _model_type(name: str, revision: str | None) -> Any:
    from transformers import PreTrainedConfig

    with loading(f"the speech recognition model {name!r}"):
        return PreTrainedConfig.get_config_dict(name, revision=revision)[0].get("model_type")


class Phonemes:
    """A phoneme recognizer: ``phonemes``, an array of symbols.

    Args:
        name: folder or Hub id.
        device: name of a device.
        revision: branch, tag or commit of a Hub id.
        batch_size: unused, since a song is heard as a whole.
    """

    def __init__(
        self, name: str, device: str = "cpu", *, revision: str | None = None, batch_size: int = 1
    ) -> None:
        kind: Any = _KINDS[_model_type(name, revision)]
        with loading(f"the phoneme recognizer {name!r}"):
            model = kind.from_pretrained(name, revision=revision)
        self.model = model.eval().to(checked_device(device))
        self.sampling_rate = SAMPLING_RATE
        self.settings: dict[str, Any] = {
            **model_settings(name, revision),
            "sampling_rate": SAMPLING_RATE,
            "language": "en",
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Return the phonemes of a waveform."""
        mels = log_mels(waveform).to(self.model.device)
        return {"phonemes": np.array(self.model.recognize(mels), dtype=str)}


__all__ = ["Phonemes", "is_phoneme_recognizer"]
