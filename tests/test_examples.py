"""Every example runs unchanged and is at most 40 lines long."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_writes_sound_or_a_picture(example, tmp_path, monkeypatch):
    if "import matplotlib" in example.read_text():
        pytest.importorskip("matplotlib")
    soundfile.write(tmp_path / "hum.wav", 0.1 * np.sin(np.arange(16000) / 20), 16000)
    needs_recording = "RECORDING" in example.read_text()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example), *(["hum.wav"] if needs_recording else [])])
    runpy.run_path(str(example), run_name="__main__")

    written = [path for path in tmp_path.iterdir() if path.name != "hum.wav"]
    sounds = [path for path in written if path.suffix == ".wav"]
    assert written and all(soundfile.info(path).duration >= 0.9 for path in sounds)
    assert sounds or (tmp_path / "song.png").read_bytes().startswith(b"\x89PNG")
    assert len(example.read_text().splitlines()) <= 40
