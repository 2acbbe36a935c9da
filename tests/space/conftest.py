"""Tiny singers of both modes, and a Space around them that listens on the loopback."""

import os

import pytest

from ..publishing.conftest import hub, server
from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_masked, tiny_processor, tiny_singer


@pytest.fixture(scope="session")
def pipelines(tiny_checkpoint):
    """Mode -> a tiny pipeline of its own: adapters may change it."""
    from transformers import pipeline

    import songgen_hf
    from songgen_hf.pipelines.text_to_song import TextToSongPipeline

    songgen_hf.register()
    patterns = {"mixed": "mixed_pro", "two tracks": "interleaving_A_V"}
    return {
        mode: pipeline(
            "text-to-song",
            model=tiny_checkpoint(pattern),
            device="cpu",
            pipeline_class=TextToSongPipeline,
        )
        for mode, pattern in patterns.items()
    }


@pytest.fixture
def singer(pipelines):
    """A fresh singer over the tiny pipelines; at the end nobody sings any more."""
    from songgen_hf.space.generation import Singer

    from ..tools.waiting import wait_until

    singer = Singer(pipelines)
    yield singer
    wait_until(lambda: singer.singing == 0)


@pytest.fixture(scope="session")
def space_folder(tmp_path_factory):
    """Where gradio and the Space put files during the tests."""
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
    """A running Space of the tiny singers; ``space.local_url`` is its address."""
    from songgen_hf.space import Limits, Settings, build_demo

    from ..tools.serving import launched

    limits = Limits(seconds=2.0, upload_bytes=200_000, voice_seconds=60, hub_adapters=False)
    with launched(
        lambda: build_demo(pipelines, limits=limits, defaults=Settings(seconds=1.0))
    ) as demo:
        yield demo


__all__ = ["hub", "server", "tiny_checkpoint", "tiny_masked", "tiny_processor", "tiny_singer"]
