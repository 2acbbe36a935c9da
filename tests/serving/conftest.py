"""A running service with tiny models of each kind."""

import time

import pytest

from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_masked, tiny_processor, tiny_singer
from .running import served

SECONDS = 2.0
"""Longest song of the tiny service."""


@pytest.fixture(scope="session")
def pipelines(tiny_checkpoint, tiny_masked):
    """Name -> a tiny pipeline: one track, two tracks, and masked with two tracks."""
    from songgen_hf.checkpoints.loading import load_pipeline

    return {
        "mixed": load_pipeline(tiny_checkpoint("mixed_pro"), device="cpu"),
        "tracks": load_pipeline(tiny_checkpoint("interleaving_A_V"), device="cpu"),
        "masked": tiny_masked(),
    }


@pytest.fixture(scope="session")
def service(pipelines):
    """A service without keys: ``url``, ``app`` and ``engine``."""
    from songgen_hf.serving.engine import SongEngine
    from songgen_hf.serving.limits import ServiceLimits

    limits = ServiceLimits(seconds=SECONDS, upload_bytes=200_000, body_bytes=1_000_000)
    with served(SongEngine(pipelines), limits=limits) as running:
        yield running


@pytest.fixture
def slow_steps(pipelines, monkeypatch) -> list[float]:
    """The times of the steps of "mixed", each of which takes at least 0.05 s on any machine."""
    steps: list[float] = []
    forward = pipelines["mixed"].model.forward

    def slow_forward(*args, **kwargs):
        steps.append(time.monotonic())
        time.sleep(0.05)
        return forward(*args, **kwargs)

    monkeypatch.setattr(pipelines["mixed"].model, "forward", slow_forward)
    return steps


@pytest.fixture(scope="session")
def tone() -> bytes:
    """A tone of one second as a WAV file."""
    import io

    import numpy as np
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(np.arange(16000) * 0.06), 16000, format="WAV")
    return file.getvalue()


__all__ = ["tiny_checkpoint", "tiny_masked", "tiny_processor", "tiny_singer"]
