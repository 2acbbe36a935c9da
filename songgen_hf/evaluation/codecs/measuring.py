"""Measures codecs on the same songs, for every number of codebooks.

One codec after the other encodes all songs; of each song only its scores, the counts of its codes
and the frames of its measured phones are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ...checkpoints.digests import weights_digest
from ...checkpoints.embedded import find_checkpoint
from ...checkpoints.loading import load_codec
from ...data.listening.log_mels import SAMPLING_RATE as RECOGNIZER_RATE
from ...data.listening.log_mels import log_mels
from ...data.listening.phonemes import row_phonemes
from ...modeling.audio_io import resample
from ...modeling.codec_adapter import code_vectors, latent_frames
from ...modeling.codec_sizes import codec_sizes
from ..metrics.abx import (
    AbxCells,
    Condition,
    Phones,
    abx_cells,
    abx_error,
    abx_interval,
    limit_phones,
    phone_frames,
    song_phones,
)
from ..metrics.bootstrap import Interval, bootstrap, grouped_ratio
from ..metrics.codebook_use import code_counts, codebook_use
from ..metrics.phoneme_error_rate import phoneme_edits
from ..metrics.reconstruction import reconstruction_scores
from ..metrics.visqol import PACKAGE, is_installed, visqol_scorer
from .options import CodecsOptions
from .songs import CodecSong

CONDITIONS: tuple[Condition, ...] = ("within", "across")
LATENTS = "latents"
"""In place of a number of codebooks: the vectors before quantization."""
UNITS = {
    "si_sdr": "dB",
    "per": "edits / phonemes",
    "visqol": "MOS",
    "perplexity": "codes",
    "entropy": "bits",
    "mel_distance": "log10",
    "stft_distance": "log",
}
Ratio = tuple[np.ndarray, np.ndarray]


@dataclass
class CodecMeasurement:
    """What was measured of one codec.

    Args:
        facts: its name, type, rates, sizes and digest.
        ratios: numerators and denominators of every song [N], by number of codebooks and metric.
        counts: [N, K, V] frames with each code, of mixtures and vocals.
        cells: ABX cells, by number of codebooks (or ``LATENTS``) and metric.
    """

    facts: dict[str, Any]
    ratios: dict[int, dict[str, Ratio]] = field(default_factory=dict)
    counts: Any = None
    cells: dict[Any, dict[str, AbxCells]] = field(default_factory=dict)


@dataclass
class CodecsMeasurement:
    """What was measured of all codecs on the same songs.

    Args:
        codecs: the codecs, in the order of the options.
        true_per: edits and phonemes of the vocals themselves [N]; None without phonemes.
        skipped: why a metric was left out, by name.
        num_phones: phones of ABX.
    """

    codecs: list[CodecMeasurement] = field(default_factory=list)
    true_per: Ratio | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    num_phones: int = 0


def measure_codecs(
    options: CodecsOptions, songs: Sequence[CodecSong], *, progress: bool = True
) -> CodecsMeasurement:
    """Measure all codecs.

    Args:
        options: which codecs, and what is measured.
        songs: the songs.
        progress: whether to show a progress bar for each codec.
    Raises:
        ValueError: if a codec cannot be loaded, or lacks all numbers of codebooks.
    """
    found = CodecsMeasurement()
    sung = all(song.phonemes is not None for song in songs)
    recognize = phones = visqol = None
    if sung:
        recognize = _recognizer(options.recognizer)
        references = [row_phonemes({"phonemes": song.phonemes}) for song in songs]
        heard = [recognize(*song.sounds["vocal"]()) for song in songs]
        found.true_per = phoneme_edits(references, heard)
    else:
        found.skipped["per"] = "the songs have no phonemes: expected a rendered corpus"
    if sung and options.abx:
        every = song_phones([s.phonemes or [] for s in songs], [str(s.singer) for s in songs])
        phones = limit_phones(every, options.abx_phones, seed=options.seed)
        found.num_phones = len(phones.symbols)
    else:
        found.skipped["abx"] = "switched off" if sung else "the songs have no phonemes"
    if options.visqol and is_installed():
        visqol = visqol_scorer()
    else:
        found.skipped["visqol"] = f"pip install {PACKAGE}" if options.visqol else "switched off"
    for model in options.models:
        run = _CodecRun(options, songs, model, recognize, phones, visqol, found.skipped)
        found.codecs.append(run.measure(progress))
    return found


def _recognizer(name: str) -> Callable[[np.ndarray, int], list[str]]:
    from ...data.listening.phoneme_recognizer import PhonemeRecognizer

    network = PhonemeRecognizer.from_pretrained(find_checkpoint(name))

    def recognize(waveform: np.ndarray, rate: int) -> list[str]:
        return network.recognize(log_mels(resample(waveform, rate, RECOGNIZER_RATE)))

    return recognize


class _CodecRun:
    """The measurement of one codec."""

    def __init__(
        self,
        options: CodecsOptions,
        songs: Sequence[CodecSong],
        model: str,
        recognize: Any,
        phones: Phones | None,
        visqol: Any,
        skipped: dict[str, str],
    ) -> None:
        self.options, self.songs, self.phones = options, songs, phones
        self.skipped = skipped
        self.recognize, self.visqol = recognize, visqol
        self.codec = load_codec(model, device=options.device, dtype="float32")
        self.sizes = codec_sizes(self.codec.config)
        self.counts = [n for n in options.counts if n <= self.sizes.num_quantizers]
        if not self.counts:
            raise ValueError(
                f"{model} has {self.sizes.num_quantizers} codebooks: expected one of "
                f"{list(options.counts)} or more"
            )
        self.found = CodecMeasurement(
            {
                "model": model,
                "type": self.sizes.model_type,
                "weights": weights_digest(self.codec),
                "sampling_rate": self.sizes.sample_rate,
                "frame_rate": self.sizes.frame_rate,
                "codebooks": self.sizes.num_quantizers,
                "codebook_size": self.sizes.codebook_size,
                "bits_per_second_of_a_codebook": self.sizes.bits_per_second,
            }
        )
        self.rows: dict[int, dict[str, list[tuple[float, float]]]] = {n: {} for n in self.counts}
        self.phone_codes: list[np.ndarray] = []  # [frames, K] of each phone
        self.phone_latents: list[np.ndarray] = []  # [frames, D]

    def measure(self, progress: bool) -> CodecMeasurement:
        """Encode all songs, then compare the phones."""
        import torch

        counts = []
        name = str(self.found.facts["model"])
        for number, song in enumerate(tqdm(self.songs, desc=name, disable=not progress)):
            with torch.inference_mode():
                uses = [self._sound(number, song, kind) for kind in song.sounds]
            counts.append(np.sum(uses, axis=0).astype(np.int32))
        self.found.counts = np.stack(counts)
        for count, metrics in self.rows.items():
            self.found.ratios[count] = {
                metric: (np.array(pairs)[:, 0], np.array(pairs)[:, 1])
                for metric, pairs in metrics.items()
            }
        if self.phones is not None:
            self._abx()
        return self.found

    def _sound(self, number: int, song: CodecSong, kind: str) -> np.ndarray:
        """Score one sound at its own sampling rate and return the counts of its codes [K, V]."""
        import torch

        waveform, rate = song.sounds[kind]()
        values = torch.from_numpy(resample(waveform, rate, self.sizes.sample_rate))[None, None]
        codes = self.codec.encode(values, return_dict=False)  # [1, K, T]
        ending = "_vocal" if kind == "vocal" else ""
        for count in self.counts:
            decoded = self.codec.decode(codes[:, :count], return_dict=False)[0, 0]
            estimate = resample(decoded.float().cpu().numpy(), self.sizes.sample_rate, rate)
            estimate = estimate[: len(waveform)]
            scores = reconstruction_scores([waveform], [estimate], rate)
            for metric, found in scores.items():
                self._add(count, metric + ending, found[0])
            if self.visqol is not None:
                self._add(count, "visqol" + ending, self.visqol(waveform, estimate, rate))
            if self.recognize is not None and kind == "vocal":
                reference = row_phonemes({"phonemes": song.phonemes})
                edits, length = phoneme_edits([reference], [self.recognize(estimate, rate)])
                self._add(count, "per", edits[0], length[0])
        if self.phones is not None and kind == "vocal":
            spans = self.phones.spans[self.phones.songs == number]
            if len(spans):
                latents = latent_frames(self.codec, values)[0].T.float().cpu().numpy()
                for frames, kept in (
                    (codes[0].T.cpu().numpy(), self.phone_codes),
                    (latents, self.phone_latents),
                ):
                    parts = phone_frames(frames, spans, self.sizes.frame_rate)
                    kept += [part.copy() for part in parts]
        return code_counts(codes[0].cpu().numpy(), self.sizes.codebook_size)

    def _add(self, count: int, metric: str, value: float, of: float = 1.0) -> None:
        self.rows[count].setdefault(metric, []).append((float(value), float(of)))

    def _abx(self) -> None:
        # Phones are in the order of songs, as their frames are.
        self._compare(LATENTS, "abx", self.phone_latents)
        for count in self.counts:
            codes = [phone[:, :count] for phone in self.phone_codes]
            self._compare(count, "abx", self._vectors(codes))
            self._compare(count, "abx_codes", codes, distance="hamming")

    def _vectors(self, phones: list[np.ndarray]) -> list[np.ndarray]:
        """The sums of code vectors of phones, [frames, D] each."""
        import torch

        whole = torch.from_numpy(np.concatenate(phones).T)[None].to(self.codec.device)
        vectors = code_vectors(self.codec, whole)[0].T.float().cpu().numpy()
        return np.split(vectors, np.cumsum([len(phone) for phone in phones])[:-1])

    def _compare(self, count: Any, metric: str, frames: list[np.ndarray], **options: Any) -> None:
        assert self.phones is not None
        for condition in CONDITIONS:
            try:
                cells = abx_cells(frames, self.phones, condition, seed=self.options.seed, **options)
            except ValueError as error:  # too few songs for this condition
                self.skipped[f"abx_{condition}"] = str(error)
                continue
            self.found.cells.setdefault(count, {})[f"{metric}_{condition}"] = cells


def codec_scores(
    found: CodecMeasurement, count: Any, options: CodecsOptions
) -> dict[str, dict[str, Any]]:
    """Return the scores of a codec with one number of codebooks, or of its ``LATENTS``.

    Returns:
        For each metric ``value``, ``low`` and ``high`` (95 % bootstrap interval over songs, for ABX
        over singers and pairs of phonemes), ``n`` (songs, or cells of ABX) and ``unit``.
    """
    scores = {}
    for metric, (above, below) in found.ratios.get(count, {}).items():
        ratio, songs = grouped_ratio(above, below)
        ends = bootstrap(ratio, songs, seed=options.seed, draws=options.draws)
        scores[metric] = _score(metric, ratio(np.arange(songs)), ends, songs)
    if count != LATENTS:
        for metric in ("used", "entropy", "perplexity"):
            value, ends = _use(found.counts[:, :count], metric, options)
            scores[metric] = _score(metric, value, ends, len(found.counts))
    for metric, cells in found.cells.get(count, {}).items():
        ends = abx_interval(cells, seed=options.seed, draws=options.draws)
        scores[metric] = _score(metric, abx_error(cells), ends, len(cells.errors))
    return scores


def _score(metric: str, value: float, ends: Interval, n: int) -> dict[str, Any]:
    unit = UNITS.get(metric.removesuffix("_vocal"), "share")
    return {"value": float(value), "low": ends[0], "high": ends[1], "n": n, "unit": unit}


def _use(counts: np.ndarray, metric: str, options: CodecsOptions) -> tuple[float, Interval]:
    """The mean use of some codebooks, with an interval over songs [N, K, V]."""
    flat = counts.reshape(len(counts), -1).astype(np.float32)

    def statistic(drawn: np.ndarray) -> float:
        weights = np.bincount(drawn, minlength=len(flat)).astype(np.float32)
        total = (weights @ flat).reshape(counts.shape[1:])
        return float(codebook_use(total)[metric].mean())

    ends = bootstrap(statistic, len(flat), seed=options.seed, draws=min(options.draws, 200))
    return statistic(np.arange(len(flat))), ends


def codec_differences(
    first: CodecMeasurement, second: CodecMeasurement, count: Any, options: CodecsOptions
) -> dict[str, dict[str, float]]:
    """Return first minus second on the same songs and phones, with paired intervals.

    Returns:
        For each metric that both have ``value``, ``low`` and ``high``; without codebook use.
    """
    differences = {}
    ratios = first.ratios.get(count, {}), second.ratios.get(count, {})
    for metric in ratios[0].keys() & ratios[1].keys():
        (ours, songs), (theirs, _) = (grouped_ratio(*one[metric]) for one in ratios)

        def statistic(drawn: np.ndarray, ours: Any = ours, theirs: Any = theirs) -> float:
            return float(ours(drawn) - theirs(drawn))

        ends = bootstrap(statistic, songs, seed=options.seed, draws=options.draws)
        differences[metric] = (statistic(np.arange(songs)), ends)
    cells = first.cells.get(count, {}), second.cells.get(count, {})
    for metric in cells[0].keys() & cells[1].keys():
        pair = cells[0][metric], cells[1][metric]
        value = abx_error(pair[0]) - abx_error(pair[1])
        differences[metric] = (value, abx_interval(*pair, seed=options.seed, draws=options.draws))
    return {
        metric: {"value": float(value), "low": ends[0], "high": ends[1]}
        for metric, (value, ends) in sorted(differences.items())
    }


__all__ = [
    "CONDITIONS",
    "LATENTS",
    "CodecMeasurement",
    "CodecsMeasurement",
    "codec_differences",
    "codec_scores",
    "measure_codecs",
]
