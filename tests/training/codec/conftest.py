"""Sounds and a preset with a tiny codec."""

import math

import numpy as np
import pytest
import soundfile

from songgen_hf.presets.models import PRESETS

from ...tools.codec_cases import TINY_CODEC


@pytest.fixture
def tiny_preset(monkeypatch):
    """The name of a preset with a tiny codec."""
    monkeypatch.setitem(PRESETS, "tiny", PRESETS["mini"] | {"audio_encoder": TINY_CODEC})
    return "tiny"


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """A folder of six short tones with overtones, of which one is at another rate."""
    folder = tmp_path_factory.mktemp("sounds")
    for index in range(6):
        rate = 24000 if index == 5 else 16000
        time = np.arange(rate) / rate
        pitch = 110 * 2 ** (index / 3)
        wave = sum(np.sin(2 * math.pi * pitch * k * time) / k for k in (1, 2, 3))
        soundfile.write(folder / f"tone-{index}.wav", 0.2 * wave * np.exp(-time), rate)
    return folder
