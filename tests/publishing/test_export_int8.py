"""Checkpoints whose files hold integers: exported, loaded by pipelines, and exported again."""

import copy

import numpy as np
import pytest
import torch
from transformers import pipeline

from songgen_hf.checkpoints.digests import weights_digest
from songgen_hf.checkpoints.embedded import EMBEDDED_PATTERNS
from songgen_hf.checkpoints.loading import load_pipeline, song_pipeline
from songgen_hf.modeling import int8_layers
from songgen_hf.modeling.int8_layers import Int8Linear
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.publishing.export import export
from songgen_hf.publishing.export_masked import export_masked
from songgen_hf.publishing.export_sharing import export_sharing_codec

from ..tools.tiny_checkpoint import (
    tiny_checkpoint,
    tiny_masked,
    tiny_processor,
    tiny_singer,
)

__all__ = ["tiny_checkpoint", "tiny_masked", "tiny_processor", "tiny_singer"]
PATTERN = "interleaving_A_V"
REQUEST = {"lyrics": "the river", "seed": 3, "max_seconds": 0.5}


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch):
    """Files store the matrices of tiny models as integers, too."""
    monkeypatch.setattr(int8_layers, "SMALLEST_MATRIX", 16)


@pytest.fixture
def models(tiny_singer, tiny_processor):
    return {name: (copy.deepcopy(tiny_singer(name)), tiny_processor) for name in (PATTERN,)}


def stored_bytes(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def is_integer(pipe) -> bool:
    network = pipe.transformer if pipe.mode == "masked" else pipe.model
    return any(isinstance(module, Int8Linear) for module in network.modules())


@pytest.mark.slow
def test_files_of_integers_load_as_a_model_of_integers_or_of_floats(models, tmp_path):
    model, processor = models[PATTERN]
    export(model, processor, tmp_path / "computing", quantize="int8")
    export(model, processor, tmp_path / "stored", quantize="int8", load_dtype="float32")
    export(model, processor, tmp_path / "floats")
    assert stored_bytes(tmp_path / "stored") == stored_bytes(tmp_path / "computing")
    assert stored_bytes(tmp_path / "stored") < 0.8 * stored_bytes(tmp_path / "floats")
    computing, stored = (load_pipeline(str(tmp_path / name)) for name in ("computing", "stored"))
    assert is_integer(computing) and not is_integer(stored)
    asked = load_pipeline(str(tmp_path / "stored"), quantization="int8")
    songs = [pipe("folk", **REQUEST)["codes"] for pipe in (computing, asked)]
    assert np.array_equal(*songs)
    assert stored("folk", **REQUEST)["audio"].size


@pytest.mark.slow
def test_a_model_of_rounded_floats_is_exported_with_the_same_values(models, tmp_path):
    model, processor = models[PATTERN]
    export(model, processor, tmp_path / "first", quantize="int8", load_dtype="float32")
    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path / "first")
    export(loaded, processor, tmp_path / "second", quantize="int8", load_dtype="float32")
    again = SongGenForConditionalGeneration.from_pretrained(tmp_path / "second")
    assert weights_digest(again) == weights_digest(loaded) != weights_digest(model)


@pytest.mark.slow
def test_an_integer_model_is_exported_as_floats(models, tmp_path):
    model, processor = models[PATTERN]
    export(model, processor, tmp_path / "integers", quantize="int8")
    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path / "integers")
    expected = loaded.decoder.lm_heads.dequantized()
    export(loaded, processor, tmp_path / "again")
    again = SongGenForConditionalGeneration.from_pretrained(tmp_path / "again")
    assert torch.equal(again.decoder.lm_heads.dequantized(), expected)


@pytest.mark.slow
def test_models_that_share_a_codec_share_it_as_it_was(tiny_singer, tiny_processor, tmp_path):
    first, second = (copy.deepcopy(tiny_singer(pattern)) for pattern in EMBEDDED_PATTERNS)
    second.audio_encoder.load_state_dict(first.audio_encoder.state_dict())
    second.conditioner.voice_encoder.load_state_dict(first.conditioner.voice_encoder.state_dict())
    models = {
        name: (model, tiny_processor)
        for name, model in zip(EMBEDDED_PATTERNS, (first, second), strict=True)
    }
    export_sharing_codec(models, tmp_path / "mini", quantize="int8", load_dtype="float32")
    for name, (model, _) in models.items():
        loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path / "mini" / name)
        assert not isinstance(loaded.decoder.lm_heads, Int8Linear)
        codec = model.audio_encoder.state_dict()
        found = loaded.audio_encoder.state_dict()
        assert all(torch.equal(found[key], codec[key]) for key in codec)


@pytest.mark.slow
def test_masked_models_are_stored_as_integers_and_compute_with_them_on_demand(
    models, tiny_masked, tmp_path
):
    pipe = tiny_masked(PATTERN, "mixture")
    export_masked(pipe, tmp_path / "floats")
    export_masked(pipe, tmp_path / "integers", quantize="int8")
    sizes = [stored_bytes(tmp_path / name / "transformer") for name in ("integers", "floats")]
    assert sizes[0] < sizes[1]
    stored = load_pipeline(str(tmp_path / "integers"))
    assert not is_integer(stored)
    exact = dict(pipe.transformer.named_parameters())
    for name, weight in stored.transformer.named_parameters():
        limit = exact[name].detach().abs().max() / 100
        assert torch.allclose(weight, exact[name], rtol=0, atol=float(limit))
    computing = load_pipeline(str(tmp_path / "integers"), quantization="int8")
    assert is_integer(computing)
    computing.set_progress_bar_config(disable=True)
    song = computing("folk", lyrics="the river", seconds=0.5, num_inference_steps=2, seed=1)
    assert np.isfinite(song["audio"]).all()


@pytest.mark.slow
def test_a_masked_model_is_written_beside_a_rounded_song_model(models, tiny_masked, tmp_path):
    model, processor = models[PATTERN]
    export(model, processor, tmp_path / PATTERN, quantize="int8", load_dtype="float32")
    export_masked(
        tiny_masked(PATTERN), tmp_path / "masked", beside=tmp_path / PATTERN, quantize="int8"
    )
    assert load_pipeline(str(tmp_path / "masked")).conditioner is not None


@pytest.mark.slow
def test_the_task_loads_models_of_integers(tiny_checkpoint, tiny_singer, tiny_processor):
    pipe = pipeline("text-to-song", model=tiny_checkpoint(), quantization="int8")
    assert is_integer(pipe)
    given = song_pipeline(
        copy.deepcopy(tiny_singer()),
        processor=tiny_processor,
        task="text-to-song",
        quantization="int8",
    )
    assert is_integer(given)


def test_an_unknown_quantization_is_refused(tiny_checkpoint):
    with pytest.raises(ValueError) as caught:
        load_pipeline(tiny_checkpoint(), quantization="int4")
    assert str(caught.value) == (
        "quantization is 'int4', expected int8, or None for the precision of the checkpoint"
    )
