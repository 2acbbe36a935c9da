"""What the judges' networks are trained to make small, for the batch of one step.

A batch depends on (seed, step) alone.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .augmentation import augmented, mix_power, with_accompaniment
from .dataset import JudgeSong, crop_lines, frame_classes, pad_mels
from .log_mels import FLOOR, FRAME_RATE
from .options import JudgeTrainingOptions
from .phoneme_recognizer import BLANK, PhonemeRecognizer
from .song_classifier import SongClassifier

Losses = dict[str, Tensor]
_STRIDE = 2  # mel frames a frame of the recognizer
_UNASKED = -100  # a truth that this crop cannot show
_AUDIBLE = 10.0 ** (-12 / 10)  # a band quieter than this is not asked for its lead


def recognizer_losses(
    network: PhonemeRecognizer, songs: list[JudgeSong], options: JudgeTrainingOptions, step: int
) -> Losses:
    """CTC over each crop, and cross entropy of its frames, which fades out.

    The frames' truth is known here, and a network that has learned it needs no search for an
    alignment: CTC alone spends its first epochs on blanks.
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
            band = _other_band(song, coded_songs if coded else songs, span, rng, coded=coded)
            power = with_accompaniment(vocal, band, rng)
        mels.append(augmented(power, rng))
        crops.append(crop)
        targets.append(torch.tensor([sound.phoneme + 1 for sound in crop.sounds]))
    lengths = torch.tensor([math.ceil(one.shape[1] / _STRIDE) for one in mels])
    sequence, frames = network(pad_mels(mels, math.log10(FLOOR)))
    longest = sequence.shape[1]
    truth = torch.stack([frame_classes(crop, longest, _STRIDE) for crop in crops])
    ctc = F.ctc_loss(
        sequence.float().log_softmax(dim=-1).transpose(0, 1),
        torch.cat(targets),
        lengths,
        torch.tensor([len(target) for target in targets]),
        blank=BLANK,
        zero_infinity=True,
    )
    frame = F.cross_entropy(frames.float().flatten(0, 1), truth.flatten())
    share = max(0.1, 1.0 - 2.0 * step / options.recognizer_steps)
    return {"loss": ctc + share * frame, "ctc": ctc.detach(), "frame": frame.detach()}


def classifier_losses(
    network: SongClassifier, songs: list[JudgeSong], options: JudgeTrainingOptions, step: int
) -> Losses:
    """Cross entropy of the three answers, each where the crop lets it be known."""
    config = network.config
    frames = round(options.classifier_seconds * FRAME_RATE)
    mels, genders, leads, voices = [], [], [], []
    coded_songs = [song for song in songs if song.coded]
    for place in range(options.classifier_batch):
        rng = np.random.default_rng([options.seed, step, place])
        song, coded = _draw(songs, coded_songs, rng)
        if coded and rng.random() < 0.4:  # the mixture through the codec as one sound
            mels.append(
                augmented(
                    _excerpt(song, "mixture", frames, rng, coded=True),
                    rng,
                    shifted=False,
                    longest_gap=50,
                )
            )
            genders.append(config.genders.index(song.gender))
            voices.append(config.voices.index(song.voice_id))
            leads.append(config.lead_families.index(song.lead_family))
            continue
        # Who sings says nothing of who plays: every second singer comes from another song.
        singers = coded_songs if coded else songs
        singer = singers[int(rng.integers(len(singers)))] if rng.random() < 0.5 else song
        sung, band = rng.random() < 0.85, 1.0
        if sung and rng.random() < 0.35:
            band = 0.0 if rng.random() < 0.5 else 10.0 ** (-3.0 * rng.random())
        vocal = _excerpt(singer, "vocal", frames, rng, coded=coded) * float(sung)
        played = _excerpt(song, "accompaniment", frames, rng, coded=coded) * band
        power = mix_power(vocal, played, rng)
        mels.append(augmented(power, rng, shifted=False, longest_gap=50))
        genders.append(config.genders.index(singer.gender) if sung else _UNASKED)
        voices.append(config.voices.index(singer.voice_id) if sung else _UNASKED)
        heard = band >= _AUDIBLE
        leads.append(config.lead_families.index(song.lead_family) if heard else _UNASKED)
    answers = network(pad_mels(mels, math.log10(FLOOR)))
    losses = {
        "gender": _cross_entropy(answers.gender, genders),
        "lead": _cross_entropy(answers.lead_family, leads),
        "voice": _cross_entropy(answers.voice, voices),
    }
    return {"loss": sum(losses.values(), torch.zeros(()))} | {
        name: value.detach() for name, value in losses.items()
    }


def _draw(
    songs: list[JudgeSong], coded_songs: list[JudgeSong], rng: np.random.Generator
) -> tuple[JudgeSong, bool]:
    """A song and whether it is heard through the codec, which is so two times in five."""
    coded = bool(coded_songs) and rng.random() < 0.4
    pool = coded_songs if coded else songs
    return pool[int(rng.integers(len(pool)))], coded


def _other_band(
    song: JudgeSong,
    songs: list[JudgeSong],
    span: tuple[int, int],
    rng: np.random.Generator,
    *,
    coded: bool,
) -> Tensor:
    """The song's own accompaniment, or (every second time) as much of another's."""
    if rng.random() < 0.5:
        return song.power("accompaniment", *span, coded=coded)
    other = songs[int(rng.integers(len(songs)))]
    return _excerpt(other, "accompaniment", span[1] - span[0], rng, coded=coded)


def _excerpt(
    song: JudgeSong, stem: str, frames: int, rng: np.random.Generator, *, coded: bool
) -> Tensor:
    """Mel power [mels, frames] from a random place; a shorter song is followed by silence."""
    first = int(rng.integers(max(1, song.num_frames - frames + 1)))
    power = song.power(stem, first, first + frames, coded=coded)
    return F.pad(power, (0, frames - power.shape[1]))


def _cross_entropy(logits: Tensor, truth: list[int]) -> Tensor:
    """Mean over the asked ones, 0 if there are none; labels smoothed by a tenth."""
    classes = torch.tensor(truth)
    asked = (classes != _UNASKED).sum().clamp(min=1)
    total = F.cross_entropy(
        logits.float(), classes, ignore_index=_UNASKED, reduction="sum", label_smoothing=0.1
    )
    return total / asked


__all__ = ["Losses", "classifier_losses", "recognizer_losses"]
