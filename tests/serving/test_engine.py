"""The engine by itself: how the command loads its models, and what every song is asked for."""

import asyncio
from contextlib import aclosing

import pytest

from songgen_hf.cli.serve import ServeOptions, _engine
from songgen_hf.pipelines.song import Song
from songgen_hf.serving.engine import Order, SongEngine

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


async def song_of(engine: SongEngine, order: Order) -> Song:
    async with aclosing(engine.run(order)) as happenings:
        return [happening async for happening in happenings][-1]


@pytest.mark.parametrize(("model", "compiled"), [("mixed", True), ("masked", None)])
def test_the_steps_of_autoregressive_models_are_compiled(pipelines, model, compiled):
    asked = Asked(pipelines[model])
    engine = SongEngine({model: asked}, compile=True)
    try:
        order = Order(model, {"text": "folk", "seconds": 0.1, "seed": 1})
        song = asyncio.run(song_of(engine, order))
    finally:
        engine.close()

    assert song["seed"] == 1 and asked.arguments.get("compile") is compiled


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
