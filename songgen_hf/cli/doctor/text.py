"""The findings of ``songgen-hf doctor`` as text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

GIB = 2**30


def lines_of(facts: Mapping[str, Any], *, seconds: float) -> Iterator[str]:
    """The lines that report all findings.

    Args:
        facts: findings, as ``--json`` prints them.
        seconds: length of the song that has to fit into memory.
    """
    yield f"songgen-hf {facts['songgen_hf']}, Python {facts['python']['version']}"
    yield from _section("packages", map(_package, facts["packages"].items()))
    yield from _section("extras", _extras(facts["extras"]))
    yield from _section("system", map(_program, facts.get("system", {}).items()))
    yield from _section("devices", map(_device, facts.get("devices", ())))
    title = f"models (needed for {seconds:g} s of song with guidance)"
    yield from _section(title, _models(facts.get("models", ()), facts.get("devices", ())))
    if hub := facts.get("hub"):
        state = "offline (HF_HUB_OFFLINE)" if hub["offline"] else "online"
        yield f"Hub: {state}, cache {hub['cache']}, {_size(hub['free_bytes'])} free"
    if sung := facts.get("sung"):
        yield (
            f"generated {sung['duration']:.2f} s in {sung['seconds']:.2f} s on {sung['device']}: "
            f"{sung['rtf']:.2f} s for a second (loaded in {sung['load_seconds']:.1f} s)"
        )
    yield from (f"note: {note}" for note in facts["notes"])
    yield from (f"PROBLEM: {problem}" for problem in facts["problems"])
    if facts["works"]:
        yield "ready to sing" if "sung" in facts else "nothing is broken; --sing tries it"
    yield "for a bug report, add what `transformers env` prints"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """The lines below their title; nothing without lines."""
    found = [f"  {line}" for line in lines]
    if found:
        yield from (f"{title}:", *found)


def _package(item: tuple[str, Mapping[str, Any]]) -> str:
    name, package = item
    return f"{name:<18} {package['version'] or '-':<12} {package['problem'] or 'ok'}"


def _extras(extras: Mapping[str, Any]) -> Iterator[str]:
    for name, extra in extras.items():
        state = "complete" if extra["complete"] else "incomplete"
        yield f"{name:<12} {state:<11} {extra['gives']}"
        if missing := extra["missing"]:
            lacks = ", ".join(f"{part} ({problem})" for part, problem in missing.items())
            yield f"{'':<12} lacks {lacks}: {extra['install']}"


def _program(item: tuple[str, Mapping[str, Any]]) -> str:
    name, program = item
    place = program["found"] or f"missing: {program['install']}"
    return f"{name:<12} {place} (for {program['needed_for']})"


def _device(device: Mapping[str, Any]) -> str:
    free, total = _size(device["free_bytes"]), _size(device["total_bytes"])
    advice = device["advice"]
    if device["bfloat16"] and advice != "bfloat16":
        advice += ", and bfloat16 only for a model that does not fit otherwise"
    return f"{device['device']:<8} {free} of {total} free: use {advice}"


def _models(
    models: Iterable[Mapping[str, Any]], devices: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    advice = {device["device"]: device["advice"] for device in devices}
    for model in models:
        weights, cache = model["weight_bytes"], model["cache_bytes_per_minute"]
        yield (
            f"{model['model']}: {model['parameters'] / 1e6:,.1f} M weights, "
            f"{_size(weights['float32'])} in float32, {_size(weights['bfloat16'])} in bfloat16; "
            f"a minute of song {_size(cache['float32'])} or {_size(cache['bfloat16'])} more"
        )
        for name, fit in model["fits"].items():
            yield (
                f"  {name}: {_verdict(fit, advice[name])}, needs "
                f"{_size(fit['needed_bytes'])}; each song beside it "
                f"{_size(fit['another_song_bytes'])}"
            )


def _verdict(fit: Mapping[str, Any], advised: str) -> str:
    """Whether a model fits on a device in the advised precision, or in less."""
    dtype = fit["dtype"]
    if fit["fits"] is None:
        return f"free memory is unknown; in {dtype}"
    if dtype == advised:
        return f"{'fits' if fit['fits'] else 'does not fit'} in {dtype}"
    if fit["fits"]:
        return f"does not fit in {advised}, fits with --dtype {dtype}"
    return f"does not fit, even in {dtype}"


def _size(size: int | None) -> str:
    """A number of bytes in MiB or GiB."""
    if size is None:
        return "an unknown part"
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"
