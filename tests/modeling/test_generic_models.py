"""What the test mixins of the libraries check of every model: files, devices, attention, loss."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Trainer, TrainingArguments

from songgen_hf.modeling.conditioning import SongGenConditioner
from songgen_hf.modeling.decoder import SongGenForCausalLM
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.modeling.patterns import SONGGEN_PATTERNS

from ..tools.tiny_checkpoint import tiny_masked, tiny_processor, tiny_singer  # noqa: F401
from .test_library_features import generated, labels_of

PARTS = {
    SongGenForConditionalGeneration: "",
    SongGenForCausalLM: "decoder",
    SongGenConditioner: "conditioner",
    XCodecModel: "audio_encoder",
}


def equal_states(one, two):
    one, two = one.state_dict(), two.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.slow
@pytest.mark.parametrize("max_shard_size", ["5GB", "40KB"])
@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("kind", PARTS)
def test_a_model_is_saved_as_variant_and_in_shards(
    tiny_model, tmp_path, kind, variant, max_shard_size
):
    model = tiny_model("mixed").get_submodule(PARTS[kind])

    model.save_pretrained(tmp_path, variant=variant, max_shard_size=max_shard_size)
    loaded = kind.from_pretrained(tmp_path, variant=variant)

    files = [path.name for path in tmp_path.glob("*.safetensors")]
    assert (len(files) > 1) == (max_shard_size == "40KB")
    assert all(("fp16" in name) == (variant is not None) for name in files)
    assert equal_states(loaded, model)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SongGenForConditionalGeneration, XCodecModel])
def test_keys_of_the_original_layout_are_loaded_from_shards(tiny_model, tmp_path, kind):
    model = tiny_model("mixed").get_submodule(PARTS[kind])

    model.save_pretrained(tmp_path, save_original_format=True, max_shard_size="40KB")

    for name, weight in kind.from_pretrained(tmp_path).state_dict().items():
        torch.testing.assert_close(weight, model.state_dict()[name], msg=name)


@pytest.mark.parametrize("kind", PARTS)
def test_a_model_is_made_without_memory(tiny_model, kind):
    model = tiny_model("mixed").get_submodule(PARTS[kind])

    with torch.device("meta"):
        empty = kind(copy.deepcopy(model.config))

    # The library makes this one weight of a HuBERT without regard to the device.
    held = [name for name, weight in empty.named_parameters() if not weight.is_meta]
    assert all(name.endswith("masked_spec_embed") for name in held), held
    shapes = {name: weight.shape for name, weight in empty.named_parameters()}
    assert shapes == {name: weight.shape for name, weight in model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("part", ["conditioner", "decoder", "audio_encoder"])
@pytest.mark.parametrize("voice", [False, True])
def test_any_part_can_stay_on_the_disk(tiny_model, tiny_inputs, tmp_path, part, voice):
    pytest.importorskip("accelerate")
    model, inputs = tiny_model("mixed_pro"), tiny_inputs(voice=voice)
    model.save_pretrained(tmp_path / "model")
    places = {name: "cpu" for name, _ in model.named_children()} | {part: "disk"}

    loaded = SongGenForConditionalGeneration.from_pretrained(
        tmp_path / "model",
        device_map=places,
        offload_folder=tmp_path / "disk",
        attn_implementation="eager",
    )

    assert all(weight.is_meta for weight in loaded.get_submodule(part).parameters())
    found, expected = (generated(each, inputs) for each in (loaded, model))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    waveform = torch.randn(2, 1, 1600, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.encode_audio(waveform), model.encode_audio(waveform))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cpu", "disk"])
def test_the_parts_of_an_offloaded_masked_pipeline_edit_alike(tiny_masked, tmp_path, how):  # noqa: F811
    accelerate = pytest.importorskip("accelerate")
    pipe = tiny_masked()
    generator = np.random.default_rng(0)
    song, voice = (generator.standard_normal(size).astype("float32") for size in (3200, 8000))
    request = {"lyrics": "la", "num_inference_steps": 2, "progress": False, "seed": 1}
    request |= {"song": ((song, 16000), (song, 16000)), "regions": (0.05, 0.1)}
    request |= {"reference_voice": (voice, 16000)}
    parts = {name: copy.deepcopy(part) for name, part in pipe.components.items()}
    for name in ("transformer", "conditioner", "codec"):
        device = torch.device("cpu")
        if how == "cpu":
            accelerate.cpu_offload(parts[name], execution_device=device)
        else:
            accelerate.disk_offload(parts[name], tmp_path / name, execution_device=device)

    found, expected = (each("folk", **request) for each in (type(pipe)(**parts), pipe))

    assert np.array_equal(found["codes"], expected["codes"])
    assert np.array_equal(found["audio"], expected["audio"])


@pytest.mark.slow
@pytest.mark.parametrize("pattern", SONGGEN_PATTERNS)
def test_the_plain_trainers_loss_reaches_every_trainable_weight(
    tiny_model, tiny_inputs, tmp_path, pattern
):
    pytest.importorskip("accelerate")
    vocal = pattern == "mixed_pro"
    decoder = {"add_vocal_loss": vocal, "vocal_loss_weight": 0.1 if vocal else 0.0}
    model = copy.deepcopy(tiny_model(pattern, decoder=decoder)).train()
    trainer = Trainer(model, TrainingArguments(tmp_path, use_cpu=True, report_to="none"))

    batch = {**tiny_inputs(), **labels_of(model, vocal=vocal)}
    count = torch.tensor(batch["labels"].numel())
    trainer.compute_loss(model, batch, num_items_in_batch=count).backward()

    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert [name for name, w in weights.items() if w.grad is None or not w.grad.any()] == []


@pytest.mark.slow
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("pattern", ["mixed", "parallel_std", "interleaving_A_V"])
def test_eager_attention_equals_sdpa(tiny_model, tiny_inputs, pattern, dtype, tolerance, side):
    model = copy.deepcopy(tiny_model(pattern)).to(dtype)
    inputs = tiny_inputs()
    for name, value in inputs.items():
        if side == "left" and not name.startswith("voice"):
            inputs[name] = value.flip(-1)  # the padding comes first
        elif value.is_floating_point():
            inputs[name] = value.to(dtype)
    inputs |= labels_of(model, vocal=False)

    logits = {}
    for attention in ("eager", "sdpa"):
        model.set_attn_implementation(attention)
        with torch.no_grad():
            logits[attention] = model(**inputs).logits.float()

    spread = logits["eager"].std()
    assert (logits["eager"] - logits["sdpa"]).abs().mean() <= tolerance * spread


@pytest.mark.slow
def test_weights_are_loaded_under_names_of_both_layouts_at_once(tiny_model, tmp_path):
    model = tiny_model("mixed")
    files = {}
    for name in ("ours", "original"):
        model.save_pretrained(tmp_path / name, save_original_format=name == "original")
        files[name] = load_file(tmp_path / name / "model.safetensors")
    mapped = ("decoder.", "conditioner.lyrics", "lyrics_", "embed_prompts")
    weights = {k: v for k, v in files["ours"].items() if k.startswith(mapped)}
    weights |= {k: v for k, v in files["original"].items() if not k.startswith(mapped)}

    loaded = SongGenForConditionalGeneration.from_pretrained(
        None, config=model.config, state_dict=weights
    )

    for name, weight in loaded.state_dict().items():
        torch.testing.assert_close(weight, model.state_dict()[name], msg=name)
