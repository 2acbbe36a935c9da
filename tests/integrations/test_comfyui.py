"""The nodes of ComfyUI keep its contract, and sing what the pipeline sings; ComfyUI is absent."""

import importlib.util
import inspect
import sys
import types
from pathlib import Path

import pytest
import torch

from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_masked, tiny_processor, tiny_singer

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "AUDIO", "SONGGEN_MODEL", "SONGGEN_SONG"}


@pytest.fixture(scope="module")
def nodes():
    """The package of the nodes, imported from its folder as ComfyUI does."""
    spec = importlib.util.spec_from_file_location(
        "songgen_nodes", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["songgen_nodes"] = module
    spec.loader.exec_module(module)
    yield module
    for name in ("songgen_nodes", "songgen_nodes.nodes"):
        sys.modules.pop(name, None)


def defaults(node) -> dict:
    """The default of every input that has one."""
    inputs = node.INPUT_TYPES()
    both = {**inputs["required"], **inputs.get("optional", {})}
    return {name: spec[1]["default"] for name, spec in both.items() if len(spec) > 1}


def test_every_node_keeps_the_contract(nodes):
    assert nodes.NODE_CLASS_MAPPINGS.keys() == nodes.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for node in nodes.NODE_CLASS_MAPPINGS.values():
        inputs = node.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional"}
        names = [name for part in inputs.values() for name in part]
        parameters = inspect.signature(getattr(node, node.FUNCTION)).parameters
        assert set(names) == set(parameters) - {"self"}
        for name in inputs.get("optional", {}):
            assert parameters[name].default is not inspect.Parameter.empty
        assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
        assert set(node.RETURN_TYPES) <= TYPES and node.CATEGORY == "audio/songgen"
        for part in inputs.values():
            for name, (kind, *options) in part.items():
                assert isinstance(kind, list) or kind in TYPES, name
                if kind in ("INT", "FLOAT"):
                    assert options[0]["min"] <= options[0]["default"] <= options[0]["max"], name


@pytest.mark.slow
def test_a_song_is_that_of_the_pipeline_and_is_sung_again_in_part(nodes, tiny_checkpoint):
    load, sing, again = (node() for node in nodes.NODE_CLASS_MAPPINGS.values())
    (model,) = load.load(tiny_checkpoint("interleaving_A_V"), "cpu", "auto")
    words = {"text": "folk", "lyrics": "the river runs"}
    settings = defaults(sing) | words | {"seed": 3, "max_seconds": 1.0, "timestamps": True}

    mixture, vocal, band, song, lrc = sing.sing(model, **settings)

    expected = model(
        "folk", lyrics=words["lyrics"], seed=3, max_seconds=1.0, guidance_scale=2.0, temperature=1.0
    )
    for audio, name in ((mixture, "audio"), (vocal, "vocal"), (band, "accompaniment")):
        assert audio["sample_rate"] == 16000
        assert torch.equal(audio["waveform"], torch.from_numpy(expected[name])[None])
    assert lrc.startswith("[00:00.") and lrc.endswith("the river runs\n")
    start = round(0.5 * song["audio"].shape[-1] / 16000, 1)
    part = defaults(again) | words | {"seed": 9, "song": song, "start": start}
    changed, *_ = again.sing_again(model, **part)
    kept = round((start - 0.1) * 16000)
    assert torch.equal(changed["waveform"][..., :kept], mixture["waveform"][..., :kept])
    assert not torch.equal(changed["waveform"], mixture["waveform"])


@pytest.mark.slow
def test_a_voice_and_a_masked_model_are_taken(nodes, tiny_masked, tiny_checkpoint):
    load, sing, _ = (node() for node in nodes.NODE_CLASS_MAPPINGS.values())
    (model,) = load.load(tiny_checkpoint("interleaving_A_V"), "cpu", "auto")
    settings = defaults(sing) | {"text": "folk", "seed": 3, "max_seconds": 0.4, "steps": 3}
    assert sing.sing(tiny_masked(), **settings)[0]["waveform"].shape[:2] == (1, 1)
    voice = {"waveform": 0.3 * torch.sin(torch.arange(16000) * 0.06)[None, None]}
    voice["sample_rate"] = 16000

    plain = sing.sing(model, **settings)[0]["waveform"]
    voiced = sing.sing(model, **settings, voice=voice)[0]["waveform"]

    assert not torch.equal(plain, voiced)
    wrong = {**voice, "waveform": voice["waveform"].repeat(2, 1, 1)}
    with pytest.raises(ValueError, match=r"^the voice has shape \[2, 1, 16000\]: expected one"):
        sing.sing(model, **settings, voice=wrong)


@pytest.mark.slow
def test_the_progress_bar_of_comfyui_moves_and_cancel_ends_the_song(
    nodes, tiny_masked, monkeypatch
):
    seen = []

    class Bar:
        def __init__(self, total):
            seen.append(total)

        def update_absolute(self, done, total):
            seen.append((done, total))

    class Interrupted(Exception):
        pass

    def interrupt():
        if len(seen) > 2:
            raise Interrupted

    management = types.SimpleNamespace(throw_exception_if_processing_interrupted=interrupt)
    monkeypatch.setitem(sys.modules, "comfy.utils", types.SimpleNamespace(ProgressBar=Bar))
    monkeypatch.setitem(sys.modules, "comfy.model_management", management)
    _, sing, _ = (node() for node in nodes.NODE_CLASS_MAPPINGS.values())
    settings = defaults(sing) | {"text": "folk", "max_seconds": 0.4, "steps": 5}

    with pytest.raises(Interrupted):
        sing.sing(tiny_masked(), **settings)

    assert seen == [5, (1, 5), (2, 5)]


__all__ = ["tiny_checkpoint", "tiny_masked", "tiny_processor", "tiny_singer"]
