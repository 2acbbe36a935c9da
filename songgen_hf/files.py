"""Files that are written whole or not at all, names that every system takes, sound formats."""

import io
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LONGEST_NAME = 60
"""Characters of a name that is made from words: with folder and ending, far below any limit."""
RESERVED_NAMES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)
"""Names that are devices on Windows, whatever ending follows."""
FORBIDDEN_CHARACTERS = frozenset('<>:"|?*') | {chr(code) for code in range(32)}
"""Characters that names cannot have on Windows, but for the separators."""

SOUND_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files; an error before the last byte of the last one leaves none of them.

    Args:
        contents: the bytes of each path; missing folders are made.
    Raises:
        OSError: if a file cannot be written; no path is changed then.
        ValueError: if two paths are one file where upper and lower case are alike (Windows and
            macOS), or a name cannot be a file on this system.
    """
    check_names(contents)
    written: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a directory: give a file name")
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
            written.append((Path(name), path))
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(name, 0o666 & ~_umask())
        for temporary, path in written:
            os.replace(temporary, path)
    finally:
        for temporary, _ in written:
            with suppress(FileNotFoundError):
                temporary.unlink()


@contextmanager
def new_directory(directory: Path | str) -> Iterator[Path]:
    """A temporary directory that becomes ``directory`` when the block ends without an error.

    Args:
        directory: where the files end up, new or empty; made with its parents.
    Raises:
        FileExistsError: if ``directory`` is a file or holds files.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"{directory} is a file: give a directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty: give a new directory")
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name[:40]}.", dir=directory.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        with suppress(FileNotFoundError):
            directory.rmdir()  # empty; Windows does not put a directory in place of another
        os.replace(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def safe_name(words: str, *, default: str = "song", longest: int = LONGEST_NAME) -> str:
    """A file name from words, without an ending, that every system takes and keeps as it is.

    Letters and digits of any script stay, in lower case and composed (Unicode NFC); everything
    else becomes a hyphen. So no name hides, climbs out of its folder, is a device on Windows, or
    differs from another by its case alone.

    Args:
        words: a title, a line of lyrics, an id.
        default: the name if nothing is left; put before a name that is a device.
        longest: characters; a name of a script with long codes is cut to 150 bytes.
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", words).lower())
    kept = "".join(
        letter if letter.isalnum() or unicodedata.category(letter).startswith("M") else "-"
        for letter in plain
    )
    name = "-".join(part for part in kept.split("-") if part)[:longest]
    name = name.encode()[:150].decode(errors="ignore").strip("-")
    if name in RESERVED_NAMES:
        name = f"{default}-{name}"
    return name or default


def check_names(paths: Iterable[Path], *, windows: bool = os.name == "nt") -> None:
    """Refuse paths that would not be the files they name.

    Args:
        paths: of files to write together.
        windows: whether the system is Windows, where some names are devices or streams.
    Raises:
        ValueError: naming the path.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        same = seen.setdefault(unicodedata.normalize("NFC", str(path)).lower(), path)
        if same is not path:
            raise ValueError(
                f"{path} and {same} are one file where upper and lower case are alike: "
                "give names that differ otherwise"
            )
        name = path.name
        if windows and (
            name.partition(".")[0].rstrip().lower() in RESERVED_NAMES
            or name.endswith((".", " "))
            or not FORBIDDEN_CHARACTERS.isdisjoint(name)
        ):
            raise ValueError(f"{name!r} cannot be a file on Windows: give another name")


def encode_sound(
    waveform: "np.ndarray", sampling_rate: int, path: Path | str, *, gain: float = 1.0
) -> bytes:
    """Bytes of a sound file in the format that the path's ending names.

    Args:
        waveform: float [channels, samples]; what lies outside [-1, 1] after ``gain`` is clipped.
        sampling_rate: Hz.
        path: tells the format only; nothing is written.
        gain: factor on every sample.
    Raises:
        ValueError: for an ending other than .wav, .flac or .ogg.
    """
    import numpy as np
    import soundfile

    container, subtype = sound_format(path)
    buffer = io.BytesIO()
    samples = np.clip(waveform.T * gain, -1.0, 1.0)
    soundfile.write(buffer, samples, sampling_rate, format=container, subtype=subtype)
    return buffer.getvalue()


def sound_format(path: Path | str) -> tuple[str, str]:
    """Container and subtype that a path's ending names; ValueError for any other ending."""
    ending = Path(path).suffix.lower()
    if ending not in SOUND_FORMATS:
        raise ValueError(
            f"cannot tell the sound format of {str(path)!r}: expected a name that ends in "
            f"{', '.join(SOUND_FORMATS)}"
        )
    return SOUND_FORMATS[ending]


def safe_gain(*waveforms: "np.ndarray | None") -> float:
    """The largest factor up to 1.0 that keeps every waveform within [-1, 1]."""
    peaks = [float(abs(wave).max()) for wave in waveforms if wave is not None and wave.size]
    return 1.0 / max([1.0, *peaks])


def encode_json(value: Any) -> bytes:
    """UTF-8 bytes of a JSON file, indented, with a last newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _umask() -> int:
    """The process's file mode mask; reading it means setting it, so it is set back at once."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


__all__ = [
    "SOUND_FORMATS",
    "check_names",
    "encode_json",
    "encode_sound",
    "new_directory",
    "safe_gain",
    "safe_name",
    "sound_format",
    "write_files",
]
