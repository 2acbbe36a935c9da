"""Plays a song while it is generated, or writes its samples to standard output."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

STDOUT = Path("-")
AHEAD_SECONDS = 10.0
"""Seconds of audio that are generated ahead of what is played."""

Sink = Callable[["np.ndarray"], None]
"""Takes the next samples of the mixture, float32 [S]."""


def check_stream(options: Any) -> None:
    """Refuse what a stream cannot do, before a model is loaded.

    Raises:
        ValueError: for several songs, a terminal as standard output, or a missing player.
    """
    flag = "--play" if options.play else "--out -"
    if options.num_songs != 1:
        raise ValueError(f"{flag} is for one song: got --num-songs {options.num_songs}")
    if options.out == STDOUT and sys.stdout is sys.stderr:
        raise ValueError("--out - and --json both write to standard output: drop one")
    if options.out == STDOUT and sys.stdout.isatty():
        raise ValueError("--out - writes raw samples: redirect standard output, as to `| aplay`")
    if options.play and not _sounddevice():
        player_command(1)


def stream(pipeline: Any, options: Any, arguments: dict[str, Any]) -> Any:
    """Generate a song, play it or write it to standard output meanwhile, and return it.

    A masked model has no part of a song before the whole, which is then played.

    Args:
        pipeline: the pipeline.
        options: options of the command.
        arguments: arguments of the pipeline; those that are None or off are left out.
    Raises:
        ValueError: without a player, or for options that need several songs.
    """
    from ...pipelines.streaming import stream_pipeline

    rate = pipeline.codec.config.sampling_rate if pipeline.mode == "masked" else None
    with _sink(options, rate or pipeline.model.config.sampling_rate) as sink:
        if pipeline.mode == "masked":
            song = pipeline(options.text, **arguments)
            sink(song["audio"][0])
            return song
        with stream_pipeline(pipeline, options.text, ahead=AHEAD_SECONDS, **arguments) as chunks:
            for chunk in chunks:
                sink(chunk.waveform.numpy())
        return chunks.song


def as_pcm(samples: "np.ndarray") -> bytes:
    """Return samples [S] in [-1, 1] as signed 16-bit little-endian PCM; louder ones are clipped."""
    import numpy as np

    return np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def player_command(rate: int) -> list[str]:
    """Return the command of a program that plays PCM from its standard input.

    Raises:
        ValueError: if there is none on the PATH.
    """
    if (ffplay := shutil.which("ffplay")) is not None:
        form = ["-f", "s16le", "-ar", str(rate), "-ch_layout", "mono"]
        return [ffplay, "-loglevel", "error", "-nodisp", "-autoexit", *form, "-i", "-"]
    if (aplay := shutil.which("aplay")) is not None:
        return [aplay, "-q", "-t", "raw", "-f", "S16_LE", "-r", str(rate), "-c", "1", "-"]
    raise ValueError(
        "--play found no player: pip install sounddevice, or install ffplay (ffmpeg) or aplay "
        "(alsa-utils)"
    )


@contextmanager
def _sink(options: Any, rate: int) -> Iterator[Sink]:
    """What takes the samples: standard output, a player or both."""
    if options.out == STDOUT and not options.play:
        yield _to_stdout
        return
    with _player(rate) as play:
        if options.out != STDOUT:
            yield play
            return

        def both(samples: "np.ndarray") -> None:
            _to_stdout(samples)
            play(samples)

        yield both


def _to_stdout(samples: "np.ndarray") -> None:
    sys.stdout.buffer.write(as_pcm(samples))
    sys.stdout.buffer.flush()


@contextmanager
def _player(rate: int) -> Iterator[Sink]:
    """Plays samples; leaving the block waits for the end, or stops after an error."""
    if (sounddevice := _sounddevice()) is not None:
        with sounddevice.OutputStream(samplerate=rate, channels=1, dtype="float32") as output:
            yield lambda samples: output.write(samples[:, None].copy())
        return
    process = subprocess.Popen(player_command(rate), stdin=subprocess.PIPE)
    assert process.stdin is not None
    pipe = process.stdin
    try:
        yield lambda samples: _feed(pipe, samples)
        pipe.close()
        process.wait()
    finally:
        process.kill()
        process.wait()


def _feed(pipe: Any, samples: "np.ndarray") -> None:
    pipe.write(as_pcm(samples))
    pipe.flush()


def _sounddevice() -> Any:
    """The package sounddevice, or None without it or its library PortAudio."""
    try:
        return importlib.import_module("sounddevice")
    except (ImportError, OSError):
        return None
