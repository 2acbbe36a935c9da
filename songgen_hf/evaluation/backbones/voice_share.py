"""How much of a track a separator takes for voice, by which swapped tracks are found."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...checkpoints.embedded import SEPARATOR_NAME, find_checkpoint
from ...checkpoints.separators import MINI, load_separator
from ...provenance import identity
from ..metrics.swapped_tracks import voice_share


class VoiceShare:
    """A separator: ``share``, the energy of the separated vocal over that of the track.

    Args:
        name: ``mini`` (in the package), a folder of a separator, or the name of a Demucs model.
        device: name of a device.
    """

    def __init__(self, name: str = MINI, device: str = "cpu") -> None:
        self.separator = load_separator(name, device)
        self.sampling_rate = self.separator.rate
        found, version = identity(find_checkpoint(SEPARATOR_NAME) if name == MINI else name)
        self.settings: dict[str, Any] = {
            "model": found,
            "revision": version,
            "sampling_rate": self.sampling_rate,
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Measure the share of voice of a waveform."""
        block = np.repeat(waveform[:, None], self.separator.channels, axis=1)
        separated = np.concatenate([np.zeros(0, np.float32), *self.separator.vocal([block])])
        return {"share": np.array(voice_share(waveform, separated))}


__all__ = ["VoiceShare"]
