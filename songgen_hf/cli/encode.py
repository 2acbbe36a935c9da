"""Turn a sound file into codec codes: an .npz or .safetensors file with ``codes`` [K, T]."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

from ..files import write_files
from .loading import add_model_arguments, load_codec
from .output import CommandResult

HELP = "turn sound into codes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf encode``."""
    parser.add_argument("sound", type=Path, help="sound file; channels are averaged")
    parser.add_argument("codes", type=Path, help="file to write: .npz or .safetensors")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> CommandResult:
    """Encode and write the codes."""
    ending = arguments.codes.suffix
    if ending not in (".npz", ".safetensors"):
        raise ValueError(
            f"cannot tell the format of {str(arguments.codes)!r}: expected a name that ends in "
            ".npz or .safetensors"
        )
    import numpy as np
    import torch

    from ..modeling.audio_io import read_audio

    codec = load_codec(arguments)
    rate = codec.config.sample_rate
    waveform = torch.from_numpy(read_audio(arguments.sound, rate))  # [S]
    with torch.inference_mode():
        values = waveform[None, None].to(codec.device, codec.dtype)
        codes = codec.encode(values, return_dict=False)  # [1, K, T]
    array = codes[0].to("cpu", torch.int16).numpy()
    facts = {
        "sampling_rate": rate,
        "hop_length": codec.config.hop_length,
        "num_samples": len(waveform),
    }
    if ending == ".npz":
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {"codes": array, **facts}
        np.savez_compressed(buffer, **arrays)
        content = buffer.getvalue()
    else:
        from safetensors.numpy import save

        content = save({"codes": array}, metadata={"songgen_hf": json.dumps(facts)})
    write_files({arguments.codes: content})
    codebooks, frames = array.shape
    duration = len(waveform) / rate
    return CommandResult(
        {
            "codes": arguments.codes,
            "codebooks": codebooks,
            "frames": frames,
            "duration": duration,
            **facts,
        },
        f"{arguments.codes}: {codebooks} codebooks, {frames} frames, {duration:.2f} s",
    )
