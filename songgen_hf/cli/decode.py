"""Turn codec codes, as ``songgen-hf encode`` writes them, into a sound file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoints.codes_files import check_codec, read_codes
from ..files import encode_sound, safe_gain, sound_format, write_files
from .flags import option
from .loading import ModelOptions, load_codec
from .output import CommandResult

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class DecodeOptions(ModelOptions):
    """Options of ``songgen-hf decode``."""

    codes: Path = option(help=".npz or .safetensors file with codes [K, T]", positional=True)
    sound: Path = option(help="file to write: .wav, .flac, .mp3 or .ogg", positional=True)


OPTIONS = DecodeOptions


def run(options: DecodeOptions) -> CommandResult:
    """Decode and write the sound."""
    sound_format(options.sound)
    import torch

    codes, facts = read_codes(options.codes)
    codec = load_codec(options)
    sizes = codec.config.codebook_size, codec.config.num_quantizers
    _check_codes(options.codes, codes, *sizes)
    rate = codec.config.sample_rate
    check_codec(options.codes, facts, codec)
    with torch.inference_mode():
        ids = torch.from_numpy(codes).long()[None].to(codec.device)  # [1, K, T]
        waveform = codec.decode(ids, return_dict=False)[0]  # [1, S]
    samples = waveform.float().cpu().numpy()[:, : facts.get("num_samples")]
    gain = safe_gain(samples)
    write_files({options.sound: encode_sound(samples, rate, options.sound, gain=gain)})
    duration = samples.shape[-1] / rate
    return CommandResult(
        {"sound": options.sound, "duration": duration, "sampling_rate": rate, "gain": gain},
        f"{options.sound}: {duration:.2f} s",
    )


def _check_codes(path: Path, codes: "np.ndarray", codebook_size: int, num_codebooks: int) -> None:
    """ValueError unless the codec can decode the codes."""
    if codes.ndim != 2 or not 1 <= codes.shape[0] <= num_codebooks or codes.shape[1] < 1:
        raise ValueError(
            f"the codes of {path} must be [K, T] with at most {num_codebooks} codebooks and at "
            f"least one frame: got {list(codes.shape)}; give one track, a whole song to generate "
            "--song or --prompt-audio"
        )
    if codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= codebook_size:
        raise ValueError(f"the codes of {path} must be integers from 0 to {codebook_size - 1}")
