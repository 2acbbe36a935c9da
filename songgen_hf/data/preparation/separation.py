"""Separation: the vocal and the accompaniment of a recording, as files with its time axis.

Stems that a recording already has are used as they are. Other recordings are separated by the
network that the package contains (``mini``: trained on rendered songs alone), by a folder that
``songgen-hf train separator`` wrote, or by a Demucs model (extra ``separate``). The recording is
read in blocks, so memory does not grow with its length. The accompaniment is the mixture minus the
vocal; both are written completely or not at all. Of recordings of more than ten minutes, what the
network has computed is kept until they are done, so that a killed run does not compute it again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.separators import MINI, Separator, check_separator, load_separator
from ...files import new_directory, safe_name, write_files
from ...modeling.audio_io import check_sampling_rate, unreadable
from ...optional import require
from .option_checks import check_device_share
from .stages import loading

STEM_RATE = 24_000  # Hz of the files that are written
GIVEN = "given"
KEPT_SECONDS = 600.0
"""Length of a recording above which the blocks that are separated are kept until all are."""
LONGEST_DIFFERENCE = 0.1  # seconds between the lengths of a recording and of stems that are given
BLOCKS = ".blocks"  # ending of folders with the blocks of a recording
_READ_SECONDS = 10.0
_FULL_SCALE = 2**15


@dataclass(frozen=True)
class SeparateOptions:
    """How recordings without stems are separated.

    Args:
        separator: ``mini`` (the network of the package), ``given`` (only recordings with stems are
            accepted), the folder of a network that ``songgen-hf train separator`` wrote, or the
            name of a Demucs model, such as ``htdemucs``.
        device: device of the network; ``auto`` for an accelerator, if there is one.
        device_share: share of a GPU that a process gets with Ray, which shows it none otherwise.
    Raises:
        ValueError: for an unknown separator, or a negative share.
    """

    separator: str = MINI
    device: str = "cpu"
    device_share: float = 0.0

    def __post_init__(self) -> None:
        check_device_share(self)
        check_separator(self.separator, GIVEN)


def columns() -> list[Any]:
    """The columns that :func:`separate` adds, as fields of pyarrow."""
    pyarrow = require("pyarrow", "prepare")
    names = ("vocal", "accompaniment", "separator")
    return [pyarrow.field(name, pyarrow.string()) for name in names]


def separate(
    recording: Mapping[str, Any], options: SeparateOptions, folder: Path | str
) -> dict[str, Any]:
    """Separate a recording, unless it has its stems already.

    Args:
        recording: row with ``recording_id`` and ``path``; ``vocal`` and ``accompaniment`` may be
            paths of stems with the same length.
        options: which separator.
        folder: folder of all stems; those of the recording are written to a subfolder with its id,
            in place of earlier ones.
    Returns:
        The row with the paths of ``vocal`` and ``accompaniment``, mono files of 24 kHz unless they
        were given, and ``separator``, the name of the separator.
    Raises:
        ValueError: naming the recording, if it cannot be read, or its stems are missing or have
            another length.
        OSError: if the files cannot be written.
        ImportError: if the package of the separator is not installed.
    """
    stems = [recording.get(name) for name in ("vocal", "accompaniment")]
    name = f"the recording {recording['recording_id']!r}"
    if any(stems):
        _check_stems(name, recording["path"], stems)
        return {**recording, "separator": GIVEN}
    if options.separator == GIVEN:
        raise ValueError(
            f"{name} has no stems: expected the columns vocal and accompaniment with paths, or "
            f"another separator, such as {MINI}"
        )
    with loading(f"the separator {options.separator!r}"):
        separator = load_separator(options.separator, options.device)
    target = Path(folder) / _folder_name(recording["recording_id"])
    shutil.rmtree(target, ignore_errors=True)
    blocks = _KeptBlocks(target, recording["path"], options)
    with new_directory(target) as temporary:
        try:
            _write_stems(recording["path"], separator, temporary, blocks)
        except ValueError as error:
            blocks.remove()
            raise ValueError(f"{name}: {error}") from error
    blocks.remove()
    paths = {stem: str(target / f"{stem}.flac") for stem in ("vocal", "accompaniment")}
    return {**recording, **paths, "separator": options.separator}


def unused_stems(folder: Path, recordings: Iterable[Mapping[str, Any]]) -> tuple[Path, ...]:
    """The subfolders of :func:`separate` that belong to none of the recordings, in order.

    Args:
        folder: folder of all stems.
        recordings: all rows of the source.
    """
    used = {_folder_name(row["recording_id"]) for row in recordings if not row.get("vocal")}
    return tuple(
        path for path in sorted(folder.glob("[!.]*/")) if path.name.removesuffix(BLOCKS) not in used
    )


class _KeptBlocks:
    """The vocals of the blocks of a recording, in files beside its stems.

    Called as ``keep`` of :func:`~...modeling.listening.separator.map_blocks`. The name of the
    folder changes with the file and the separator; files of another one are removed.
    """

    def __init__(self, target: Path, path: str, options: SeparateOptions) -> None:
        import soundfile

        try:
            long = soundfile.info(path).duration > KEPT_SECONDS
            facts = (Path(path).stat().st_size, Path(path).stat().st_mtime_ns, options.separator)
        except (soundfile.SoundFileError, OSError):
            long, facts = False, (0, 0, "")  # reading it says what is wrong
        digest = hashlib.sha256(repr((str(path), *facts)).encode()).hexdigest()[:16]
        self.beside = target.with_name(f"{target.name}{BLOCKS}")
        self.folder = self.beside / digest if long else None
        if self.folder is None or not self.folder.is_dir():
            self.remove()

    def __call__(self, number: int, compute: Callable[[], np.ndarray]) -> np.ndarray:
        if self.folder is None:
            return compute()
        file = self.folder / f"{number:06d}.f32"
        if file.is_file():
            return np.fromfile(file, np.float32)
        vocal = compute()
        write_files({file: vocal.astype(np.float32).tobytes()})
        return vocal

    def remove(self) -> None:
        """Remove all blocks of the recording."""
        shutil.rmtree(self.beside, ignore_errors=True)


def read_blocks(path: Path | str, rate: int, channels: int = 1) -> Iterator[np.ndarray]:
    """Read a recording at another sampling rate without holding all of it.

    Args:
        path: WAV, FLAC, OGG or MP3 file.
        rate: sampling rate of the result in Hz.
        channels: 1 for the mean of its channels; 2 for its first two, equal ones if it has one.
    Yields:
        float32 [S_i, channels]; together round(S * rate / its own rate) samples.
    Raises:
        ValueError: if the file cannot be read, is empty or holds NaN or infinity.
    """
    import soundfile
    import soxr

    label, count, produced = repr(Path(path).name), 0, 0
    try:
        with soundfile.SoundFile(path) as sound:
            own = check_sampling_rate(sound.samplerate)
            stream = soxr.ResampleStream(own, rate, channels, dtype="float32")
            while len(read := sound.read(round(_READ_SECONDS * own), "float32", always_2d=True)):
                if not np.isfinite(read).all():
                    raise ValueError(f"{label} holds NaN or infinite samples; repair or replace it")
                count += len(read)
                block = _with_channels(read, channels)
                resampled = block if own == rate else stream.resample_chunk(block)
                produced += len(resampled)
                yield resampled
    except soundfile.SoundFileError as error:
        raise unreadable(label, error) from error
    if not count:
        raise ValueError(f"{label} holds no audio")
    if own != rate:
        rest = stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)
        yield _cut([rest], round(count * rate / own) - produced)


def _with_channels(samples: np.ndarray, channels: int) -> np.ndarray:
    """[S, C] with another number of channels."""
    if channels == 1:
        return samples.mean(axis=1, dtype=np.float32, keepdims=True)
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    return np.ascontiguousarray(samples[:, :channels])


def _write_stems(path: str, separator: Separator, folder: Path, keep: _KeptBlocks) -> None:
    """Write the stems of a recording as PCM_16 FLAC, whose samples add up to the mixture."""
    import soundfile

    vocals: Iterable[np.ndarray] = separator.vocal(
        read_blocks(path, separator.rate, separator.channels), keep=keep
    )
    if separator.rate != STEM_RATE:
        vocals = _resampled(vocals, separator.rate)
    waiting: list[np.ndarray] = []
    source = iter(vocals)
    vocal_file, accompaniment_file = (
        soundfile.SoundFile(
            folder / f"{stem}.flac", "w", STEM_RATE, 1, subtype="PCM_16", format="FLAC"
        )
        for stem in ("vocal", "accompaniment")
    )
    with vocal_file, accompaniment_file:
        for block in read_blocks(path, STEM_RATE):
            mixture = _quantized(block[:, 0])
            while sum(map(len, waiting)) < len(mixture):
                if (more := next(source, None)) is None:
                    break
                waiting.append(more)
            joined = np.concatenate([*waiting, np.zeros(0, np.float32)])
            vocal = _quantized(_cut([joined], len(mixture)))
            waiting = [joined[len(mixture) :]]
            vocal_file.write(vocal.astype(np.int16))
            accompaniment_file.write(
                np.clip(mixture - vocal, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
            )


def _quantized(waveform: np.ndarray) -> np.ndarray:
    """Samples as int32 in the range of 16 bits; louder ones are clipped."""
    return np.clip(np.rint(waveform * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int32)


def _resampled(blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Blocks [S_i] at the rate of the stems."""
    import soxr

    stream = soxr.ResampleStream(rate, STEM_RATE, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _cut(blocks: list[np.ndarray], length: int) -> np.ndarray:
    """Blocks of samples, joined and cut or padded with zeros to a length."""
    joined = np.concatenate(blocks)[: max(0, length)]
    return np.pad(joined, [(0, max(0, length) - len(joined)), *[(0, 0)] * (joined.ndim - 1)])


def _folder_name(recording_id: str) -> str:
    """A portable name for the folder of a recording, another one for every id."""
    name = safe_name(recording_id, default="recording")
    if name == recording_id:
        return name
    return f"{name}-{hashlib.sha256(recording_id.encode()).hexdigest()[:8]}"


def _check_stems(name: str, path: str, stems: list[str | None]) -> None:
    """Check that both stems can be opened and are as long as the recording."""
    import soundfile

    if not all(stems):
        raise ValueError(
            f"{name} has one stem: expected vocal and accompaniment, or neither of them"
        )
    seconds = []
    for file in (path, *stems):
        try:
            seconds.append(soundfile.info(file).duration)
        except soundfile.SoundFileError as error:
            raise ValueError(f"{name}: {unreadable(repr(Path(str(file)).name), error)}") from error
    if max(seconds) - min(seconds) > LONGEST_DIFFERENCE:
        lengths = ", ".join(f"{length:.2f} s" for length in seconds)
        raise ValueError(
            f"{name}: mixture, vocal and accompaniment have {lengths}, expected one length; cut "
            "them to the same, or leave the stems out"
        )


__all__ = ["STEM_RATE", "SeparateOptions", "columns", "read_blocks", "separate", "unused_stems"]
