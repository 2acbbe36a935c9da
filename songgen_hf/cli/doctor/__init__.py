"""Report what is installed, what is missing and how to get it, and which models fit this machine.

Exit status 1 if something that generation needs is broken.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..flags import option
from ..loading import RevisionOptions, progress_bars_in_terminals, use_threads
from ..output import EXIT_DONE, EXIT_FAILED, CommandResult
from .installation import (
    PYTHONS,
    describe_extras,
    describe_packages,
    describe_python,
    describe_system,
)
from .text import lines_of

NEEDS_MODELS = False  # the command has to work where the models cannot be imported

SONG_SECONDS = 30.0
"""Length of the song that has to fit, with guidance: the longest that the published model makes."""
RESERVE_BYTES = 2**30
"""Memory for the interpreter, its libraries and the codec, beside weights, keys and values."""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(RevisionOptions):
    """Options of ``songgen-hf doctor``."""

    model: str | None = option(None, "also report whether this model fits", positional=True)
    sing: bool = option(False, "generate one second of song and measure the time")


OPTIONS = DoctorOptions


def run(options: DoctorOptions) -> CommandResult:
    """Examine everything; what is broken does not keep the rest from being reported."""
    from importlib.metadata import PackageNotFoundError

    from ...version import __version__

    facts: dict[str, Any] = {"songgen_hf": __version__, "python": describe_python()}
    notes: list[str] = []
    try:
        facts |= {"packages": describe_packages(), "extras": describe_extras()}
    except (PackageNotFoundError, ImportError) as error:
        facts |= {"packages": {}, "extras": {}}
        notes.append(f"requirements cannot be checked ({_line(error)}): install with pip")
    problems = _broken(facts)
    if not problems:
        examine_machine(facts, options, problems, notes)
    facts |= {"problems": problems, "notes": notes, "works": not problems}
    text = "\n".join(lines_of(facts, seconds=SONG_SECONDS))
    return CommandResult(facts, text, EXIT_FAILED if problems else EXIT_DONE)


def examine_machine(
    facts: dict[str, Any], options: DoctorOptions, problems: list[str], notes: list[str]
) -> None:
    """Add what needs torch: devices, models, the Hub's cache, and a second of song.

    Raises:
        ValueError, OSError: if the model that was named cannot be loaded.
    """
    from .machine import describe_devices, describe_hub

    try:
        import_module("transformers.pipelines")  # the models are registered after it
    except Exception as error:  # a broken installation can raise anything
        problems.append(f"the models cannot be used: {_line(error)}; install with pip")
        return
    devices, hub = describe_devices(), describe_hub()
    facts |= {"system": describe_system(), "devices": devices, "hub": hub}
    if not hub["writable"]:
        notes.append(f"{hub['cache']} cannot be written: downloads will fail; set HF_HOME")
    facts["models"] = [
        describe_model(name, config, devices)
        for name, config in known_models(options.model, options.revision, problems)
    ]
    if options.sing:
        try:
            facts["sung"] = generate_second(options)
        except Exception as error:  # whatever it is, it keeps the user from generating
            problems.append(f"cannot sing: {_line(error)}")


def known_models(
    model: str | None, revision: str | None, problems: list[str]
) -> Iterator[tuple[str, Any]]:
    """Names and configurations: the package's own models, the presets, and ``model``.

    Raises:
        ValueError, OSError: if ``model`` is not a song model that can be loaded.
    """
    from transformers import AutoConfig

    from ...checkpoints.embedded import EMBEDDED, EMBEDDED_NAME, EMBEDDED_PATTERNS
    from ...checkpoints.loading import resolve_checkpoint
    from ...presets.models import build_config, build_processor, fit_to_processor

    for pattern in EMBEDDED_PATTERNS:
        if not (EMBEDDED / pattern / "config.json").is_file():
            continue
        try:
            yield f"{EMBEDDED_NAME}/{pattern}", AutoConfig.from_pretrained(EMBEDDED / pattern)
        except (OSError, ValueError) as error:
            problems.append(f"the package's own model cannot be read: {_line(error)}")
    mini: Any = build_config("mini")
    mini.text_encoder.vocab_size = mini.lyrics_encoder.vocab_size = 0
    yield "preset mini", fit_to_processor(mini, build_processor("mini"))
    yield "preset full", build_config("full")
    if model is not None:
        checkpoint = resolve_checkpoint(model)
        config = AutoConfig.from_pretrained(checkpoint, revision=revision)
        if config.model_type != "songgen":
            raise ValueError(f"{model} is of type {config.model_type!r}: expected 'songgen'")
        yield model, config


def describe_model(name: str, config: Any, devices: list[dict[str, Any]]) -> dict[str, Any]:
    """The memory that a model takes, and whether it fits on each device.

    A device gets the precision that is advised there; bfloat16 only if the model fits no other way.
    """
    from ..footprint import DTYPES, cache_bytes, count_parameters, empty_model, weight_bytes

    model = empty_model(config)
    weights = {dtype: weight_bytes(model, dtype) for dtype in DTYPES}
    fits = {}
    for device in devices:
        free = device["free_bytes"]
        dtypes = [device["advice"], *(["bfloat16"] if device["bfloat16"] else [])]
        for dtype in dict.fromkeys(dtypes):
            on_cpu = device["device"] == "cpu"
            song = cache_bytes(config, SONG_SECONDS, guidance=True, dtype=dtype, on_cpu=on_cpu)
            needed = RESERVE_BYTES + weights[dtype] + song
            fit = {"dtype": dtype, "needed_bytes": needed, "another_song_bytes": song}
            fits[device["device"]] = fit | {"fits": None if free is None else free >= needed}
            if free is None or free >= needed:
                break
    return {
        "model": name,
        "track_pattern": config.decoder.track_pattern,
        "parameters": count_parameters(model)["total"],
        "weight_bytes": weights,
        "cache_bytes_per_minute": {dtype: cache_bytes(config, 60, dtype=dtype) for dtype in DTYPES},
        "fits": fits,
    }


def generate_second(options: DoctorOptions) -> dict[str, Any]:
    """Generate one second of song and measure the time.

    Raises:
        RuntimeError: if the result holds no sound.
    """
    import numpy as np

    from ...checkpoints.loading import load_pipeline

    started = time.perf_counter()
    with progress_bars_in_terminals():
        pipeline = load_pipeline(options.model, revision=options.revision)
        use_threads(None, pipeline)
    loaded = time.perf_counter()
    pipeline("folk", lyrics="la", seed=0, max_seconds=0.1)  # the first song takes extra time
    ready = time.perf_counter()
    song = pipeline("folk", lyrics="la", seed=0, min_seconds=1, max_seconds=1)
    seconds = time.perf_counter() - ready
    waveform = song["audio"]
    duration = waveform.shape[-1] / song["sampling_rate"]
    if not waveform.size or not np.isfinite(waveform).all() or not waveform.any():
        raise RuntimeError(f"the song holds {waveform.size} samples and no sound")
    return {
        "device": str(pipeline.device),
        "load_seconds": loaded - started,
        "seconds": seconds,
        "duration": duration,
        "rtf": seconds / duration,
    }


def _broken(facts: Mapping[str, Any]) -> list[str]:
    """What keeps the package from working at all."""
    problems = [
        f"{name} {package['problem']}: pip install '{name}{package['required']}'"
        for name, package in facts["packages"].items()
        if package["problem"]
    ]
    if not facts["python"]["supported"]:
        oldest = ".".join(map(str, PYTHONS[0]))
        problems.append(f"Python {facts['python']['version']} is too old: {oldest} is needed")
    return problems


def _line(error: BaseException) -> str:
    """An error as one line."""
    return " ".join(str(error).split()) or type(error).__name__
