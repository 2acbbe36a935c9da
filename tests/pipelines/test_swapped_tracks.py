"""Tests of the warning about swapped tracks."""

import logging
import math

import numpy as np
import pytest
import torch

from songgen_hf.pipelines import swapped_tracks
from songgen_hf.pipelines.swapped_tracks import SURE_MARGIN, swap_margin, swapped_blocks
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

RATE = 16000


@pytest.fixture(scope="module")
def judge(tiny_singer, tiny_processor):
    """Function (voice, vocal, accompaniment) -> margin with the voice encoder of a tiny model."""
    model = tiny_singer("interleaving_A_V")

    def margin(voice, vocal, accompaniment):
        values = tiny_processor.prepare_voice([(voice, RATE)], [0.0])["voice_values"]
        tracks = vocal[None], accompaniment[None]
        return swap_margin(model, tiny_processor, torch.from_numpy(values[0]), *tracks, RATE)

    return margin


@pytest.fixture(scope="module")
def sounds():
    """Two different sounds of six seconds at 16 kHz: a tone with partials, and noise."""
    times = np.arange(6 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 220 * k * times) / k for k in range(1, 6))
    noise = np.random.default_rng(0).standard_normal(len(times))
    return (0.1 * tone).astype(np.float32), (0.1 * noise).astype(np.float32)


def test_the_voice_is_nearer_to_the_track_that_has_it(judge, sounds):
    voice, other = sounds
    reference = voice[: 3 * RATE]

    assert judge(reference, voice, other) < 0 < judge(reference, other, voice)
    assert judge(reference, voice, other) == pytest.approx(-judge(reference, other, voice))
    assert judge(reference, voice, voice) == 0


def test_rests_do_not_count(judge, sounds):
    voice, other = sounds
    with_rest = np.concatenate([voice[: 3 * RATE], np.zeros_like(voice)])

    margin = judge(voice[: 3 * RATE], with_rest, other)
    assert margin == pytest.approx(judge(voice[: 3 * RATE], voice[: 3 * RATE], other), abs=1e-4)


@pytest.mark.parametrize("samples", [0, 5, 2 * RATE])
def test_silent_or_missing_tracks_give_no_margin(judge, sounds, samples):
    assert math.isnan(judge(sounds[0][: 3 * RATE], np.zeros(samples, np.float32), sounds[1]))


def test_a_swapped_song_is_warned_about(tiny_singer, tiny_processor, sounds, monkeypatch, caplog):
    model = tiny_singer("interleaving_A_V")
    song = TextToSongPipeline(model=model, processor=tiny_processor, device="cpu")
    margins = iter([SURE_MARGIN + 0.01, SURE_MARGIN - 0.01])
    monkeypatch.setattr(swapped_tracks, "swap_margin", lambda *_: next(margins))

    with caplog.at_level(logging.WARNING):
        song(
            ["folk", "rock", "waltz"],
            reference_voice=[(sounds[0], RATE), (sounds[0], RATE), None],
            max_seconds=0.1,
            batch_size=3,
            seed=[7, 8, 9],
        )

    warnings = [record.getMessage() for record in caplog.records if "voice in" in record.message]
    assert warnings == [
        "The song of seed 7 has its voice in the accompaniment instead of the vocal track: try "
        "another seed."
    ]


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 4])
def test_blocks_are_swapped_where_the_vocal_sounds_as_the_band_did(start):
    rate, draw = 16000, np.random.default_rng(0)
    band = np.cumsum(draw.normal(0, 0.05, 10 * rate))[None]  # low noise all the time
    band -= np.convolve(band[0], np.ones(rate) / rate, "same")
    voice = 0.2 * np.sin(2 * np.pi * 440 * np.arange(10 * rate) / rate)[None]
    voice[:, 5 * rate : 7 * rate] = 0
    other = voice.copy(), band.copy()
    for one, replacing in zip(other, (band, voice), strict=True):
        one[:, 6 * rate : 8 * rate] = replacing[:, 6 * rate : 8 * rate]

    assert swapped_blocks(voice, band, rate, start * rate) == 0
    assert swapped_blocks(*other, rate, start * rate) == 4
    assert swapped_blocks(voice[:, :100], band[:, :100], rate, 0) == 0
