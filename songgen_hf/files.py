"""Writes files whole or not at all, makes portable file names, and encodes audio and JSON."""

import errno
import io
import json
import os
import re
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
"""Length of names that are made from text; with a folder and an ending far below any limit."""
RESERVED_NAMES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)
"""Names that denote devices on Windows, with any ending."""
FORBIDDEN_CHARACTERS = frozenset('<>:"|?*') | {chr(code) for code in range(32)}
"""Characters that names cannot contain on Windows, except the separators."""

TEMPORARY = ".songgen-part"
"""Ending of files and folders that are being written."""

SOUND_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
}
"""Container and subtype of each file ending."""


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files; if one of them cannot be written, none of them is changed.

    Args:
        contents: the content of each path; missing folders are created.
    Raises:
        OSError: naming the file that cannot be written.
        ValueError: if two paths are the same file on systems that ignore case (Windows and macOS),
            or a name is not valid on this system.
    """
    check_names(contents)
    written: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            with _disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    raise IsADirectoryError(f"{path} is a directory: give a file name")
                descriptor, name = tempfile.mkstemp(TEMPORARY, f".{path.name[:40]}.", path.parent)
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
    """Create a temporary directory that becomes ``directory`` if the block raises no error.

    Args:
        directory: final path, which must not exist or be empty; its parents are created.
    Raises:
        FileExistsError: if ``directory`` is a file or contains files.
        OSError: naming ``directory``, if the disk is full.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"{directory} is a file: give a directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty: give a new directory")
    with _disk_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        parent, prefix = directory.parent, f".{directory.name[:40]}."
        temporary = Path(tempfile.mkdtemp(TEMPORARY, prefix, parent))
    try:
        with _disk_errors(directory):
            yield temporary
        temporary.chmod(0o777 & ~_umask())
        with suppress(FileNotFoundError):
            directory.rmdir()  # Windows cannot replace even an empty directory
        os.replace(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(directory: Path) -> None:
    """Remove what processes that were killed while they wrote left in a directory.

    Args:
        directory: a directory in which no process writes now; it need not exist.
    """
    for path in directory.glob(f".*{TEMPORARY}"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Name the path if a file is too large for its disk; the block may write other files in it.

    safetensors, which cannot be imported here, raises errors of its own with the number of the
    system's error in their text.
    """
    try:
        yield
    except Exception as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        number = error.errno if isinstance(error, OSError) else found and int(found[1])
        if number is None or number not in (
            errno.ENOSPC,
            errno.EFBIG,
            getattr(errno, "EDQUOT", errno.ENOSPC),
        ):
            raise
        raise OSError(
            f"cannot write {path}: {os.strerror(number)}; free space there, or name a path on "
            "another disk"
        ) from error


def safe_name(words: str, *, default: str = "song", longest: int = LONGEST_NAME) -> str:
    """Make a file name, without an ending, that is valid and unchanged on every system.

    Letters and digits of any script are kept, in lower case and composed (Unicode NFC); all other
    characters become hyphens. The result is therefore not hidden, stays in its folder, is no device
    on Windows, and does not differ from another name by case alone.

    Args:
        words: a title, a line of lyrics or an id.
        default: name for text without letters and digits; prefix of a name that is a device.
        longest: maximum number of characters; the name also has at most 150 bytes.
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
    """Check that paths are valid and different files.

    Args:
        paths: paths of files that are written together.
        windows: whether to check for names that are devices or streams on Windows.
    Raises:
        ValueError: for the first invalid path.
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
    waveform: "np.ndarray",
    sampling_rate: int,
    path: Path | str,
    *,
    gain: float = 1.0,
    tags: Mapping[str, str] | None = None,
) -> bytes:
    """Encode an audio file in the format of a path's ending.

    Args:
        waveform: float [channels, samples]; values outside of [-1, 1] after ``gain`` are clipped.
        sampling_rate: sampling rate in Hz.
        path: path whose ending selects the format; no file is written.
        gain: factor on all samples.
        tags: text of each tag, such as ``title``, in the order of writing.
    Raises:
        ValueError: for an ending other than .wav, .flac, .mp3 or .ogg.
    """
    import numpy as np
    import soundfile

    container, subtype = sound_format(path)
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", sampling_rate, len(waveform), subtype=subtype, format=container
    ) as file:
        for tag, text in (tags or {}).items():
            setattr(file, tag, text)
        file.write(np.clip(waveform.T * gain, -1.0, 1.0))
    return buffer.getvalue()


def sound_format(path: Path | str) -> tuple[str, str]:
    """Container and subtype for the ending of a path; ValueError for an unknown ending."""
    ending = Path(path).suffix.lower()
    if ending not in SOUND_FORMATS:
        raise ValueError(
            f"cannot tell the sound format of {str(path)!r}: expected a name that ends in "
            f"{', '.join(SOUND_FORMATS)}"
        )
    return SOUND_FORMATS[ending]


def safe_gain(*waveforms: "np.ndarray | None") -> float:
    """The largest gain, at most 1.0, that keeps all waveforms within [-1, 1]."""
    peaks = [float(abs(wave).max()) for wave in waveforms if wave is not None and wave.size]
    return 1.0 / max([1.0, *peaks])


def encode_json(value: Any) -> bytes:
    """Encode a value as indented JSON in UTF-8, with a newline at the end."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _umask() -> int:
    """The file mode mask of this process, which can only be read by setting it twice."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


__all__ = [
    "SOUND_FORMATS",
    "TEMPORARY",
    "check_names",
    "encode_json",
    "encode_sound",
    "new_directory",
    "remove_leftovers",
    "safe_gain",
    "safe_name",
    "sound_format",
    "write_files",
]
