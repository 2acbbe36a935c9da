"""Tests of loading masked models: pipeline(), the Auto classes, and folders that share parts."""

import copy
import json

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, pipeline

pytest.importorskip("diffusers", reason="needs the extra diffusers")

from diffusers import DiffusionPipeline

import songgen_hf.checkpoints.embedded
from songgen_hf import SongGenConfig, SongGenForConditionalGeneration
from songgen_hf.checkpoints.embedded import MASKED_CHECKPOINT, default_checkpoint, find_checkpoint
from songgen_hf.pipelines.masked_song import MaskedSongPipeline
from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.provenance import identity, provenance
from songgen_hf.publishing.export_masked import export_masked

SHORT = {"seconds": 0.2, "num_inference_steps": 2, "progress": False}
PATTERN = "parallel_std"


@pytest.fixture(scope="module")
def whole(tiny_masked, tmp_path_factory):
    """The folder of a tiny masked model with all its parts."""
    folder = tmp_path_factory.mktemp("masked") / "whole"
    tiny_masked().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def family(tiny_masked, tiny_checkpoint, tiny_singer, tiny_processor, tmp_path_factory):
    """A folder with a SongGen checkpoint and a masked model that shares its parts."""
    folder = tmp_path_factory.mktemp("family")
    tiny_singer(PATTERN).save_pretrained(folder / PATTERN)
    tiny_processor.save_pretrained(folder / PATTERN)
    export_masked(tiny_masked(), folder / "masked", beside=folder / PATTERN)
    return folder


@pytest.mark.slow
def test_pipeline_of_a_masked_folder_generates_as_the_pipeline_of_diffusers(whole, tiny_masked):
    sing = pipeline("text-to-song", model=str(whole), mode="masked", device="cpu")
    unasked = pipeline("text-to-song", model=str(whole), device="cpu")

    assert isinstance(sing, MaskedSongPipeline) and isinstance(unasked, MaskedSongPipeline)
    song = sing("folk", lyrics="la", seed=1, **SHORT)
    assert np.array_equal(
        song["codes"], tiny_masked()("folk", lyrics="la", seed=1, **SHORT)["codes"]
    )


@pytest.mark.slow
def test_the_general_class_of_diffusers_names_the_class_for_shared_parts(family):
    with pytest.raises(
        ValueError, match=r"shares its codec .* MaskedSongPipeline\.from_pretrained"
    ):
        DiffusionPipeline.from_pretrained(family / "masked", trust_remote_code=True)


@pytest.mark.parametrize("kind", [SongGenConfig, SongGenForConditionalGeneration])
def test_a_masked_folder_is_refused_where_an_autoregressive_model_is_expected(whole, kind):
    with pytest.raises(ValueError, match="is a masked song model: .*MaskedSongPipeline"):
        kind.from_pretrained(whole)


@pytest.mark.slow
def test_the_processor_of_a_masked_folder_loads_by_itself(whole, family):
    for folder in (whole, family / "masked"):
        assert type(AutoProcessor.from_pretrained(folder)).__name__ == "SongGenProcessor"


@pytest.mark.slow
def test_the_masked_mode_without_a_model_uses_the_embedded_masked_model(
    family, tiny_checkpoint, monkeypatch, tmp_path
):
    monkeypatch.setattr(songgen_hf.checkpoints.embedded, "EMBEDDED", family)
    monkeypatch.setattr(
        "songgen_hf.checkpoints.embedded.default_checkpoint", lambda: str(family / PATTERN)
    )

    sing = pipeline("text-to-song", mode="masked", device="cpu", dtype="bfloat16")

    assert isinstance(sing, MaskedSongPipeline)
    assert sing.transformer.dtype == sing.codec.dtype == torch.bfloat16
    assert sing.name_or_path == find_checkpoint(MASKED_CHECKPOINT) == str(family / "masked")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, "bfloat16"])
def test_the_precision_is_a_dtype_or_its_name(whole, dtype):
    for loaded in (
        MaskedSongPipeline.from_pretrained(whole, dtype=dtype),
        pipeline("text-to-song", model=str(whole), dtype=dtype, device="cpu"),
    ):
        parts = (loaded.transformer, loaded.conditioner, loaded.codec)
        assert {part.dtype for part in parts} == {torch.bfloat16}


@pytest.mark.parametrize("dtype", ["bf16", "nn", 16])
def test_an_unknown_precision_is_refused(whole, dtype):
    with pytest.raises(ValueError, match=f"dtype is {dtype!r}: expected one of torch, or its name"):
        MaskedSongPipeline.from_pretrained(whole, dtype=dtype)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["compile", "num_inference_steps"])
def test_settings_of_songs_and_of_other_models_are_refused_where_a_model_is_loaded(whole, option):
    with pytest.raises(ValueError, match=f"does not take {option} when it is loaded: .* each call"):
        pipeline("text-to-song", model=str(whole), device="cpu", **{option: 4})


@pytest.mark.slow
def test_a_missing_embedded_masked_model_is_reported_with_a_remedy(
    tiny_checkpoint, monkeypatch, tmp_path
):
    monkeypatch.setattr(songgen_hf.checkpoints.embedded, "EMBEDDED", tmp_path)
    default = tiny_checkpoint(PATTERN)
    monkeypatch.setattr("songgen_hf.checkpoints.embedded.default_checkpoint", lambda: default)

    with pytest.raises(
        ValueError, match="train one with `songgen-hf train masked`, or pass model="
    ):
        pipeline("text-to-song", mode="masked", device="cpu")


@pytest.mark.slow
def test_an_autoregressive_model_in_masked_mode_and_unknown_modes_are_refused(
    tiny_checkpoint, tiny_singer, tiny_processor
):
    with pytest.raises(ValueError, match="an autoregressive one; train one on it"):
        pipeline("text-to-song", model=tiny_checkpoint(PATTERN), mode="masked", device="cpu")
    with pytest.raises(ValueError, match="mode is 'fast': expected 'autoregressive' or 'masked'"):
        TextToSongPipeline(model=tiny_singer("mixed"), processor=tiny_processor, mode="fast")


@pytest.mark.slow
def test_a_masked_model_that_shares_parts_gives_the_same_song_and_stores_no_part_twice(
    family, tiny_masked, tmp_path
):
    loaded = MaskedSongPipeline.from_pretrained(family / "masked")

    files = {path.name for path in (family / "masked").rglob("*.safetensors")}
    assert files == {"diffusion_pytorch_model.safetensors"}
    song = loaded("folk", lyrics="la", seed=1, **SHORT)
    assert np.array_equal(
        song["codes"], tiny_masked()("folk", lyrics="la", seed=1, **SHORT)["codes"]
    )
    loaded.save_pretrained(tmp_path)  # with all parts
    assert (tmp_path / "codec" / "model.safetensors").is_file()
    assert "song_model" not in json.loads((tmp_path / "config.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("quantize", [None, "int8"])
def test_a_conditioner_of_its_own_is_kept_beside_a_song_model_that_was_trained_further(
    family, tiny_masked, tmp_path, quantize
):
    parts = tiny_masked().components
    parts["conditioner"] = copy.deepcopy(parts["conditioner"])
    with torch.no_grad():
        parts["conditioner"].text_projection.weight[0] += 0.1
    pipe = MaskedSongPipeline(**parts)

    export_masked(pipe, tmp_path / "out", beside=family / PATTERN, quantize=quantize)

    loaded = MaskedSongPipeline.from_pretrained(tmp_path / "out").conditioner.state_dict()
    expected = pipe.conditioner.state_dict()
    assert loaded.keys() == expected.keys()
    for name, weight in loaded.items():
        error = 0.0 if quantize is None else expected[name].abs().max().item() / 127
        torch.testing.assert_close(weight, expected[name], atol=error, rtol=0)
    file = tmp_path / "out" / "conditioner.safetensors"
    assert file.stat().st_size > 0 and not (family / "masked" / file.name).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("codec", "the codec of .* differs in 1 of .* fc1.weight"),
        ("conditioner", "the conditioner of .* differs in 1 of .* text_projection.weight"),
    ],
)
def test_sharing_parts_with_another_song_model_is_refused(
    tiny_masked, tiny_checkpoint, tmp_path, part, message
):
    parts = tiny_masked().components
    parts[part] = copy.deepcopy(parts[part])
    with torch.no_grad():
        if part == "codec":
            parts[part].fc1.weight[0] += 0.1
        else:
            wide = parts[part].text_projection.weight
            parts[part].text_projection.weight = torch.nn.Parameter(wide[:, :-1].clone())

    with pytest.raises(ValueError, match=message):
        export_masked(
            MaskedSongPipeline(**parts), tmp_path / "out", beside=tiny_checkpoint(PATTERN)
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_half_precision_halves_the_file_and_loads_as_float32(tiny_masked, whole, tmp_path):
    export_masked(tiny_masked(), tmp_path / "half", dtype="bfloat16", license="mit")

    loaded = MaskedSongPipeline.from_pretrained(tmp_path / "half")
    size = "transformer/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "half" / size).stat().st_size < 0.8 * (whole / size).stat().st_size
    assert loaded.transformer.dtype == torch.float32
    assert torch.equal(loaded.transformer.codebooks, tiny_masked().transformer.codebooks)
    assert tiny_masked().transformer.dtype == torch.float32
    card = (tmp_path / "half" / "README.md").read_text()
    assert "license: mit" in card and "library_name: diffusers" in card
    assert "A masked song model" in card


@pytest.mark.slow
def test_the_provenance_of_a_song_names_the_masked_weights(whole):
    pipe = MaskedSongPipeline.from_pretrained(whole)

    record = provenance(pipe, seed=1, options={})

    assert record["model"] == "whole" and record["revision"].startswith("sha256:")
    assert identity(str(whole)) == (record["model"], record["revision"])


def test_the_default_checkpoint_is_not_the_masked_one():
    assert not default_checkpoint().endswith("masked")
