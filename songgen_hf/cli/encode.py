"""Turn a sound file into codec codes: an .npz or .safetensors file with ``codes`` [K, T]."""

from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.codes_files import CODES_ENDINGS, encode_codes
from ..checkpoints.digests import codec_facts
from ..files import write_files
from .flags import option
from .loading import ModelOptions, load_codec
from .output import CommandResult


@dataclass(frozen=True, kw_only=True)
class EncodeOptions(ModelOptions):
    """Options of ``songgen-hf encode``."""

    sound: Path = option(help="sound file; its channels are averaged", positional=True)
    codes: Path = option(help="file to write: .npz or .safetensors", positional=True)


OPTIONS = EncodeOptions


def run(options: EncodeOptions) -> CommandResult:
    """Encode and write the codes."""
    if options.codes.suffix not in CODES_ENDINGS:
        raise ValueError(
            f"cannot tell the format of {str(options.codes)!r}: expected a name that ends in "
            ".npz or .safetensors"
        )
    import torch

    from ..modeling.audio_io import read_audio

    codec = load_codec(options)
    rate = codec.config.sample_rate
    waveform = torch.from_numpy(read_audio(options.sound, rate))  # [S]
    with torch.inference_mode():
        values = waveform[None, None].to(codec.device, codec.dtype)
        codes = codec.encode(values, return_dict=False)  # [1, K, T]
    array = codes[0].to("cpu", torch.int16).numpy()
    facts = {
        "sampling_rate": rate,
        "hop_length": codec.config.hop_length,
        "num_samples": len(waveform),
        **codec_facts(codec),
    }
    write_files({options.codes: encode_codes(options.codes, array, **facts)})
    codebooks, frames = array.shape
    duration = len(waveform) / rate
    return CommandResult(
        {
            "codes": options.codes,
            "codebooks": codebooks,
            "frames": frames,
            "duration": duration,
            **facts,
        },
        f"{options.codes}: {codebooks} codebooks, {frames} frames, {duration:.2f} s",
    )
