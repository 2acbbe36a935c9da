"""Files that are no short recording, and what a Space answers to them.

`space_clients.py` sends them; each answer has to be its own and to name no path of the server.
"""

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile

SUNG = ""
"""What is expected of a file that is strange but a recording: a song."""
UPLOADS = {
    "empty.wav": "annot read the reference voice",
    "text.wav": "annot read the reference voice",
    "archive.wav": "annot read the reference voice",
    "three-hours.wav": "silent|lasts 3.0 h|annot read",
    "three-hours.flac": "lasts 3.0 h",
    "bomb.flac": "silent",
    "nan.wav": "NaN or infinite samples",
    "eight-channels.wav": SUNG,
    "%2e%2e%2f; rm -rf $HOME.wav": SUNG,
}
"""Name of the file -> pattern of the error."""
REQUEST = {"lyrics": "la", "text": "folk", "seconds": 1.0, "seed": 1}
SECRETS = re.compile(r"Traceback|site-packages|/tmp|/home|/root|\.py\b|<")
"""What no answer may have: traces, paths of the server, HTML."""


def write_uploads(folder: Path) -> dict[str, Path]:
    """Write all files into a new folder."""
    folder.mkdir()
    paths = {name: folder / name for name in UPLOADS}
    tone = 0.3 * np.sin(np.arange(5 * 192_000) * 0.01)
    paths["empty.wav"].write_bytes(b"")
    paths["text.wav"].write_text("no sound")
    paths["archive.wav"].write_bytes(b"PK\x03\x04" + bytes(3000))
    # A header that promises three hours.
    size = 3 * 3600 * 16_000 * 2
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1,
                       16_000, 32_000, 2, 16, b"data", size)  # fmt: skip
    paths["three-hours.wav"].write_bytes(head + bytes(3200))
    _write_silence(paths["three-hours.flac"], 1_000, 1, 3 * 3600)
    _write_silence(paths["bomb.flac"], 192_000, 8, 60)  # 92 million samples
    sound = tone[:48_000].astype(np.float32)
    sound[7] = np.nan
    soundfile.write(paths["nan.wav"], sound, 16_000, "FLOAT")
    soundfile.write(paths["eight-channels.wav"], np.tile(tone[:, None], 8), 192_000)
    soundfile.write(paths["%2e%2e%2f; rm -rf $HOME.wav"], tone[:48_000], 16_000)
    return paths


def _write_silence(path: Path, rate: int, channels: int, seconds: int) -> None:
    """Write a file of silence, which takes much less of the disk than of memory."""
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16") as file:
        for _ in range(0, seconds, 10):
            file.write(np.zeros((10 * rate, channels), np.int16))


def send_uploads(connected: Callable[[], Any], uploads: dict[str, Path]) -> list[str]:
    """Send each file as a reference voice; the answers that are wrong."""
    from gradio_client import handle_file

    wrong = []
    client = connected()
    try:
        for name, path in uploads.items():
            try:
                client.predict(**REQUEST, voice=handle_file(path), api_name="/sing")
                told = SUNG
            except Exception as error:
                told = str(error)
            if SECRETS.search(told) or bool(told) != bool(UPLOADS[name]):
                wrong.append(f"{name}: {told!r}")
            elif not re.search(UPLOADS[name], told):
                wrong.append(f"{name}: {told!r}, expected {UPLOADS[name]!r}")
    finally:
        client.close()
    return wrong


def send_path_like_names(address: str, folder: Path) -> list[str]:
    """Upload files with paths as names; those that were written outside of the Space's folder."""
    wrong = []
    for name in ("../../../../evil.wav", "/etc/evil.wav", "..\\evil.wav", "evil\x00.wav"):
        answer = httpx.post(
            f"{address}/gradio_api/upload",
            files={"files": (name, b"RIFF" + bytes(40), "audio/wav")},
            timeout=60,
        )
        if answer.status_code == 200:
            wrong += [
                f"{name!r} was written to {path}"
                for path in answer.json()
                if not Path(path).resolve().is_relative_to(folder.resolve())
            ]
        elif answer.status_code >= 500 or SECRETS.search(answer.text):
            wrong.append(f"{name!r}: status {answer.status_code}, {answer.text[:200]!r}")
    return wrong
