"""Detects swapped tracks: the voice sings in the accompaniment, in a stretch or the whole song.

Nothing forces a model with two tracks to put the voice where it belongs. A separator, or the
spectrum of what came before, tells in which stretches they have changed places. The file travels to
the Hub with the pipeline and imports nothing of this package.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

SURE_MARGIN = 0.5
"""The :func:`swap_margin` from which a song is certainly swapped."""
MAY_BE_SWAPPED = 0.5
"""Seconds in which tracks may have what belongs in the other one."""
LEAST_VOICE = 0.5
"""Share of the energy of a vocal that is voice at least."""
MOST_VOICE = 0.75
"""Share of the energy of an accompaniment that a separator takes for voice at most."""
MOST_EVIDENCE = 3.0
"""Largest evidence of a quarter of a second, the logarithm of a ratio."""
CHANGE_COST = 6.0
"""Evidence that a change of the tracks needs."""
VocalExtractor = Callable[[np.ndarray, int], np.ndarray]
_BANDS = 40
_FAINTEST = 1e-6  # power that is added to every band
_FAINT_POWER = 2.5e-5  # -46 dBFS


def swap_margin(
    vocal: np.ndarray,
    accompaniment: np.ndarray,
    sampling_rate: int,
    extract_vocal: VocalExtractor,
) -> float:
    """Return how certainly the voice of a whole song is in its accompaniment, -1 to 1.

    The mean evidence of all quarters of a second, by the energies of voice and rest that a
    separator finds in both tracks: 0 if it does not tell, and the negative for exchanged tracks.

    Args:
        vocal, accompaniment, sampling_rate, extract_vocal: as of :func:`swapped_stretches`.
    """
    block = sampling_rate // 4
    length = min(vocal.shape[-1], accompaniment.shape[-1]) // block * block
    if not length:
        return 0.0
    voice, band = (one.mean(axis=0)[:length] for one in (vocal, accompaniment))
    evidence = _separated_evidence(voice, band, sampling_rate, extract_vocal)
    return float(-evidence.mean() / MOST_EVIDENCE)


def swapped_stretches(
    vocal: np.ndarray,
    accompaniment: np.ndarray,
    sampling_rate: int,
    *,
    frame: int,
    start: int = 0,
    extract_vocal: VocalExtractor | None = None,
) -> list[tuple[int, int | None]]:
    """Find the stretches of a song in which its tracks have changed places.

    For each quarter of a second there is evidence for either order of the tracks: the energies of
    voice and rest that a separator finds in both tracks; without a separator, which track is nearer
    to the mean spectrum of the accompaniment before ``start``. The most probable path that seldom
    changes (Viterbi) gives the stretches, and each of its changes is then moved to the frame at
    which the accompaniment goes over from one track to the other.

    Args:
        vocal, accompaniment: [channels, samples].
        sampling_rate: sampling rate of the tracks in Hz.
        frame: samples of a frame of the codec.
        start: frame before which the tracks are known to be in their places; if it is 0 and there
            is no separator, the first second of the accompaniment is taken for right.
        extract_vocal: function (samples [S], sampling rate) -> samples [S] of the vocal in them.
    Returns:
        (first frame, frame after the last one) of each stretch, in order and not before ``start``;
        None for the latter if the stretch lasts until the end.
    """
    block = sampling_rate // 4
    length = min(vocal.shape[-1], accompaniment.shape[-1]) // block * block
    voice, band = (one.mean(axis=0)[:length] for one in (vocal, accompaniment))
    known = start * frame // block
    if extract_vocal is None:
        known = max(known, 4)
    if known >= length // block:
        return []
    if extract_vocal is None:
        evidence = _spectral_evidence(voice, band, block, known)
    else:
        evidence = _separated_evidence(voice, band, sampling_rate, extract_vocal)
    evidence[:known] = MOST_EVIDENCE
    states = _likely_states(evidence)
    changes = np.flatnonzero(np.diff(states, prepend=0))
    edges = _exact_changes(changes * block, voice, band, states, frame, start)
    ends: list[int | None] = [*edges[1::2]]
    if len(edges) % 2:
        ends.append(None)
    pairs = zip(edges[::2], ends, strict=True)
    return [(first, end) for first, end in pairs if end is None or first < end]


def misplaced_seconds(
    vocal: np.ndarray,
    accompaniment: np.ndarray,
    sampling_rate: int,
    *,
    frame: int,
    start: int = 0,
    extract_vocal: VocalExtractor | None = None,
) -> float:
    """Return for how many seconds a track has what belongs in the other one.

    These are the quarters of a second in which the vocal is audible and less than ``LEAST_VOICE``
    of its energy is voice, or the accompaniment is and more than ``MOST_VOICE`` of its energy;
    without a separator, those of the :func:`swapped_stretches`.

    Args:
        vocal, accompaniment, sampling_rate, frame, start, extract_vocal: as of
            :func:`swapped_stretches`.
    """
    block = sampling_rate // 4
    if extract_vocal is None:
        tracks = (vocal, accompaniment, sampling_rate)
        found = swapped_stretches(*tracks, frame=frame, start=start)
        ends = [vocal.shape[-1] // frame if end is None else end for _, end in found]
        frames = sum(end - first for (first, _), end in zip(found, ends, strict=True))
        return frames * frame / sampling_rate
    length = min(vocal.shape[-1], accompaniment.shape[-1]) // block * block
    if not length:
        return 0.0
    voice, band = (track.mean(axis=0)[:length] for track in (vocal, accompaniment))
    sung, sung_in_band = (extract_vocal(track, sampling_rate) for track in (voice, band))
    in_voice, in_band, sung, sung_in_band = _block_energies(block, voice, band, sung, sung_in_band)
    audible = block * _FAINT_POWER
    wrong = (in_voice > audible) & (sung < LEAST_VOICE * in_voice)
    wrong |= (in_band > audible) & (sung_in_band > MOST_VOICE * in_band)
    return float(wrong[-(-start * frame // block) :].sum() / 4)


def exchange_tracks(
    codes: torch.Tensor, stretches: Sequence[tuple[int, int | None]]
) -> torch.Tensor:
    """Return codes [2, K, T] whose tracks are exchanged in stretches of frames."""
    exchanged = codes.clone()
    for first, end in stretches:
        exchanged[..., first:end] = codes.flip(0)[..., first:end]
    return exchanged


def _separated_evidence(
    voice: np.ndarray, band: np.ndarray, sampling_rate: int, extract_vocal: VocalExtractor
) -> np.ndarray:
    """Evidence [quarters of a second] that tracks are in their places, by what is separated.

    The logarithm of (voice in the vocal + rest in the accompaniment) / (the other two energies).
    """
    block = sampling_rate // 4
    sung = (extract_vocal(one, sampling_rate) for one in (voice, band))
    in_voice, in_band, sung_voice, sung_band = _block_energies(block, voice, band, *sung)
    right = sung_voice + np.maximum(in_band - sung_band, 0)
    wrong = sung_band + np.maximum(in_voice - sung_voice, 0)
    least = block * _FAINT_POWER
    evidence: np.ndarray = np.log((right + least) / (wrong + least))
    return np.clip(evidence, -MOST_EVIDENCE, MOST_EVIDENCE)


def _block_energies(block: int, *tracks: np.ndarray) -> list[np.ndarray]:
    """The energies [blocks] of tracks [samples]."""
    return [np.square(one.reshape(-1, block), dtype=np.float64).sum(axis=-1) for one in tracks]


def _spectral_evidence(voice: np.ndarray, band: np.ndarray, block: int, known: int) -> np.ndarray:
    """Evidence [blocks] that tracks are in their places, by the spectrum of the first blocks."""
    spectra = [_log_spectra(one, block) for one in (voice, band)]
    usual = spectra[1][:known].mean(axis=0)
    of_voice, of_band = (np.square(one - usual).mean(axis=-1) for one in spectra)
    difference = (of_voice - of_band) / np.maximum(of_voice + of_band, 1e-9)
    return MOST_EVIDENCE * np.asarray(difference)


def _likely_states(evidence: np.ndarray) -> np.ndarray:
    """The likeliest states [blocks]: 0 for tracks in their places, 1 for swapped ones."""
    gains = np.stack([evidence, -evidence], axis=-1)
    best, origins = gains[0].copy(), []
    for gain in gains[1:]:
        moved = best[::-1] - CHANGE_COST
        origins.append(moved > best)
        best = np.maximum(best, moved) + gain
    states = [int(best[1] > best[0])]
    for origin in reversed(origins):
        states.append(states[-1] ^ int(origin[states[-1]]))
    return np.array(states[::-1])


def _exact_changes(
    changes: np.ndarray,
    voice: np.ndarray,
    band: np.ndarray,
    states: np.ndarray,
    frame: int,
    start: int,
) -> list[int]:
    """The frames near changes (in samples) at which the accompaniment changes its track.

    They are not before frame ``start``.
    """
    spectra = [_log_spectra(one, frame) for one in (band, voice)]
    count = len(spectra[0])
    state = states[np.minimum(np.arange(count) * len(states) // count, len(states) - 1)]
    usual = np.where(state[:, None] == 1, spectra[1], spectra[0])[start:].mean(axis=0)
    # Positive where the accompaniment sounds like an accompaniment, and the vocal does not.
    right = np.square(spectra[1] - usual).mean(axis=-1) - np.square(spectra[0] - usual).mean(-1)
    gains = np.concatenate([[0.0], np.cumsum(right)])
    coarse = [int(change) // frame for change in changes]
    bounds = [0, *coarse, count]
    found = []
    for place, middle in enumerate(coarse):
        around = 3 * len(voice) // len(states) // frame
        low = max(middle - around, (bounds[place] + middle) // 2, start)
        high = max(low, min(middle + around, (middle + bounds[place + 2]) // 2))
        sign = -1 if place % 2 else 1  # even changes go from right to swapped
        found.append(low + int(np.argmax(sign * gains[low : high + 1])))
    return found


def _log_spectra(track: np.ndarray, block: int) -> np.ndarray:
    """The levels [blocks, bands] of a track [samples] in bands of equal width, in dB."""
    blocks = track[: len(track) // block * block].reshape(-1, block)
    power = np.square(np.abs(np.fft.rfft(blocks * np.hanning(block), axis=-1)))[:, 1:]
    width = max(1, power.shape[-1] // _BANDS)
    bands = power[:, : width * _BANDS].reshape(len(blocks), _BANDS, width).mean(axis=-1)
    return 10 * np.log10(bands / block + _FAINTEST)


__all__ = [
    "MAY_BE_SWAPPED",
    "SURE_MARGIN",
    "VocalExtractor",
    "exchange_tracks",
    "misplaced_seconds",
    "swap_margin",
    "swapped_stretches",
]
