"""Saving of the masked pipeline: variants, shards, reduced precision and adapters."""

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra diffusers")

from diffusers import DiffusionPipeline

from songgen_hf.pipelines.masked_song import MaskedSongPipeline

SHORT = {"lyrics": "la", "seconds": 0.2, "num_inference_steps": 2, "progress": False, "seed": 1}


@pytest.mark.slow
@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("max_shard_size", [None, "100KB"])
def test_every_part_is_saved_as_variant_and_in_shards(
    tiny_masked, tmp_path, variant, max_shard_size
):
    pipe = tiny_masked()
    options = {"variant": variant, "max_shard_size": max_shard_size}

    pipe.save_pretrained(tmp_path, **{key: value for key, value in options.items() if value})
    loaded = MaskedSongPipeline.from_pretrained(
        tmp_path, **({} if variant is None else {"variant": variant})
    )

    names = [path.name for path in tmp_path.rglob("*.safetensors")]
    assert all(("fp16" in name) == (variant == "fp16") for name in names), names
    for part in ("transformer", "conditioner", "codec"):
        files = [path for path in (tmp_path / part).glob("*.safetensors")]
        large = sum(path.stat().st_size for path in files) > 200_000
        assert (len(files) > 1) == (max_shard_size is not None and large), (part, files)
        expected = getattr(pipe, part).state_dict()
        found = getattr(loaded, part).state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    song, again = (one("folk", **SHORT)["codes"] for one in (pipe, loaded))
    assert np.array_equal(song, again)


@pytest.mark.slow
def test_a_truncated_file_is_refused_as_damaged(tiny_masked, tmp_path):
    tiny_masked().save_pretrained(tmp_path)
    weights = tmp_path / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:4000])

    with pytest.raises(
        ValueError, match="transformer/diffusion_.* copy or download the file again"
    ):
        MaskedSongPipeline.from_pretrained(tmp_path)


@pytest.mark.slow
def test_the_general_class_of_diffusers_loads_a_folder_whose_code_is_trusted(tiny_masked, tmp_path):
    pipe = tiny_masked()
    pipe.save_pretrained(tmp_path)

    with pytest.raises(ValueError, match="trust_remote_code=True"):
        DiffusionPipeline.from_pretrained(tmp_path)
    loaded = DiffusionPipeline.from_pretrained(tmp_path, trust_remote_code=True)

    assert type(loaded) is MaskedSongPipeline
    song, again = (one("folk", **SHORT)["codes"] for one in (pipe, loaded))
    assert np.array_equal(song, again)


def test_a_variant_that_is_not_there_is_named(tiny_masked, tmp_path):
    tiny_masked().save_pretrained(tmp_path)

    with pytest.raises(ValueError, match="^[^ ]+ holds no weights of the variant 'fp16'"):
        MaskedSongPipeline.from_pretrained(f"{tmp_path}/", variant="fp16")


def test_layerwise_casting_to_float8_computes_in_the_given_precision(tiny_masked):
    import copy

    parts = dict(tiny_masked().components)
    parts["transformer"] = copy.deepcopy(parts["transformer"])
    parts["transformer"].enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32
    )
    pipe = MaskedSongPipeline(**parts)

    song = pipe("folk", **SHORT)

    assert np.isfinite(song["audio"]).all()


def test_the_masked_transformer_takes_adapters(tiny_masked):
    import copy

    peft = pytest.importorskip("peft")
    model = copy.deepcopy(tiny_masked().transformer)
    names = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]

    model.add_adapter(peft.LoraConfig(r=2, target_modules=names[:2]))

    assert model.active_adapters() == ["default"]
    trainable = [name for name, weight in model.named_parameters() if "lora" in name]
    assert len(trainable) == 4
