"""Loads separators by name and removes the accompaniment from waveforms and reference voices.

``mini`` is the network that the package contains (trained on rendered songs alone). A folder that
``songgen-hf train separator`` wrote and the name of a Demucs model (extra ``separate``) work, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..modeling.audio_io import AudioSource, read_audio, resample
from ..optional import require
from .devices import checked_device
from .embedded import SEPARATOR_NAME, find_checkpoint

MINI = "mini"
DEMUCS_MODELS = (
    *("htdemucs", "htdemucs_ft", "htdemucs_6s", "hdemucs_mmi"),
    *("mdx", "mdx_extra", "mdx_q", "mdx_extra_q"),
)
MINI_RATE = 24_000  # Hz at which ``mini`` is used; frequencies above 12 kHz are removed
DEMUCS_SECONDS = 30.0  # length of the blocks of Demucs models
DEMUCS_MARGIN, DEMUCS_FADE = 8.0, 1.0  # seconds around a block, and of crossfade between blocks
SEPARATE_VOICE = {"auto": "auto", "always": True, "never": False, True: True, False: False}
"""The values of ``separate_voice`` besides names of separators, and what they stand for."""
CONTEXT_SECONDS = 2.0
"""Seconds around a reference voice that the separator hears, too."""
_AUDIBLE_BAND, _AUDIBLE_VOICE = -15.0, 10.0  # dB of the accompaniment relative to the voice


class Separator(NamedTuple):
    """A network that extracts vocals.

    Args:
        rate: sampling rate of its input and output in Hz.
        channels: number of channels of its input.
        vocal: samples [S_i, channels] of a recording -> samples [S_j] of its vocal; ``keep=`` as of
            ``modeling.listening.separator.map_blocks``.
    """

    rate: int
    channels: int
    vocal: Callable[..., Iterator[np.ndarray]]


def check_separator(name: str, *words: str) -> None:
    """Check that a name is one of ``words``, ``mini``, that of a Demucs model, or a folder.

    Raises:
        ValueError: if it is none of them.
    """
    known = (*words, MINI, *DEMUCS_MODELS)
    if name not in known and not Path(name).is_dir():
        raise ValueError(
            f"unknown separator: got {name!r}, expected a folder or one of {', '.join(known)}"
        )


@cache
def load_separator(name: str, device: str = "cpu") -> Separator:
    """Load a separator once per process.

    Raises:
        ValueError: if the name is unknown, or its folder holds no separator.
        ImportError: if the package of the separator is not installed.
    """
    from ..modeling.listening.separator import VocalSeparator

    check_separator(name)
    if name in DEMUCS_MODELS:
        return demucs_separator(name, device=device)
    folder = find_checkpoint(SEPARATOR_NAME) if name == MINI else name
    try:
        network = VocalSeparator.from_pretrained(folder).to(checked_device(device))
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error
    return Separator(MINI_RATE, 1, partial(network.vocal_blocks, rate=MINI_RATE))


def demucs_separator(name: str, *, device: str = "cpu") -> Separator:
    """Load a model of the package demucs, which downloads its weights on first use.

    Raises:
        ImportError: if demucs is not installed.
        ValueError: if the weights cannot be had.
    """
    import torch

    from ..modeling.listening.separator import map_blocks

    require("demucs", "separate")
    api = require("demucs.api", "separate")
    try:
        # Without random shifts, so that the same recording gives the same stems.
        model = api.Separator(name, device=checked_device(device), shifts=0)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"cannot load the Demucs model {name}: {reason}; connect to the internet once, or pass "
            f"another separator, such as {MINI}"
        ) from error
    rate = int(model.samplerate)

    def extract(block: np.ndarray) -> np.ndarray:
        _, stems = model.separate_tensor(torch.from_numpy(block.T.copy()))
        return stems["vocals"].mean(dim=0).cpu().numpy()

    separate_blocks = partial(
        map_blocks,
        process=extract,
        size=round(DEMUCS_SECONDS * rate),
        margin=round(DEMUCS_MARGIN * rate),
        fade=round(DEMUCS_FADE * rate),
    )
    return Separator(rate, int(model.audio_channels), separate_blocks)


def extract_vocal(
    waveform: np.ndarray, rate: int, *, separator: str = MINI, device: str = "cpu"
) -> np.ndarray:
    """Extract the vocal of a waveform.

    Args:
        waveform: float32 [S], mono.
        rate: sampling rate in Hz.
        separator: ``mini``, the folder of a separator, or the name of a Demucs model.
        device: device of the network.
    Returns:
        float32 [S] at the same rate; frequencies above half of the separator's rate are removed.
    """
    network = load_separator(separator, device)
    mixture = resample(np.asarray(waveform, np.float32), rate, network.rate)
    channels = np.repeat(mixture[:, None], network.channels, axis=1)
    vocal = np.concatenate([*network.vocal([channels]), np.zeros(0, np.float32)])
    vocal = resample(vocal, network.rate, rate)[: len(waveform)]
    return np.pad(vocal, (0, len(waveform) - len(vocal)))


def separate_voice(
    source: AudioSource,
    start: float = 0.0,
    *,
    seconds: float = 3.0,
    separate: Any = "auto",
) -> tuple[AudioSource, float]:
    """Remove the accompaniment from a reference voice.

    Args:
        source: the recording, in any form that the processor takes.
        start: second at which the used part begins.
        seconds: length of the used part.
        separate: "auto" separates with ``mini`` if voice and accompaniment are both audible in the
            used part: if the rest is between 15 dB below and 10 dB above the vocal. True or
            "always" separates in any case; False or "never" does not. The name of a separator (see
            :func:`extract_vocal`) separates with it in any case.
    Returns:
        ``reference_voice`` and ``voice_start`` of a pipeline: the arguments, or the separated part
        and 0.
    Raises:
        TypeError: if ``separate`` is neither a string nor a bool.
        ValueError: for an unknown separator, or if the recording cannot be read.
        ImportError: if the package of the separator is not installed.
    """
    if not isinstance(separate, str | bool):
        raise TypeError(f"separate_voice must be a bool or a string: got {separate!r}")
    separate = SEPARATE_VOICE.get(separate, separate)
    if separate is False:
        return source, start
    separator = MINI if separate in (True, "auto") else separate
    check_separator(separator, "auto", "always", "never")
    read_audio(source, MINI_RATE, start=start, duration=seconds)  # refuses a start after the end
    before = min(start, CONTEXT_SECONDS)  # the network hears what is around a place
    heard = read_audio(
        source, MINI_RATE, start=start - before, duration=before + seconds + CONTEXT_SECONDS
    )
    part = slice(round(before * MINI_RATE), round((before + seconds) * MINI_RATE))
    vocal = extract_vocal(heard, MINI_RATE, separator=separator)
    if separate == "auto":
        rest, sung = np.square(heard[part] - vocal[part]).sum(), np.square(vocal[part]).sum()
        ratio = 10 * np.log10((rest + 1e-12) / (sung + 1e-12))
        if not _AUDIBLE_BAND < ratio < _AUDIBLE_VOICE:
            return source, start
    return (vocal[part], MINI_RATE), 0.0


__all__ = [
    "DEMUCS_MODELS",
    "MINI",
    "SEPARATE_VOICE",
    "Separator",
    "check_separator",
    "demucs_separator",
    "extract_vocal",
    "load_separator",
    "separate_voice",
]
