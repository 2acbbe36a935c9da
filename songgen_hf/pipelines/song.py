"""A generated song: a dict with its waveforms and codes that saves and draws itself.

Song files carry the provenance record, which needs the installed package; everything else works
with the files beside it alone, with which it travels to the Hub as remote code of a checkpoint.
"""

import importlib
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .lyrics_files import as_json, as_lrc, as_webvtt
from .song_picture import song_picture

logger = logging.getLogger(__name__)
TRACKS = ("vocal", "accompaniment")
_NOT_FACTS = (
    *("reference_voice", "voice_start", "separate_voice", "audio_prompt", "song", "seed"),
    *("plan", "settings"),  # of a whole song, which has sections and each setting
)
_QUIETEST = -70.0  # LUFS, the absolute gate of ITU-R BS.1770
_LOUDNESS = (-60.0, 0.0)


class Song(dict):
    """A generated song, with the keys that the pipelines describe and methods for its files.

    Attributes:
        request: what was sung, as JSON values: text, lyrics, language and settings.
        attention: float16 [T, P], how much each frame attends to each lyrics token, from 0 to 1;
            None without ``timestamps``.
        whole: what ``whole_song`` was asked for; None for other songs.

    Args:
        content: the keys of the song.
        request: request and settings of the song; values that JSON lacks are left out.
        model: model that generated the song, for its provenance record.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        *,
        request: Mapping[str, Any] | None = None,
        model: Any = None,
    ):
        super().__init__(content)
        self.request: dict[str, Any] = {
            key: fact
            for key, value in (request or {}).items()
            if key not in _NOT_FACTS and (fact := _json_value(value)) is not None
        }
        config = getattr(model, "config", None)
        self._model_name = str(
            getattr(config, "_name_or_path", "") or getattr(model, "name_or_path", "") or ""
        )
        self._commit = getattr(config, "_commit_hash", None)
        self.attention: np.ndarray | None = None
        self.whole: Any = None

    def copy(self) -> "Song":
        """Return a song with the same keys and attributes."""
        other = Song(self)
        other.__dict__.update(self.__dict__)
        return other

    @property
    def words(self) -> list[dict[str, Any]]:
        """The sung words: ``word``, ``start`` and ``end`` in seconds, and ``confidence``.

        Raises:
            ValueError: for a song that was generated without ``timestamps``.
        """
        return self._timed("words")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of the lyrics: ``line``, ``start``, ``end``, and the ``words`` of each.

        Raises:
            ValueError: for a song that was generated without ``timestamps``.
        """
        return self._timed("lines")

    @property
    def coverage(self) -> dict[str, Any]:
        """What was sung of the lyrics: ``share`` from 0 to 1, ``skipped`` and ``repeated`` words.

        Raises:
            ValueError: for a song that was generated without ``timestamps``.
        """
        return self._timed("coverage")

    def lrc(self, *, words: bool = False) -> str:
        """The lines as an LRC file, with ``words`` also the times of the words in each line."""
        return as_lrc(self.lines, words=words)

    def webvtt(self) -> str:
        """The lines as WebVTT subtitles in which the words light up when they are sung."""
        return as_webvtt(self.lines)

    def json(self) -> str:
        """Words, lines and coverage as JSON."""
        return as_json(self.lines, self.coverage)

    def provenance(self) -> dict[str, Any]:
        """Return the provenance record of the song, see :func:`songgen_hf.provenance.provenance`.

        Raises:
            ImportError: without the package songgen-hf.
        """
        config = SimpleNamespace(_name_or_path=self._model_name, _commit_hash=self._commit)
        return package_module("provenance").provenance(
            SimpleNamespace(config=config), seed=self["seed"], options=self.request
        )

    def gain(self, loudness: float | None = None, *, stems: bool = False) -> float:
        """Return the factor for the samples of a song's files.

        It is one factor for all files, so that the stems add up to the mixture.

        Args:
            loudness: integrated loudness of the mixture in LUFS (ITU-R BS.1770); None for 1, or for
                less where samples would be clipped.
            stems: whether the tracks are written, too.
        Raises:
            TypeError, ValueError: for a loudness out of range, or a song shorter than 0.4 s.
            ImportError: for a loudness without the package pyloudnorm.
        """
        written = [self["audio"], *([self[name] for name in TRACKS] if stems else [])]
        peak = max((float(np.abs(wave).max(initial=0.0)) for wave in written), default=0.0)
        largest = 1.0 / max(1.0, peak) if loudness is None else 1.0 / max(peak, 1e-9)
        if loudness is None:
            return largest
        wanted = 10 ** ((_checked_loudness(loudness) - self._loudness()) / 20)
        if wanted > largest:
            reached = loudness + 20 * math.log10(largest / wanted)
            logger.warning(
                "The song reaches %.1f LUFS instead of %g: its peaks would be clipped.",
                reached,
                loudness,
            )
        return min(wanted, largest)

    def save(
        self, path: Path | str, loudness: float | None = None, stems: bool = False
    ) -> list[Path]:
        """Write sound files with a provenance record, all of them or none.

        Args:
            path: path of the mixture, which ends in .wav, .flac, .mp3 or .ogg.
            loudness: integrated loudness of the mixture in LUFS, such as -14; None leaves it.
            stems: whether to write ``NAME.vocal.wav`` and ``NAME.accompaniment.wav``, too.
        Returns:
            The paths of the files, that of the mixture first.
        Raises:
            ValueError: for another ending, stems of a song with one track, or codes alone.
            ImportError: without the package songgen-hf.
            OSError: if a file cannot be written.
        """
        path = Path(path)
        if self["seed"] is None:
            raise ValueError("only generated songs are saved, with their record: got a recording")
        package = package_module("provenance")
        package_module("files").sound_format(path)
        sounds = {path: self._audio()}
        if stems:
            if self["vocal"] is None:
                raise ValueError("stems need a song with two tracks: this one is a mixture")
            sounds |= {path.with_stem(f"{path.stem}.{name}"): self[name] for name in TRACKS}
        gain, record = self.gain(loudness, stems=stems), self.provenance()
        title = _title(self.request)
        package_module("files").write_files(
            {
                file: package.encode_song(
                    wave, self["sampling_rate"], file, record, gain=gain, title=title
                )
                for file, wave in sounds.items()
            }
        )
        return list(sounds)

    def plot(self, path: Path | str | None = None) -> Any:
        """Draw the mel spectrogram of each track, with words, attention and sections.

        Args:
            path: path of a picture to write, such as ``song.png``; None to return the figure.
        Returns:
            ``path``, or a :class:`matplotlib.figure.Figure`, which notebooks show.
        Raises:
            ImportError: without matplotlib.
        """
        self._audio()
        figure = song_picture(self, self.attention, str(self.request.get("lyrics", "")))
        if path is None:
            return figure
        figure.savefig(path)
        return Path(path)

    def _timed(self, key: str) -> Any:
        if key not in self:
            raise ValueError(f"this song has no {key}: generate it with timestamps=True")
        return self[key]

    def _audio(self) -> np.ndarray:
        """The waveform of the mixture."""
        if self.get("audio") is None:
            raise ValueError("this song has codes alone: generate it without output_type")
        audio: np.ndarray = self["audio"]
        return audio

    def _loudness(self) -> float:
        """The integrated loudness of the mixture in LUFS."""
        wave, rate = self["audio"], self["sampling_rate"]
        if wave.shape[-1] < 0.4 * rate:
            raise ValueError(
                f"loudness needs at least 0.4 s of sound: got {wave.shape[-1] / rate:.2f} s"
            )
        if not wave.any():
            raise ValueError("a silent song has no loudness: leave loudness out")
        meter = _required("pyloudnorm").Meter(rate)
        return max(float(meter.integrated_loudness(wave.T.astype(np.float64))), _QUIETEST)


def _json_value(value: Any) -> Any:
    """Return a value as JSON has it; None for one that JSON lacks."""
    try:
        return json.loads(json.dumps(value, default=lambda one: one.tolist()))
    except (AttributeError, TypeError, ValueError):
        return None


def _checked_loudness(loudness: Any) -> float:
    if isinstance(loudness, bool) or not isinstance(loudness, int | float):
        raise TypeError(f"loudness must be a number of LUFS, such as -14: got {loudness!r}")
    lowest, highest = _LOUDNESS
    if not lowest <= loudness <= highest:
        raise ValueError(f"loudness must be from {lowest:g} to {highest:g} LUFS: got {loudness:g}")
    return float(loudness)


def _title(request: Mapping[str, Any]) -> str:
    lines = str(request.get("lyrics") or request.get("text") or "").strip().splitlines()
    return f"{lines[0][:80]} (AI-generated)" if lines else "AI-generated song"


def package_module(name: str, purpose: str = "saving a song with its provenance") -> Any:
    """Return a module of songgen-hf, without which a pipeline from the Hub works, too.

    Raises:
        ImportError: without the package.
    """
    try:
        return importlib.import_module(f"songgen_hf.{name}")
    except ImportError as error:
        raise ImportError(f"{purpose} needs songgen-hf: pip install songgen-hf") from error


def _required(name: str) -> Any:
    # With an import statement, transformers would require the package of everyone who loads this
    # file from the Hub.
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"a loudness needs the package {name}: pip install {name}") from error


__all__ = ["Song", "package_module"]
