"""The training losses of the judges' networks on the batch of one step.

A batch follows from seed and step alone.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...data.listening.log_mels import FLOOR, FRAME_RATE
from ...data.listening.phoneme_recognizer import BLANK, Recognizer
from .augmentation import augmented, mix_power, with_accompaniment
from .dataset import JudgeSong, crop_lines, frame_classes, pad_mels
from .options import JudgeTrainingOptions
from .song_classifier import SongClassifier

Losses = dict[str, Tensor]
_STRIDE = 2  # mel frames per frame of the recognizer
_IGNORED = -100  # label that cannot be recognized in a crop
_AUDIBLE = 10.0 ** (-12 / 10)  # least power of an accompaniment whose lead instrument is a label


def recognizer_losses(
    network: Recognizer, songs: list[JudgeSong], options: JudgeTrainingOptions, step: int
) -> Losses:
    """CTC loss of each crop plus a cross-entropy of its frames with decreasing weight.

    The labels of frames are known, and a network that has learned them does not have to search for
    an alignment; with CTC alone it predicts only blanks for some epochs.
    """
    mels, crops, targets = [], [], []
    coded_songs = [song for song in songs if song.coded]
    for place in range(options.recognizer_batch):
        rng = np.random.default_rng([options.seed, step, place])
        song, coded = _draw(songs, coded_songs, rng)
        crop = crop_lines(song, rng)
        span = (crop.first, crop.last)
        if coded and rng.random() < 0.4:
            power = song.power("mixture", *span, coded=True)
        else:
            vocal = song.power("vocal", *span, coded=coded)
            pool = coded_songs if coded else songs
            accompaniment = _accompaniment(song, pool, span, rng, coded=coded)
            power = with_accompaniment(vocal, accompaniment, rng)
        mels.append(augmented(power, rng))
        crops.append(crop)
        targets.append(torch.tensor([sound.phoneme + 1 for sound in crop.sounds]))
    lengths = torch.tensor([math.ceil(one.shape[1] / _STRIDE) for one in mels])
    sequence, frames = network(pad_mels(mels, math.log10(FLOOR)))
    longest = sequence.shape[1]
    labels = torch.stack([frame_classes(crop, longest, _STRIDE) for crop in crops])
    ctc = F.ctc_loss(
        sequence.float().log_softmax(dim=-1).transpose(0, 1),
        torch.cat(targets),
        lengths,
        torch.tensor([len(target) for target in targets]),
        blank=BLANK,
        zero_infinity=True,
    )
    frame = F.cross_entropy(frames.float().flatten(0, 1), labels.flatten())
    share = max(0.1, 1.0 - 2.0 * step / options.recognizer_steps)
    return {"loss": ctc + share * frame, "ctc": ctc.detach(), "frame": frame.detach()}


def classifier_losses(
    network: SongClassifier, songs: list[JudgeSong], options: JudgeTrainingOptions, step: int
) -> Losses:
    """Cross-entropies of gender, lead instrument and voice, where a crop contains them."""
    config = network.config
    frames = round(options.classifier_seconds * FRAME_RATE)
    mels, genders, leads, voices = [], [], [], []
    coded_songs = [song for song in songs if song.coded]
    for place in range(options.classifier_batch):
        rng = np.random.default_rng([options.seed, step, place])
        song, coded = _draw(songs, coded_songs, rng)
        if coded and rng.random() < 0.4:  # the mixture through the codec as one sound
            mixture = _excerpt(song, "mixture", frames, rng, coded=True)
            mels.append(augmented(mixture, rng, shifted=False, longest_gap=50))
            genders.append(config.genders.index(song.gender))
            voices.append(config.voices.index(song.voice_id))
            leads.append(config.lead_families.index(song.lead_family))
            continue
        # Half of the vocals come from another song, so that voices do not imply instruments.
        singers = coded_songs if coded else songs
        singer = singers[int(rng.integers(len(singers)))] if rng.random() < 0.5 else song
        sung, level = rng.random() < 0.85, 1.0
        if sung and rng.random() < 0.35:
            level = 0.0 if rng.random() < 0.5 else 10.0 ** (-3.0 * rng.random())
        vocal = _excerpt(singer, "vocal", frames, rng, coded=coded) * float(sung)
        played = _excerpt(song, "accompaniment", frames, rng, coded=coded) * level
        power = mix_power(vocal, played, rng)
        mels.append(augmented(power, rng, shifted=False, longest_gap=50))
        genders.append(config.genders.index(singer.gender) if sung else _IGNORED)
        voices.append(config.voices.index(singer.voice_id) if sung else _IGNORED)
        audible = level >= _AUDIBLE
        leads.append(config.lead_families.index(song.lead_family) if audible else _IGNORED)
    logits = network(pad_mels(mels, math.log10(FLOOR)))
    losses = {
        "gender": _cross_entropy(logits.gender, genders),
        "lead": _cross_entropy(logits.lead_family, leads),
        "voice": _cross_entropy(logits.voice, voices),
    }
    return {"loss": sum(losses.values(), torch.zeros(()))} | {
        name: value.detach() for name, value in losses.items()
    }


def _draw(
    songs: list[JudgeSong], coded_songs: list[JudgeSong], rng: np.random.Generator
) -> tuple[JudgeSong, bool]:
    """A random song, and whether to use its sound after the codec (probability 0.4)."""
    coded = bool(coded_songs) and rng.random() < 0.4
    pool = coded_songs if coded else songs
    return pool[int(rng.integers(len(pool)))], coded


def _accompaniment(
    song: JudgeSong,
    songs: list[JudgeSong],
    span: tuple[int, int],
    rng: np.random.Generator,
    *,
    coded: bool,
) -> Tensor:
    """The accompaniment of the song or, with probability 0.5, of another song."""
    if rng.random() < 0.5:
        return song.power("accompaniment", *span, coded=coded)
    other = songs[int(rng.integers(len(songs)))]
    return _excerpt(other, "accompaniment", span[1] - span[0], rng, coded=coded)


def _excerpt(
    song: JudgeSong, stem: str, frames: int, rng: np.random.Generator, *, coded: bool
) -> Tensor:
    """Mel power [mels, frames] from a random position; shorter songs are padded with silence."""
    first = int(rng.integers(max(1, song.num_frames - frames + 1)))
    power = song.power(stem, first, first + frames, coded=coded)
    return F.pad(power, (0, frames - power.shape[1]))


def _cross_entropy(logits: Tensor, labels: list[int]) -> Tensor:
    """Mean over the labels that are not ignored, 0 if there are none, with label smoothing."""
    classes = torch.tensor(labels)
    counted = (classes != _IGNORED).sum().clamp(min=1)
    total = F.cross_entropy(
        logits.float(), classes, ignore_index=_IGNORED, reduction="sum", label_smoothing=0.1
    )
    return total / counted


__all__ = ["Losses", "classifier_losses", "recognizer_losses"]
