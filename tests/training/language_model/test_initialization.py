import pytest
import torch

from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.patterns import TRACK_PATTERNS
from songgen_hf.training.attention import NAME, use_unread_masks
from songgen_hf.training.language_model.freezing import freeze
from songgen_hf.training.language_model.initialization import (
    change_track_pattern,
    install_codec,
    install_conditioner,
    install_voice_encoder,
    load_model,
)
from songgen_hf.training.options import ModelOptions

from ..conftest import build_tiny


@pytest.fixture(scope="module")
def mixed():
    return build_tiny("mixed")[0]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", TRACK_PATTERNS)
def test_a_mixed_model_becomes_one_of_every_pattern_with_its_weights(mixed, pattern):
    changed = change_track_pattern(mixed, pattern)

    rows = changed.config.decoder.num_rows
    heads = changed.decoder.lm_heads.weight.view(-1, *mixed.decoder.lm_heads.weight.shape)
    assert len(heads) == rows // 3
    assert all(torch.equal(copy, mixed.decoder.lm_heads.weight) for copy in heads)
    assert torch.equal(
        changed.decoder.model.layers[0].fc1.weight, mixed.decoder.model.layers[0].fc1.weight
    )
    assert hasattr(changed.decoder, "vocal_lm_heads") == (pattern == "mixed_pro")
    assert mixed.config.decoder.track_pattern == "mixed"


def test_a_changed_pattern_keeps_the_sampling_of_the_checkpoint():
    model = build_tiny("mixed")[0]
    model.generation_config.guidance_scale = 1.5

    changed = change_track_pattern(model, "interleaving_A_V", track_embeddings=True)

    assert changed.generation_config.guidance_scale == 1.5
    assert changed.generation_config is not model.generation_config


@pytest.mark.slow
def test_both_tracks_start_with_the_weights_of_the_mixed_model(mixed):
    twin = change_track_pattern(mixed, "parallel_std")
    ids = torch.randint(0, 1024, (1, 3, 5), generator=torch.Generator().manual_seed(0))
    text = torch.tensor([[5, 1]])

    with torch.no_grad():
        one = mixed(input_ids=text, decoder_input_ids=ids).logits
        two = twin(input_ids=text, decoder_input_ids=ids.repeat(1, 2, 1)).logits

    torch.testing.assert_close(two, one.repeat(2, 1, 1), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_codec_and_a_voice_network_are_installed_and_saved(tmp_path):
    model, _ = build_tiny("mixed")
    other = build_tiny("mixed")[0]
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(0.1)
    network = other.conditioner.voice_encoder.model
    network.save_pretrained(tmp_path / "voice")

    install_codec(model, other.audio_encoder)
    install_voice_encoder(model, str(tmp_path / "voice"))
    model.save_pretrained(tmp_path / "model")
    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path / "model")

    for ours, theirs in (
        (loaded.audio_encoder, other.audio_encoder),
        (loaded.conditioner.voice_encoder.model, network),
    ):
        expected = theirs.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in ours.state_dict().items())


def test_a_codec_of_other_codebooks_is_refused(mixed):
    model = change_track_pattern(mixed, "mixed")
    model.config.decoder.num_codebooks = 8

    with pytest.raises(ValueError, match="the codec has 3 codebooks of 1024 codes, the decoder"):
        install_codec(model, mixed.audio_encoder)


def shifted(folder, pattern="interleaving_A_V", **sizes):
    """Save a tiny model whose weights differ from those of every other one; return its weights."""
    model, processor = build_tiny(pattern, **sizes)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model.conditioner.state_dict()


def test_two_models_share_a_conditioner(tmp_path, tiny_checkpoint):
    expected = shifted(tmp_path)
    options = ModelOptions(model=tiny_checkpoint("mixed"), conditioner=str(tmp_path))

    model, _ = load_model(options)

    found = model.conditioner.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    untouched, _ = load_model(ModelOptions(model=tiny_checkpoint("mixed")))
    for ours, theirs in zip(
        model.decoder.parameters(), untouched.decoder.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_conditioner_of_other_sizes_or_tokens_is_refused(tmp_path):
    model, processor = build_tiny("mixed", hidden_size=8)
    shifted(tmp_path)

    message = (
        r"lyrics_embedding.weight of .* has the shape \(\d+, 32\), that of the model \(\d+, 8\)"
    )
    with pytest.raises(ValueError, match=message):
        install_conditioner(model, processor, str(tmp_path))
    processor.lyrics_tokenizer.add_tokens(["<new>"])
    with pytest.raises(ValueError, match="the lyrics_tokenizer of .* has other tokens than that"):
        install_conditioner(model, processor, str(tmp_path))


def trained(model) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in trained_weights(model)}


def trained_weights(model) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_freezing_leaves_the_same_weights_as_the_reference(mixed):
    model = change_track_pattern(mixed, "mixed")

    freeze(model)
    assert "conditioner.text_encoder" in trained(model)
    assert not any(name.startswith("audio_encoder") for name in trained(model))
    assert not any(w.requires_grad for w in model.conditioner.voice_encoder.model.parameters())
    freeze(model, ["conditions"])
    assert trained(model) == {"decoder.model", "decoder.lm_heads"}
    freeze(model, ["text_encoder", "embeddings"])
    assert not model.decoder.model.embed_tokens.weight.requires_grad
    assert not model.conditioner.lyrics_embedding.weight.requires_grad
    assert model.conditioner.text_projection.weight.requires_grad


def test_the_voice_is_learned_while_text_and_lyrics_are_frozen(mixed):
    model = change_track_pattern(mixed, "mixed")

    freeze(model, ["text", "lyrics"])

    conditions = {name for name in trained(model) if name.startswith("conditioner")}
    assert conditions == {"conditioner.voice_encoder", "conditioner.voice_projection"}
    freeze(model, ["lyrics"])
    assert model.conditioner.text_projection.weight.requires_grad


@pytest.mark.parametrize(
    ("parts", "modules"),
    [
        (["self_attention"], {"encoder_attn", "fc1", "fc2"}),
        (["cross_attention", "feed_forward"], {"self_attn"}),
    ],
)
def test_matrices_of_the_decoders_layers_are_frozen_by_kind(mixed, parts, modules):
    freeze(mixed, parts)

    layers = [name for name in trained_weights(mixed) if name.startswith("decoder.model.layers.")]
    kinds = {name.split(".")[4] for name in layers}
    assert {kind for kind in kinds if not kind.endswith("norm")} == modules
    assert "decoder.lm_heads" in trained(mixed)


@pytest.mark.slow
def test_prepended_lyrics_stay_trained_when_conditions_are_frozen(mixed):
    model = change_track_pattern(mixed, "mixed")
    model.config.lyrics_cross_attention = False

    freeze(model, ["conditions"])

    assert model.conditioner.lyrics_embedding.weight.requires_grad
    assert not model.conditioner.text_projection.weight.requires_grad


def test_overrides_change_the_configuration_of_an_untrained_model():
    options = ModelOptions(
        preset="mini",
        config_overrides=[
            "decoder.num_hidden_layers=1", "use_lyrics_encoder=false", "lyrics_cross_attention=no"
        ],
    )  # fmt: skip

    model, _ = load_model(options)

    assert len(model.decoder.model.layers) == 1
    assert not hasattr(model.conditioner, "lyrics_encoder")
    assert model.config.lyrics_cross_attention is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "mini", "config_overrides": ["decoder.depth=3"]}, "has no 'decoder.depth'"),
        ({"preset": "mini", "config_overrides": ["decoders.x=3"]}, "has no 'decoders.x'"),
        ({"preset": "mini", "config_overrides": ["layers"]}, "got 'layers', expected NAME=VALUE"),
        ({"preset": "mini", "config_overrides": ["decoder.hidden_size=9"]}, "must be a multiple"),
        ({"model": "songgen-mini", "config_overrides": ["a=1"]}, "keeps its configuration"),
    ],
)
def test_overrides_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        load_model(ModelOptions(**options))


def test_unread_masks_leave_another_attention_of_the_decoder(tiny_checkpoint):
    options = ModelOptions(model=tiny_checkpoint("mixed_pro"), attention="eager")
    model, _ = load_model(options, seed=0)
    use_unread_masks(model)

    assert model.decoder.config._attn_implementation == "eager"
    assert model.config._attn_implementation == NAME


@pytest.mark.parametrize("option", ["model", "conditioner", "voice_encoder"])
def test_a_checkpoint_that_is_not_there_is_named(option):
    start = {} if option == "model" else {"preset": "mini"}

    with pytest.raises(ValueError, match="no checkpoint 'nothere': it is neither a directory here"):
        load_model(ModelOptions(**start, **{option: "nothere"}))
