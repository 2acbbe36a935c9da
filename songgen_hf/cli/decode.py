"""Turn codec codes, as ``songgen-hf encode`` writes them, into a sound file."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import encode_sound, safe_gain, sound_format, write_files
from .loading import add_model_arguments, load_codec
from .output import CommandResult

if TYPE_CHECKING:
    import numpy as np

HELP = "turn codes into sound"
FACTS = ("sampling_rate", "hop_length", "num_samples")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf decode``."""
    parser.add_argument("codes", type=Path, help=".npz or .safetensors file with codes [K, T]")
    parser.add_argument("sound", type=Path, help="file to write: .wav, .flac or .ogg")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> CommandResult:
    """Decode and write the sound."""
    sound_format(arguments.sound)
    import torch

    codes, facts = read_codes(arguments.codes)
    codec = load_codec(arguments)
    _check_codes(codes, codec.config.codebook_size, codec.config.num_quantizers)
    rate = codec.config.sample_rate
    if facts.get("sampling_rate", rate) != rate:
        raise ValueError(
            f"the codes were made at {facts['sampling_rate']} Hz, this codec works at {rate} Hz: "
            "give the model that made them"
        )
    with torch.inference_mode():
        ids = torch.from_numpy(codes).long()[None].to(codec.device)  # [1, K, T]
        waveform = codec.decode(ids, return_dict=False)[0]  # [1, S]
    samples = waveform.float().cpu().numpy()[:, : facts.get("num_samples")]
    gain = safe_gain(samples)
    write_files({arguments.sound: encode_sound(samples, rate, arguments.sound, gain=gain)})
    duration = samples.shape[-1] / rate
    return CommandResult(
        {
            "sound": arguments.sound,
            "duration": duration,
            "sampling_rate": rate,
            "gain": gain,
        },
        f"{arguments.sound}: {duration:.2f} s",
    )


def read_codes(path: Path) -> tuple["np.ndarray", dict[str, Any]]:
    """Codes [K, T] of a file and what it says of them.

    Raises:
        ValueError: if the file holds no array ``codes``, or is of another kind.
    """
    import numpy as np

    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        facts = {name: int(arrays[name]) for name in FACTS if name in arrays}
    elif path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = json.loads((file.metadata() or {}).get("songgen_hf", "{}"))
    else:
        raise ValueError(f"{str(path)!r} must end in .npz or .safetensors")
    if "codes" not in arrays:
        raise ValueError(f"{path} has no array 'codes': got {', '.join(arrays) or 'nothing'}")
    return arrays["codes"], facts


def _check_codes(codes: "np.ndarray", codebook_size: int, num_codebooks: int) -> None:
    """ValueError unless the codes fit the codec."""
    if codes.ndim != 2 or not 1 <= codes.shape[0] <= num_codebooks or codes.shape[1] < 1:
        raise ValueError(
            f"codes must be [K, T] with at most {num_codebooks} codebooks and at least one frame: "
            f"got {list(codes.shape)}"
        )
    if codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= codebook_size:
        raise ValueError(f"codes must be integers from 0 to {codebook_size - 1}")
