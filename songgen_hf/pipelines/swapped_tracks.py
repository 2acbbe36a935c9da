"""Detects songs with swapped tracks: the reference voice sings in the accompaniment.

Nothing forces a model with two tracks to put the voice where it belongs. The voice encoder of the
model itself compares both tracks with the reference voice. The file travels to the Hub with the
pipeline and imports nothing of this package.
"""

from typing import Any

import numpy as np
import torch

SURE_MARGIN = 0.2
"""Difference of cosines from which a song is certainly swapped."""
MAY_BE_SWAPPED = 1
"""Blocks of half a second that may look swapped, such as a loud consonant."""
CLIPS = 6
"""Number of clips of a track that are compared with the reference voice."""
_BANDS = 40
_FAINTEST = 1e-6  # power that is added to every band
_AUDIBLE = 0.1  # least level of a clip, relative to the loudest one


@torch.no_grad()
def swap_margin(
    model: Any,
    processor: Any,
    voice_values: torch.Tensor,
    vocal: np.ndarray,
    accompaniment: np.ndarray,
    sampling_rate: int,
) -> float:
    """Compare both tracks of a song with its reference voice.

    Each track is represented by the mean of the states of all layers and frames of its audible
    clips.

    Args:
        model: the song model.
        processor: its processor.
        voice_values: [S], the reference voice as the processor has prepared it.
        vocal, accompaniment: [channels, samples].
        sampling_rate: sampling rate of the tracks in Hz.
    Returns:
        The cosine of accompaniment and reference minus that of vocal and reference, -2 to 2:
        positive if the accompaniment is more similar to the voice. NaN if a track is silent.
    """
    reference = _embedding(model, voice_values[None])
    nearness = []
    for track in (accompaniment, vocal):
        clips = _audible_clips(track.mean(axis=0), round(processor.voice_seconds * sampling_rate))
        if not clips:
            return float("nan")
        sources = [(clip, sampling_rate) for clip in clips]
        values = processor.prepare_voice(sources, [0.0] * len(sources))["voice_values"]
        embedding = _embedding(model, torch.from_numpy(values).to(voice_values))
        nearness.append(torch.cosine_similarity(embedding, reference, dim=0).item())
    return nearness[0] - nearness[1]


def add_swap_margin(
    song: dict[str, Any], model: Any, processor: Any, voice_values: torch.Tensor
) -> None:
    """Add the :func:`swap_margin` of a song of two tracks, unless its reference voice is empty.

    Args:
        song: song dict, which gets the key ``swap_margin``.
        model: the song model, or another owner of its conditioner.
        processor: its processor.
        voice_values: [S], the reference voice as the processor has prepared it.
    """
    if song["vocal"] is not None and voice_values.any():
        tracks = song["vocal"], song["accompaniment"]
        rate = song["sampling_rate"]
        song["swap_margin"] = swap_margin(model, processor, voice_values, *tracks, rate)


def swapped_blocks(
    vocal: np.ndarray, accompaniment: np.ndarray, sampling_rate: int, start: int
) -> int:
    """Count the blocks of half a second in which the tracks of a continuation have changed places.

    The mean spectrum of the accompaniment before the continuation tells: a block is swapped if the
    vocal is nearer to it than the accompaniment is.

    Args:
        vocal, accompaniment: [channels, samples].
        sampling_rate: sampling rate of the tracks in Hz.
        start: sample at which the continuation begins; if nothing precedes it, its first second
            stands in.
    """
    block = sampling_rate // 2
    known = start if start >= block else 2 * block
    band, voice = (_log_spectra(one.mean(axis=0), block) for one in (accompaniment, vocal))
    first = -(-known // block)
    if not 0 < first < min(len(band), len(voice)):
        return 0
    usual = band[: known // block].mean(axis=0)
    distances = [np.square(one[first:] - usual).mean(axis=-1) for one in (band, voice)]
    count = min(map(len, distances))
    return int((distances[1][:count] < distances[0][:count]).sum())


def _log_spectra(track: np.ndarray, block: int) -> np.ndarray:
    """The levels [blocks, bands] of a track [samples] in bands of equal width, in dB."""
    blocks = track[: len(track) // block * block].reshape(-1, block)
    power = np.square(np.abs(np.fft.rfft(blocks * np.hanning(block), axis=-1)))[:, 1:]
    width = max(1, power.shape[-1] // _BANDS)
    bands = power[:, : width * _BANDS].reshape(len(blocks), _BANDS, width).mean(axis=-1)
    return 10 * np.log10(bands / block + _FAINTEST)


def _embedding(model: Any, values: torch.Tensor) -> torch.Tensor:
    """The mean state [D] of voices [B, S]."""
    return model.conditioner.voice_encoder.hidden_states(values).float().mean(dim=(0, 1, 2))


def _audible_clips(track: np.ndarray, length: int) -> list[np.ndarray]:
    """Evenly spaced clips [length] of a track [samples], without those that are nearly silent."""
    count = min(CLIPS, max(1, len(track) // max(1, length)))
    starts = np.linspace(0, max(0, len(track) - length), count).astype(int)
    clips = [track[start : start + length] for start in starts]
    levels = [float(np.sqrt(np.mean(np.square(clip)))) if len(clip) else 0.0 for clip in clips]
    return [
        clip
        for clip, level in zip(clips, levels, strict=True)
        if level > _AUDIBLE * max(levels) and level > 1e-4
    ]


__all__ = ["MAY_BE_SWAPPED", "SURE_MARGIN", "add_swap_margin", "swap_margin", "swapped_blocks"]
