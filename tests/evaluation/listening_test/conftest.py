"""Folders of short songs of three systems, in different formats, rates and levels."""

import numpy as np
import pytest
import soundfile

SYSTEMS = {
    "ours": (16000, 1, 0.05, ".wav"),
    "theirs": (22050, 2, 0.5, ".flac"),
    "third": (24000, 1, 0.9, ".mp3"),
}
"""Sampling rate in Hz, channels, level and ending of each system's songs."""


@pytest.fixture(scope="session")
def song_folders(tmp_path_factory):
    """A folder with four songs of half a second for each of three systems."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("systems")
    for name, (rate, channels, level, ending) in SYSTEMS.items():
        (root / name).mkdir()
        for number in range(4):
            times = np.arange(rate // 2)[:, None] / rate
            tone = np.sin(times * (1500 + 400 * number + 200 * np.arange(channels)))
            noise = random.normal(0, 0.1, (len(times), channels))
            song = np.clip(level * (tone * (0.3 + times) + noise), -1, 1)
            soundfile.write(root / name / f"song {number}{ending}", song, rate)
    return root


@pytest.fixture
def folders(song_folders):
    """The paths of the three folders."""
    return tuple(str(song_folders / name) for name in SYSTEMS)
