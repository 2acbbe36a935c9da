"""The engine by itself: how the command loads its models, and what every song is asked for."""

import asyncio
import itertools
from contextlib import aclosing

import numpy as np
import pytest

from songgen_hf.cli.serve import ServeOptions, _engine
from songgen_hf.modeling.compiled_steps import missing_compiler
from songgen_hf.serving.engine import Happening, Order, SongEngine, as_pcm

from .running import ROUNDING

pytestmark = pytest.mark.slow


class Asked:
    """A pipeline that notes its arguments, of which it leaves the compilation out."""

    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.arguments = None

    def __getattr__(self, name):
        return getattr(self.pipeline, name)

    def __call__(self, **arguments):
        self.arguments = dict(arguments)
        arguments.pop("compile", None)
        return self.pipeline(**arguments)


async def happenings_of(engine: SongEngine, order: Order) -> list[Happening]:
    async with aclosing(engine.run(order)) as happenings:
        return [happening async for happening in happenings]


@pytest.mark.parametrize(("model", "compiled"), [("mixed", True), ("masked", None)])
def test_the_steps_of_autoregressive_models_are_compiled(pipelines, model, compiled):
    asked = Asked(pipelines[model])
    engine = SongEngine({model: asked}, compile=True)
    try:
        order = Order(model, {"text": "folk", "seconds": 0.1, "seed": 1})
        song = asyncio.run(happenings_of(engine, order))[-1]
    finally:
        engine.close()

    assert song["seed"] == 1 and asked.arguments.get("compile") is compiled


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised in modules of the compiler
@pytest.mark.skipif(missing_compiler() is not None, reason=str(missing_compiler()))
def test_compiled_songs_are_streamed_planned_and_redone(pipelines):
    pipeline = pipelines["tracks"]
    engine = SongEngine({"tracks": pipeline}, compile=True)
    call = {"text": "folk", "lyrics": "la", "seconds": 0.3, "seed": 1}
    try:
        *heard, song = asyncio.run(happenings_of(engine, Order("tracks", call, stream=True)))
        order = Order("tracks", WHOLE | ORDINARY, stream=True, method="whole_song")
        whole = asyncio.run(happenings_of(engine, order))[-1]
        change = {"song": whole, "index": 1, "seed": 2}
        order = Order("tracks", change, method="redo_section")
        redone = asyncio.run(happenings_of(engine, order))[-1]
    finally:
        engine.close()

    np.testing.assert_array_equal(song["codes"], pipeline(**call, progress=False)["codes"])
    heard = b"".join(one for one in heard if isinstance(one, bytes))
    expected = np.frombuffer(as_pcm(song["audio"]), "<i2")
    np.testing.assert_allclose(np.frombuffer(heard, "<i2"), expected, atol=ROUNDING)
    expected = pipeline.whole_song(**WHOLE, **ORDINARY)
    np.testing.assert_array_equal(whole["codes"], expected["codes"])
    expected = pipeline.redo_section(expected, 1, seed=2)
    np.testing.assert_array_equal(redone["codes"], expected["codes"])


ORDINARY = {"suppress_tokens": list(range(1025, 1088))}
"""An untrained model would put special ids into a section."""
WHOLE = {
    "text": "folk", "seed": 3, "window": 0.6, "context": 0.1,
    "lyrics": "[intro 0.1s]\n[verse 0.4s]\nthe river runs\n[chorus 0.3s]\nla",
}  # fmt: skip


@pytest.mark.parametrize("model", ["tracks", "masked"])
def test_a_whole_song_is_streamed_section_by_section(pipelines, model, monkeypatch):
    from songgen_hf.pipelines import tracks_in_place

    # The first take of each section has instruments in its vocal: its sound is not to be heard.
    swapped = itertools.cycle([99, 0])
    monkeypatch.setattr(tracks_in_place, "misplaced_seconds", lambda *_, **__: next(swapped))
    arguments = WHOLE | ({"num_inference_steps": 2} if model == "masked" else ORDINARY)
    engine = SongEngine({model: pipelines[model]})
    try:
        order = Order(model, arguments, stream=True, method="whole_song")
        *happenings, song = asyncio.run(happenings_of(engine, order))
    finally:
        engine.close()

    kinds = ["sound" if isinstance(one, bytes) else "steps" for one in happenings]
    assert "steps" in kinds[kinds.index("sound") :]
    heard = b"".join(one for one in happenings if isinstance(one, bytes))
    heard, expected = (np.frombuffer(one, "<i2") for one in (heard, as_pcm(song["audio"])))
    assert next(swapped) == 99  # each of the two sections with words had two takes
    np.testing.assert_allclose(heard, expected, atol=ROUNDING)


def test_the_command_quantizes_its_models(tiny_checkpoint):
    options = ServeOptions(
        models=[tiny_checkpoint("mixed_pro")], quantize="int8", device="cpu", threads=1
    )
    engine = _engine(options)
    try:
        (pipeline,) = engine._pipelines.values()
        kinds = {type(module).__name__ for module in pipeline.model.decoder.modules()}
        assert any("Int8" in kind for kind in kinds), kinds
    finally:
        engine.close()
