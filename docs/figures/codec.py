"""The figure of the codec: codes of a song, and the song decoded from its first codebooks."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from checkpoint import fingerprint
from matplotlib.figure import Figure
from palette import Palette

SONG = Path(__file__).parents[1] / "audio" / "rendered.flac"
"""Three seconds of a song of the rendered corpus, which the codec was not trained on."""
KEPT = (1, 2, 4, 8)
BANDS, FLOOR = 48, -60


def data() -> dict[str, Any]:
    """Codes, mel spectrograms in whole dB, and the residual after each codebook."""
    codes, waveforms, codec = coded()
    residual = [round(float(value), 4) for value in codec.config.residual_rms]
    return {
        "checkpoint": fingerprint(codec.config._name_or_path),
        "codebook_size": codec.config.codebook_size,
        "frame_rate": codec.config.sample_rate / codec.config.hop_length,
        "codes": codes.tolist(),
        "residual": [round(value / residual[0], 3) for value in residual],
        "mels": mels(waveforms),
    }


def coded() -> tuple[torch.Tensor, dict[str, np.ndarray], Any]:
    """Codes [K, T], the waveforms [S] at 16 kHz by name, and the codec."""
    from songgen_hf import XCodecModel

    codec = XCodecModel.from_pretrained("songgen-mini/codec", dtype="float32")
    codec.eval()
    samples, rate = soundfile.read(SONG, dtype="float32")
    assert rate == codec.config.sample_rate
    codes = codec.encode(torch.from_numpy(samples)[None, None]).audio_codes[0]  # [K, T]
    waveforms = {"original": samples}
    for kept in KEPT:
        with torch.inference_mode():
            decoded = codec.decode(codes[None, :kept], return_dict=False)[0]
        waveforms[f"{kept}"] = decoded[0].numpy().reshape(-1)
    return codes, waveforms, codec


def sounds() -> dict[str, tuple[np.ndarray, int]]:
    """The clips of the page: file name -> samples [S] and rate."""
    _, waveforms, codec = coded()
    rate = codec.config.sample_rate
    loudest = max(float(np.abs(waveform).max()) for waveform in waveforms.values())
    gain = min(1.0, 0.98 / loudest)
    names = {"original": "original", **{f"{kept}": f"codec-{kept}" for kept in KEPT}}
    return {f"{names[name]}.mp3": (gain * waveforms[name], rate) for name in waveforms}


def mels(waveforms: dict[str, np.ndarray]) -> dict[str, list[list[int]]]:
    """Mel spectrograms [bands, frames] in whole dB below the maximum of the original."""
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    def level(waveform: np.ndarray) -> np.ndarray:
        power = spectrogram(
            waveform,
            window_function(1024, "hann"),
            frame_length=1024,
            hop_length=400,
            power=2.0,
            mel_filters=mel_filter_bank(513, BANDS, 60.0, 7600.0, 16000, mel_scale="htk"),
        )
        return 10 * np.log10(power + 1e-10)

    levels = {name: level(waveform) for name, waveform in waveforms.items()}
    top = levels["original"].max()
    return {
        name: np.clip(np.round(found - top), FLOOR, 0).astype(int).tolist()
        for name, found in levels.items()
    }


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Draw the song, its codes, and below the song decoded from the first codebooks."""
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    grid = figure.add_gridspec(3, 4, height_ratios=(1.05, 0.85, 1.0))
    seconds = len(found["codes"][0]) / found["frame_rate"]

    def show(axes: Any, name: str, title: str) -> None:
        axes.imshow(np.array(found["mels"][name]), origin="lower", aspect="auto",
                    cmap=palette.colormap, vmin=FLOOR, vmax=0, extent=(0, seconds, 0, BANDS),
                    interpolation="nearest")  # fmt: skip
        axes.set_title(title)
        axes.set_yticks([])

    top = figure.add_subplot(grid[0, :])
    show(top, "original", "a song, 16 000 samples per second (mel spectrogram)")
    top.set_xlabel("seconds")
    middle = figure.add_subplot(grid[1, :3])
    codes = np.array(found["codes"])
    middle.imshow(codes, aspect="auto", cmap="twilight", vmin=0, vmax=found["codebook_size"] - 1,
                  extent=(0, seconds, len(codes) - 0.5, -0.5), interpolation="nearest")  # fmt: skip
    middle.set_title(f"its codes, {found['frame_rate']:g} frames per second")
    middle.set_ylabel("codebook")
    middle.set_yticks(range(len(codes)))
    right = figure.add_subplot(grid[1, 3])
    residual = found["residual"]
    right.bar(range(len(residual)), residual, color=palette.accompaniment, width=0.78)
    right.set_title("residual")
    right.set_xlabel("after this many codebooks")
    right.set_xticks(range(0, len(residual), 2))
    right.set_yticks([0, 0.5, 1])
    for column, kept in enumerate(KEPT):
        axes = figure.add_subplot(grid[2, column])
        show(axes, f"{kept}", f"{kept} codebook{'s' if kept > 1 else ''}")
        axes.set_xlabel("seconds")
    return figure


__all__ = ["coded", "data", "draw", "sounds"]
