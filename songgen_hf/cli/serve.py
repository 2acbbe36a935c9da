"""Serve songs to programs: HTTP in the manner of OpenAI's API, and a WebSocket that streams."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..optional import require
from .flags import flag_of, option
from .loading import QUANTIZATIONS, DeviceOptions


@dataclass(frozen=True, kw_only=True)
class ServeOptions(DeviceOptions):
    """Options of ``songgen-hf serve``."""

    models: list[str] = option(
        [],
        "checkpoint to offer; may be repeated, the first is the default of requests (default: all "
        "that come with the package)",
        flag="--model",
        append=True,
    )
    host: str = option("127.0.0.1", "address to serve; 0.0.0.0 lets other machines in")
    port: int = option(8000, "port to serve")
    keys: Path | None = option(
        None, "file with one API key in each line (default: everybody who reaches it may sing)"
    )
    queue: int = option(64, "requests that may wait; further ones are refused with status 429")
    max_seconds: float = option(30.0, "longest song")
    max_whole_seconds: float = option(300.0, "longest whole song, which is sung in sections")
    workers: int = option(1, "songs that are generated at the same time, in each replica")
    timeout: float = option(600.0, "seconds after which a request is given up")
    threads: int = option(1, "CPU threads of each process; more slow small models down")
    revision: str | None = option(None, "branch, tag or commit of the one --model on the Hub")
    adapter: list[str] | None = option(
        None,
        "LoRA adapters of the one --model: directories or Hub ids, with commas, and with weights "
        "such as my-voice:0.7; may be repeated",
        append=True,
    )
    quantize: str | None = option(
        None,
        "compute with weights of 8 bits: faster for large models on CPUs",
        choices=QUANTIZATIONS,
    )
    compile: bool = option(
        False, "compile the steps of autoregressive models; the first songs wait for the compiler"
    )
    listeners: list[str] = option(
        [],
        "listener that requests may name in rank_by, beside recognizer-mini: the folder or Hub id "
        "of a phoneme recognizer, a Whisper or a CLAP model; may be repeated",
        flag="--listener",
        append=True,
    )
    ray: int | None = option(
        None, "generate in so many replicas of Ray Serve, on this machine or a Ray cluster"
    )


OPTIONS = ServeOptions


def run(options: ServeOptions) -> None:
    """Serve until Ctrl-C."""
    for name in ("queue", "workers", "threads", "ray"):
        value, least = getattr(options, name), 0 if name == "queue" else 1
        if value is not None and value < least:
            raise ValueError(f"--{name} must be at least {least}: got {value}")
    for name in ("max_seconds", "max_whole_seconds", "timeout"):
        value = getattr(options, name)
        if not 0 < value < float("inf"):
            raise ValueError(f"{flag_of(name)} must be above 0: got {value:g}")
    if options.compile and options.workers > 1:
        raise ValueError(f"--compile is for one song at a time: got --workers {options.workers}")
    if len(options.models) != 1 and (options.revision or options.adapter):
        flag = "--revision" if options.revision else "--adapter"
        raise ValueError(f"{flag} belongs to one model: give one --model with it")
    require("fastapi", "serve")
    require("prometheus_client", "serve")
    from ..serving.guard import read_keys
    from ..serving.limits import ServiceLimits
    from ..serving.server import serve

    keys = () if options.keys is None else read_keys(options.keys)
    limits = ServiceLimits(
        seconds=options.max_seconds,
        whole_seconds=options.max_whole_seconds,
        listeners=tuple(options.listeners),
        waiting=options.queue,
        concurrency=options.workers,
        timeout=options.timeout,
    )
    engine = partial(_engine, options)
    serve(engine, limits=limits, keys=keys, host=options.host, port=options.port)


def _engine(options: ServeOptions) -> Any:
    """The models in this process, or replicas of them."""
    from ..pipelines.adapters import named_adapters

    loading: dict[str, Any] = {
        "device": options.device,
        "dtype": options.dtype,
        "quantization": options.quantize,
        "revision": options.revision,
        "adapter": named_adapters(options.adapter),
    }
    work: dict[str, Any] = {"workers": options.workers, "compile": options.compile}
    if options.ray is not None:
        from ..serving.replicas import ReplicaEngine, gpus_of_replica

        return ReplicaEngine(
            options.models,
            replicas=options.ray,
            loading=loading,
            threads=options.threads,
            gpus=gpus_of_replica(options.device, options.ray),
            **work,
        )
    import torch

    from ..serving.engine import SongEngine
    from ..serving.server import load_models
    from ..space.memory import use_few_arenas

    use_few_arenas()
    torch.set_num_threads(options.threads)
    return SongEngine(load_models(options.models, **loading), **work)
