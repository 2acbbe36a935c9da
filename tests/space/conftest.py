"""Tiny pipelines of two modes, and a running Space that uses them."""

import os

import pytest

from ..publishing.conftest import hub, server
from ..tools.chromium import browser
from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_masked, tiny_processor, tiny_singer
from .browser_visit import context, own_space, visit


@pytest.fixture(scope="session")
def pipelines(tiny_checkpoint):
    """Mode -> a tiny pipeline for these tests alone, because adapters change the model."""
    from songgen_hf.checkpoints.loading import load_pipeline

    patterns = {"mixed": "mixed_pro", "two tracks": "interleaving_A_V"}
    return {
        mode: load_pipeline(tiny_checkpoint(pattern), device="cpu")
        for mode, pattern in patterns.items()
    }


@pytest.fixture
def generator(pipelines):
    """A new generator with the tiny pipelines; waits until all requests have ended."""
    from songgen_hf.space.generation import SongGenerator

    from ..tools.waiting import wait_until

    generator = SongGenerator(pipelines)
    yield generator
    wait_until(lambda: generator.running == 0)


@pytest.fixture
def store(tmp_path):
    """A store of three songs for each session."""
    from songgen_hf.space.session_store import SessionStore

    return SessionStore(tmp_path / "gradio", songs_per_session=3, keep_seconds=100)


@pytest.fixture
def song(store):
    """A song of two tracks with a reference voice."""
    from .song_cases import write_song

    return write_song(store, with_voice=True)


@pytest.fixture(scope="session")
def space_folder(tmp_path_factory):
    """The folder of the files of gradio and the Space during the tests."""
    folder = tmp_path_factory.mktemp("gradio")
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


@pytest.fixture(scope="session")
def space(pipelines, space_folder):
    """A running Space with the tiny pipelines; ``space.local_url`` is its address."""
    from songgen_hf.space.app import build_demo
    from songgen_hf.space.limits import Limits
    from songgen_hf.space.settings import Settings

    from ..tools.serving import launched

    limits = Limits(seconds=2.0, upload_bytes=200_000, voice_seconds=60, hub_adapters=False)
    with launched(
        lambda: build_demo(pipelines, limits=limits, defaults=Settings(seconds=1.0, mode="mixed"))
    ) as demo:
        yield demo


__all__ = [
    "browser",
    "context",
    "hub",
    "own_space",
    "server",
    "tiny_checkpoint",
    "tiny_masked",
    "tiny_processor",
    "tiny_singer",
    "visit",
]
