"""Say what is installed, what is missing and how to get it, and which models fit this machine.

Exit status 1 if something that singing needs is broken.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ...checkpoints.loading import resolve_checkpoint
from ..output import EXIT_DONE, EXIT_FAILED, CommandResult
from .installation import (
    PYTHONS,
    describe_extras,
    describe_packages,
    describe_python,
    describe_system,
)

HELP = "say what is installed and which model fits"
NEEDS_MODELS = False  # it has to answer where they cannot even be imported

SONG_SECONDS = 30.0
"""The song that has to fit: what the published model sings at most, with guidance."""
RESERVE_BYTES = 2**30
"""Room for the interpreter, its libraries and the codec beside weights, keys and values."""
GIB = 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf doctor``."""
    parser.add_argument("model", nargs="?", help="also say whether this model fits")
    parser.add_argument("--revision", help="branch, tag or commit of a Hub checkpoint")
    parser.add_argument(
        "--sing", action="store_true", help="sing one second and say how long it takes"
    )


def run(arguments: argparse.Namespace) -> CommandResult:
    """Examine everything; what is broken does not keep the rest from being told."""
    from importlib.metadata import PackageNotFoundError

    from ...version import __version__

    facts: dict[str, Any] = {"songgen_hf": __version__, "python": describe_python()}
    problems: list[str] = []
    notes: list[str] = []
    try:
        facts |= {"packages": describe_packages(), "extras": describe_extras()}
    except (PackageNotFoundError, ImportError) as error:
        facts |= {"packages": {}, "extras": {}}
        notes.append(f"requirements cannot be checked ({_line(error)}): install with pip")
    problems += _broken(facts)
    if not problems:
        examine_machine(facts, arguments, problems, notes)
    facts |= {"problems": problems, "notes": notes, "works": not problems}
    return CommandResult(facts, "\n".join(words(facts)), EXIT_FAILED if problems else EXIT_DONE)


def examine_machine(
    facts: dict[str, Any], arguments: argparse.Namespace, problems: list[str], notes: list[str]
) -> None:
    """What needs torch: devices, models, the Hub's cache, and a second of song.

    Raises:
        ValueError, OSError: if the model that was named cannot be had.
    """
    from ... import register
    from .machine import describe_devices, describe_hub

    try:
        register()
    except Exception as error:  # a broken installation can raise anything
        problems.append(f"the models cannot be used: {_line(error)}; install with pip")
        return
    facts |= {
        "system": describe_system(),
        "devices": describe_devices(),
        "hub": describe_hub(),
        "models": [],
    }
    if not facts["hub"]["writable"]:
        notes.append(f"{facts['hub']['cache']} cannot be written: downloads will fail; set HF_HOME")
    for name, config in known_models(arguments.model, arguments.revision, problems):
        facts["models"].append(describe_model(name, config, facts["devices"]))
    if arguments.sing:
        try:
            facts["sung"] = sing(arguments.model, arguments.revision)
        except Exception as error:  # whatever it is, it keeps the user from singing
            problems.append(f"cannot sing: {_line(error)}")


def known_models(
    model: str | None, revision: str | None, problems: list[str]
) -> Iterator[tuple[str, Any]]:
    """Names and configurations: the package's own models, the presets, and ``model``.

    Raises:
        ValueError, OSError: if ``model`` is no song model that can be had.
    """
    from transformers import AutoConfig

    from ...checkpoints.embedded import EMBEDDED, EMBEDDED_NAME, EMBEDDED_PATTERNS
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
    """What a model takes, and on which device it fits in the precision that is advised there."""
    from ..footprint import DTYPES, footprint

    sizes = footprint(config)
    fits = {}
    for device in devices:
        free = device["free_bytes"]
        dtypes = [device["advice"], *(["bfloat16"] if device["bfloat16"] else [])]
        for dtype in dict.fromkeys(dtypes):  # half the precision only where it is needed
            song = sizes.cache_bytes(SONG_SECONDS, guidance=True, dtype=dtype)
            needed = RESERVE_BYTES + sizes.weight_bytes(dtype) + song
            fit = {"dtype": dtype, "needed_bytes": needed, "another_song_bytes": song}
            fits[device["device"]] = fit | {"fits": None if free is None else free >= needed}
            if free is None or free >= needed:
                break
    return {
        "model": name,
        "track_pattern": config.decoder.track_pattern,
        "parameters": sizes.num_parameters,
        "weight_bytes": {dtype: sizes.weight_bytes(dtype) for dtype in DTYPES},
        "cache_bytes_per_minute": {dtype: sizes.cache_bytes(60, dtype=dtype) for dtype in DTYPES},
        "fits": fits,
    }


def sing(model: str | None, revision: str | None) -> dict[str, Any]:
    """Sing one second and measure.

    Raises:
        RuntimeError: if what comes out is no sound.
    """
    import numpy as np

    from .. import models_ready
    from ..loading import load_pipeline

    named = {"model": model, "revision": revision, "adapter": None}
    started = time.perf_counter()
    with models_ready():
        pipeline = load_pipeline(argparse.Namespace(**named, device="auto", dtype="auto"))
    loaded = time.perf_counter()
    pipeline("folk", lyrics="la", seed=0, max_seconds=0.1)  # what only the first song costs
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


def words(facts: Mapping[str, Any]) -> Iterator[str]:
    """The findings as lines."""
    python = facts["python"]
    yield f"songgen-hf {facts['songgen_hf']}, Python {python['version']}, {python['platform']}"
    yield from _section("packages", _package_lines(facts["packages"]))
    yield from _section("extras", _extra_lines(facts["extras"]))
    yield from _section("system", _system_lines(facts.get("system", {})))
    yield from _section("devices", _device_lines(facts.get("devices", ())))
    yield from _section(
        f"models (needed for {SONG_SECONDS:g} s of song with guidance)",
        _model_lines(facts.get("models", ())),
    )
    if hub := facts.get("hub"):
        state = "offline (HF_HUB_OFFLINE)" if hub["offline"] else "online"
        yield f"Hub: {state}, cache {hub['cache']}, {_size(hub['free_bytes'])} free"
    if sung := facts.get("sung"):
        yield (
            f"sang {sung['duration']:.2f} s in {sung['seconds']:.2f} s on {sung['device']}: "
            f"{sung['rtf']:.2f} s for a second (loaded in {sung['load_seconds']:.1f} s)"
        )
    yield from (f"note: {note}" for note in facts["notes"])
    yield from (f"PROBLEM: {problem}" for problem in facts["problems"])
    if facts["works"]:
        yield "ready to sing" if "sung" in facts else "nothing is broken; --sing tries it"


def _package_lines(packages: Mapping[str, Any]) -> Iterator[str]:
    for name, package in packages.items():
        yield f"{name:<18} {package['version'] or '-':<12} {package['problem'] or 'ok'}"


def _extra_lines(extras: Mapping[str, Any]) -> Iterator[str]:
    for name, extra in extras.items():
        lacks = ", ".join(f"{part} ({problem})" for part, problem in extra["missing"].items())
        yield f"{name:<12} {'complete' if extra['complete'] else 'incomplete':<11} {extra['gives']}"
        if lacks:
            yield f"{'':<12} lacks {lacks}: {extra['install']}"


def _system_lines(system: Mapping[str, Any]) -> Iterator[str]:
    for name, part in system.items():
        place = part["found"] or f"missing: {part['install']}"
        yield f"{name:<12} {place} (for {part['needed_for']})"


def _device_lines(devices: Any) -> Iterator[str]:
    for device in devices:
        free, total = _size(device["free_bytes"]), _size(device["total_bytes"])
        line = f"{device['device']:<8} {device['name']}, {free} of {total} free"
        if "cores" in device:
            line += f", {device['cores']} cores, {device['threads']} threads"
        if "bfloat16_speed" in device:
            line += f"; products in bfloat16 take 1/{device['bfloat16_speed']:.1f} of the time"
        yield f"{line}: use {device['advice']}"


def _model_lines(models: Any) -> Iterator[str]:
    for model in models:
        weights, cache = model["weight_bytes"], model["cache_bytes_per_minute"]
        yield (
            f"{model['model']}: {model['parameters'] / 1e6:,.1f} M weights, "
            f"{_size(weights['float32'])} in float32, {_size(weights['bfloat16'])} in bfloat16; "
            f"a minute of song {_size(cache['float32'])} or {_size(cache['bfloat16'])} more"
        )
        for name, fit in model["fits"].items():
            verdict = {None: "free memory is unknown", True: "fits", False: "does not fit"}
            yield (
                f"  {name}: {verdict[fit['fits']]} in {fit['dtype']}, needs "
                f"{_size(fit['needed_bytes'])}; each song beside it "
                f"{_size(fit['another_song_bytes'])}"
            )


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = [f"  {line}" for line in lines]
    if found:
        yield from (f"{title}:", *found)


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


def _size(size: int | None) -> str:
    """Bytes as people read them."""
    if size is None:
        return "an unknown part"
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"


def _line(error: BaseException) -> str:
    """An error as one line."""
    return " ".join(str(error).split()) or type(error).__name__
