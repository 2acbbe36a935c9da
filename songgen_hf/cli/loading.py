"""The options that name a model, and loading it."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .flags import option

if TYPE_CHECKING:
    from ..modeling.modeling_xcodec import XCodecModel

SMALL_MODEL = 100_000_000
"""Number of weights below which a model on the CPU gets one thread: its steps are so short that
threads which wait for each other cost more than they give, above all beside other programs."""
QUANTIZATIONS = ("int8",)
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class RevisionOptions:
    """The revision of a checkpoint."""

    revision: str | None = option(None, "branch, tag or commit of a Hub checkpoint")


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """The device that a model runs on, and its precision."""

    device: str = option("auto", "cpu, cuda, cuda:1 or mps (default: an accelerator, if any)")
    dtype: str = option("auto", "precision (default: that of the checkpoint)", choices=DTYPES)


@dataclass(frozen=True, kw_only=True)
class ModelOptions(RevisionOptions, DeviceOptions):
    """Options that name a model, the device that it runs on and its precision."""

    model: str | None = option(
        None,
        "checkpoint: a directory, a Hub id, songgen-mini, songgen-mini/interleaving_A_V or "
        "songgen-mini/masked (default: songgen-mini, which comes with the package)",
    )


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Look for no cycles of objects within the block.

    It is for imports: what those of torch and transformers make stays, and looking for cycles in
    it took a quarter of their time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def progress_bars_in_terminals() -> Iterator[None]:
    """Let transformers show progress bars in terminals only, within the block."""
    with without_garbage_collection():
        from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()


@without_garbage_collection()
def load_pipeline(options: Any) -> Any:
    """The pipeline of the model, with its adapter if there is one, that the options name.

    On the CPU it gets ``options.threads`` threads; see :func:`use_threads`.
    """
    from ..checkpoints import loading
    from ..pipelines.adapters import named_adapters

    pipeline = loading.load_pipeline(
        options.model,
        mode=options.mode,
        revision=options.revision,
        device=options.device,
        dtype=options.dtype,
        adapter=named_adapters(options.adapter),
        quantization=options.quantize,
    )
    use_threads(options.threads, pipeline)
    return pipeline


def use_threads(threads: int | None, pipeline: Any) -> None:
    """Set the number of CPU threads of this process.

    Args:
        threads: number of threads. None for one thread if the model is on the CPU and smaller than
            ``SMALL_MODEL``, and otherwise for the number that torch has chosen.
        pipeline: the pipeline that the threads are for.
    """
    import torch

    if threads is None:
        network = pipeline.transformer if pipeline.mode == "masked" else pipeline.model
        weights = sum(weight.numel() for weight in network.parameters())
        if pipeline.device.type != "cpu" or weights >= SMALL_MODEL:
            return
        threads = 1
    torch.set_num_threads(threads)


def codec_of(pipeline: Any) -> "XCodecModel":
    """The codec of a pipeline."""
    return pipeline.codec if pipeline.mode == "masked" else pipeline.model.audio_encoder


@without_garbage_collection()
def load_codec(options: Any) -> "XCodecModel":
    """The codec that the options name, or the codec inside the song model that they name."""
    from ..checkpoints import loading

    return loading.load_codec(
        options.model, revision=options.revision, device=options.device, dtype=options.dtype
    )
