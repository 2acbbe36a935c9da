"""Hears songs with a backbone and keeps every result on disk, under the digest of what it is of.

The key of a result is made of the bytes of the sound file, the settings of the backbone and the
loudness. So an interrupted run goes on where it stopped, several cards share results, and other
sounds under an old name are heard again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from ...data.loudness import SILENCE, integrated_loudness
from ...data.preparation.quality import ScoreOptions, score
from ...files import write_files
from ...modeling.audio_io import read_channels, resample
from ..backbones.networks import Backbone
from .folders import content_digest

Item = TypeVar("Item")
Arrays = dict[str, np.ndarray]
_FORMAT = 1  # of the results; another number makes old ones unused
SIGNAL = (
    "audio_seconds", "loudness", "peak", "clipped_share", "silent_share", "bandwidth",
    "measured_tempo",
)  # fmt: skip
"""Measurements of a song without a model."""


@dataclass(frozen=True)
class Listener:
    """Hears sound files and keeps the results.

    Args:
        folder: folder of the results.
        loudness: LUFS that every sound gets before a backbone hears it; None to leave it.
        progress: whether to show progress bars.
    """

    folder: Path
    loudness: float | None
    progress: bool = False

    def hear(self, backbone: Backbone, path: Path) -> Arrays:
        """Return what a backbone hears in a sound file.

        Raises:
            ValueError: naming the file, if it cannot be read.
        """
        key = {
            "audio": content_digest(path),
            "backbone": type(backbone).__name__,
            "settings": backbone.settings,
            "loudness": self.loudness,
        }
        return self._kept(key, lambda: backbone(self._waveform(path, backbone.sampling_rate)))

    def measure(self, path: Path) -> dict[str, Any]:
        """Return the measurements ``SIGNAL`` and ``measured_key`` of a sound file as it is."""

        def measured() -> Arrays:
            row = {"id": path.name, "path": str(path), "clip_start": 0.0, "clip_seconds": None}
            (found,) = score([row], ScoreOptions(music=True, fingerprints=False))
            return {name: np.array(found[name]) for name in (*SIGNAL, "measured_key")}

        found = self._kept({"audio": content_digest(path), "backbone": "signal"}, measured)
        return {name: value.item() for name, value in found.items()}

    def each(self, items: Iterable[Item], description: str) -> Iterator[Item]:
        """Yield items with a progress bar."""
        from tqdm.auto import tqdm

        items = list(items)
        yield from tqdm(items, desc=description, unit="song", disable=not self.progress)

    def _waveform(self, path: Path, rate: int) -> np.ndarray:
        """The mean of the channels, float32 [S] at ``rate``, with the loudness of the listener."""
        channels, own_rate = read_channels(str(path))
        waveform = channels.mean(axis=0, dtype=np.float32)
        if self.loudness is not None and len(waveform) >= 0.4 * own_rate:
            found = integrated_loudness(waveform, own_rate)
            if found > SILENCE:
                waveform = waveform * np.float32(10 ** ((self.loudness - found) / 20))
        return np.ascontiguousarray(resample(waveform, own_rate, rate))

    def _kept(self, key: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        text = json.dumps({**key, "format": _FORMAT}, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / name[:2] / f"{name}.npz"
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    return dict(arrays)
            except (OSError, ValueError, EOFError, BadZipFile):
                pass  # damaged: computed again
        found = compute()
        buffer = io.BytesIO()
        np.savez(buffer, **found)  # type: ignore[arg-type]
        write_files({path: buffer.getvalue()})
        return found


__all__ = ["SIGNAL", "Arrays", "Listener"]
