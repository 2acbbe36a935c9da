"""Tests of saving and loading: both layouts, older names of weights, and files that do not fit."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.patterns import SONGGEN_PATTERNS

WEIGHTS = "model.safetensors"
T5_NAMES = ("text_encoder.shared.weight", "text_encoder.encoder.embed_tokens.weight")

each_pattern = pytest.mark.parametrize("pattern", SONGGEN_PATTERNS)


def weights_of(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def check_same(loaded, model) -> None:
    ours, theirs = weights_of(model), weights_of(loaded)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(theirs[name], tensor), name


def settings_of(config: dict) -> dict:
    """Return a config without the path, precision and class that the loader adds to it."""
    noted = ("dtype", "_name_or_path", "architectures")
    return {
        name: settings_of(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if name not in noted
    }


def rewrite(folder, change) -> None:
    """Replace the weights of a checkpoint by ``change(weights)``."""
    weights = change(load_file(folder / WEIGHTS))
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.fixture
def reference_layout(tiny_model, tmp_path):
    """A mixed_pro checkpoint with vocal heads under the reference's names, and its model."""
    model = tiny_model("mixed_pro", decoder={"add_vocal_loss": True})
    model.save_pretrained(tmp_path, save_original_format=True)
    return tmp_path, model


@pytest.mark.slow
@each_pattern
@pytest.mark.parametrize("original", [False, True])
def test_a_saved_model_loads_bit_exact(tiny_model, tmp_path, pattern, original):
    model = tiny_model(pattern, decoder={"add_vocal_loss": pattern == "mixed_pro"})

    model.save_pretrained(tmp_path, save_original_format=original)

    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path)
    check_same(loaded, model)
    assert settings_of(loaded.config.to_dict()) == settings_of(model.config.to_dict())


@pytest.mark.slow
@pytest.mark.parametrize("original", [False, True])
def test_a_loaded_model_generates_the_same_codes(tiny_model, tiny_inputs, tmp_path, original):
    model = tiny_model("parallel_A_V")
    model.save_pretrained(tmp_path, save_original_format=original)

    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="eager")

    greedy = {"do_sample": False, "max_new_frames": 4}
    expected = model.generate(**tiny_inputs(), **greedy)
    assert torch.equal(loaded.generate(**tiny_inputs(), **greedy), expected)


@pytest.mark.slow
def test_the_reference_layout_is_written_again_as_it_was_read(reference_layout, tmp_path_factory):
    folder, _ = reference_layout
    again = tmp_path_factory.mktemp("again")

    SongGenForConditionalGeneration.from_pretrained(folder).save_pretrained(
        again, save_original_format=True
    )

    first, second = load_file(folder / WEIGHTS), load_file(again / WEIGHTS)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_the_reference_layout_has_one_head_and_one_table_per_codebook(reference_layout):
    folder, model = reference_layout

    weights = load_file(folder / WEIGHTS)

    size = (model.config.decoder.vocab_size, model.config.decoder.hidden_size)
    for k in range(4):
        assert weights[f"decoder.lm_heads.{k}.weight"].shape == size
        assert weights[f"decoder.vocal_lm_heads.{k}.weight"].shape == size
        assert weights[f"decoder.model.decoder.embed_tokens.{k}.weight"].shape == size
    assert "mert_layer_agg.weight" in weights and "enc_to_dec_proj.bias" in weights
    assert weights["decoder.model.decoder.embed_positions.weights"].shape == (256, 16)
    assert not any("*" in name for name in weights)


def test_the_layout_of_the_package_has_its_own_names_only(tiny_model, tmp_path):
    model = tiny_model("mixed")

    model.save_pretrained(tmp_path)

    written = set(load_file(tmp_path / WEIGHTS))
    assert written <= set(model.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("older", ["voice", "codec"])
def test_older_weight_norm_names_are_read(reference_layout, older):
    folder, model = reference_layout
    prefix = {"voice": "mert_model.", "codec": "audio_encoder.model.semantic_model."}[older]
    renamed = []

    def with_older_names(weights):
        changed = {}
        for name, tensor in weights.items():
            new = name
            if name.startswith(prefix):
                new = new.replace("parametrizations.weight.original0", "weight_g")
                new = new.replace("parametrizations.weight.original1", "weight_v")
            renamed.extend([new] if new != name else [])
            changed[new] = tensor
        return changed

    rewrite(folder, with_older_names)

    assert len(renamed) == 2
    check_same(SongGenForConditionalGeneration.from_pretrained(folder), model)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [T5_NAMES[:1], T5_NAMES[1:], T5_NAMES])
def test_the_text_embedding_is_read_under_either_name_or_both(reference_layout, kept):
    folder, model = reference_layout

    def with_names(weights):
        table = next(weights[name] for name in T5_NAMES if name in weights)
        others = {name: tensor for name, tensor in weights.items() if name not in T5_NAMES}
        return others | {name: table.clone() for name in kept}

    rewrite(folder, with_names)

    check_same(SongGenForConditionalGeneration.from_pretrained(folder), model)


@pytest.mark.slow
def test_a_checkpoint_without_the_position_table_is_read(reference_layout):
    folder, model = reference_layout

    def without_table(weights):
        return {n: t for n, t in weights.items() if "embed_positions" not in n}

    rewrite(folder, without_table)

    check_same(SongGenForConditionalGeneration.from_pretrained(folder), model)


@pytest.mark.slow
def test_auto_classes_find_the_model(tiny_model, tmp_path):
    import songgen_hf  # noqa: F401 (registers)

    tiny_model("mixed").save_pretrained(tmp_path)

    assert type(AutoConfig.from_pretrained(tmp_path)).__name__ == "SongGenConfig"
    model = AutoModel.from_pretrained(tmp_path)
    assert isinstance(model, SongGenForConditionalGeneration)


@pytest.mark.slow
def test_generation_settings_survive_a_round_trip(tiny_model, tmp_path):
    model = tiny_model("mixed")

    model.save_pretrained(tmp_path)
    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path)

    assert loaded.generation_config.to_diff_dict() == model.generation_config.to_diff_dict()


def test_a_new_model_samples_from_fifty_ids_and_never_a_special_one():
    from tests.conftest import tiny_config

    config = SongGenForConditionalGeneration(tiny_config("mixed")).generation_config

    assert config.do_sample and config.top_k == 50
    assert config.suppress_tokens == list(range(1025, 1088))
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1025, 1024, 1024)


def change_config(folder, **decoder) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["decoder"].update(decoder)
    path.write_text(json.dumps(config))


@pytest.mark.slow
@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("pattern", ["parallel_std", "interleaving_A_V"])
def test_a_config_of_another_pattern_is_refused_in_one_clear_error(
    tiny_model, tmp_path, pattern, original
):
    """A pattern with more rows needs more tables; one with equal rows lacks the vocal heads."""
    model = tiny_model("mixed_pro", decoder={"add_vocal_loss": True})
    model.save_pretrained(tmp_path, save_original_format=original)
    change_config(tmp_path, track_pattern=pattern, add_vocal_loss=False)

    with pytest.raises(ValueError, match="config"):
        SongGenForConditionalGeneration.from_pretrained(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("original", [False, True])
def test_a_config_of_another_size_is_refused_in_one_clear_error(tiny_model, tmp_path, original):
    tiny_model("mixed").save_pretrained(tmp_path, save_original_format=original)
    change_config(tmp_path, ffn_dim=48)

    with pytest.raises(ValueError, match="shapes"):
        SongGenForConditionalGeneration.from_pretrained(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("original", [False, True])
def test_a_checkpoint_that_lacks_a_weight_is_refused_by_its_name(tiny_model, tmp_path, original):
    tiny_model("mixed").save_pretrained(tmp_path, save_original_format=original)

    def without_a_layer(weights):
        return {n: t for n, t in weights.items() if "layers.1.fc1" not in n}

    rewrite(tmp_path, without_a_layer)

    with pytest.raises(ValueError, match=r"missing.*layers\.1\.fc1"):
        SongGenForConditionalGeneration.from_pretrained(tmp_path)


@pytest.mark.slow
def test_a_reference_checkpoint_that_lacks_one_head_is_refused(reference_layout):
    folder, _ = reference_layout

    def without_a_head(weights):
        return {n: t for n, t in weights.items() if n != "decoder.lm_heads.2.weight"}

    rewrite(folder, without_a_head)

    with pytest.raises(ValueError, match="config|weights"):
        SongGenForConditionalGeneration.from_pretrained(folder)


@pytest.mark.slow
def test_a_checkpoint_with_foreign_weights_is_refused_by_their_name(tiny_model, tmp_path):
    tiny_model("mixed").save_pretrained(tmp_path)

    rewrite(tmp_path, lambda weights: weights | {"decoder.extra.weight": torch.zeros(2)})

    with pytest.raises(ValueError, match=r"unexpected.*decoder\.extra\.weight"):
        SongGenForConditionalGeneration.from_pretrained(tmp_path)


def test_a_truncated_file_is_refused_as_damaged(tiny_model, tmp_path):
    tiny_model("mixed").save_pretrained(tmp_path)
    data = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(data[: len(data) // 2])

    with pytest.raises(ValueError, match="damaged or cut short"):
        SongGenForConditionalGeneration.from_pretrained(tmp_path)


@pytest.mark.slow
def test_missing_parts_are_initialized_without_strict(tiny_model, tmp_path):
    model = tiny_model("mixed_pro")
    model.save_pretrained(tmp_path)
    change_config(tmp_path, add_vocal_loss=True)

    with pytest.raises(ValueError, match="vocal_lm_heads"):
        SongGenForConditionalGeneration.from_pretrained(tmp_path)

    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path, strict=False)
    assert torch.equal(loaded.decoder.lm_heads.weight, model.decoder.lm_heads.weight)
    assert loaded.decoder.vocal_lm_heads.weight.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("original", [False, True])
def test_weights_that_the_configuration_does_not_use_are_saved_again(
    tiny_model, tmp_path, original
):
    tiny_model("mixed").save_pretrained(tmp_path / "full", save_original_format=original)
    path = tmp_path / "full" / "config.json"
    config = json.loads(path.read_text()) | {"use_lyrics_encoder": False}
    path.write_text(json.dumps(config))
    stored = load_file(tmp_path / "full" / WEIGHTS)

    model = SongGenForConditionalGeneration.from_pretrained(tmp_path / "full")
    model.save_pretrained(tmp_path / "again", save_original_format=original)
    again = SongGenForConditionalGeneration.from_pretrained(tmp_path / "again")
    again.save_pretrained(tmp_path / "third", save_original_format=original)

    assert not any("lyrics_encoder" in name for name in model.state_dict())
    for folder in ("again", "third"):
        saved = load_file(tmp_path / folder / WEIGHTS)
        assert saved.keys() == stored.keys()
        assert all(torch.equal(saved[name], stored[name]) for name in stored)
