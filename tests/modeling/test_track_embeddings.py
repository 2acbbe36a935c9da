"""Track embeddings: which track a step of an interleaved pattern writes."""

import pytest
import torch

from songgen_hf.modeling.configuration_songgen import SongGenDecoderConfig
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.patterns import CodebookPattern
from songgen_hf.training.language_model.initialization import change_track_pattern

from .test_modeling_songgen import forward, some_ids

INTERLEAVED = ("interleaving_A_V", "interleaving_V_A")
each_interleaved = pytest.mark.parametrize("pattern", INTERLEAVED)


def with_vectors(model, size=1.0):
    with torch.no_grad():
        vectors = model.decoder.model.embed_tracks.weight
        vectors.copy_(size * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(5)))
    return model


@each_interleaved
def test_a_step_is_told_the_track_of_the_codes_it_writes(pattern):
    made = CodebookPattern(pattern, 3)
    _, steps = made.index(7)

    found = made.track_of_steps(steps - 1)  # step s writes the ids of step s + 1

    assert (found[0] == 0).all() and (found[1] == 1).all()


def test_only_interleaved_patterns_have_one_track_in_each_step():
    with pytest.raises(ValueError, match="parallel_std holds all of its tracks"):
        CodebookPattern("parallel_std", 3).track_of_steps(torch.arange(3))
    with pytest.raises(ValueError, match="track_embeddings need an interleaved track_pattern"):
        SongGenDecoderConfig(track_pattern="mixed", track_embeddings=True)


@pytest.mark.slow
@each_interleaved
def test_new_track_embeddings_leave_the_outputs_equal(tiny_model, tiny_inputs, pattern, tmp_path):
    model = tiny_model(pattern)
    inputs, ids = tiny_inputs(), some_ids(model)
    expected = forward(model, **inputs, decoder_input_ids=ids).logits

    told = change_track_pattern(model, pattern, track_embeddings=True)
    model.save_pretrained(tmp_path)
    loaded = SongGenForConditionalGeneration.from_pretrained(
        tmp_path,
        decoder={**model.config.decoder.to_dict(), "track_embeddings": True},
        strict=False,
    )

    for other in (told, loaded):
        assert other.decoder.model.embed_tracks.weight.eq(0).all()
        assert torch.equal(other.decoder.model.embed(ids), model.decoder.model.embed(ids))
        logits = forward(other, **inputs, decoder_input_ids=ids).logits
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@each_interleaved
@pytest.mark.parametrize("prepend", [False, True])
def test_steps_through_a_cache_equal_one_call(tiny_model, tiny_inputs, pattern, prepend):
    model = with_vectors(
        tiny_model(pattern, lyrics_cross_attention=not prepend, decoder={"track_embeddings": True})
    )
    inputs, ids = tiny_inputs(), some_ids(model)
    whole = forward(model, **inputs, decoder_input_ids=ids).logits

    cache, parts = None, []
    for chunk in (ids[..., :4], ids[..., 4:5], ids[..., 5:]):
        output = forward(
            model, **inputs, decoder_input_ids=chunk, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        parts.append(output.logits)

    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)
    plain = forward(with_vectors(model, 0.0), **inputs, decoder_input_ids=ids).logits
    assert (plain - whole).abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("original", [False, True])
def test_they_are_saved_and_loaded_in_both_layouts(tiny_model, tmp_path, original):
    model = with_vectors(tiny_model("interleaving_A_V", decoder={"track_embeddings": True}))

    model.save_pretrained(tmp_path, save_original_format=original)
    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path)

    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    assert "decoder.model.embed_tracks.weight" in expected


@pytest.mark.slow
def test_another_pattern_drops_and_adds_them(tiny_model):
    model = with_vectors(tiny_model("interleaving_A_V", decoder={"track_embeddings": True}))

    mixed = change_track_pattern(model, "mixed")
    back = change_track_pattern(model, "interleaving_V_A", track_embeddings=True)

    assert mixed.decoder.model.embed_tracks is None
    assert torch.equal(
        back.decoder.model.embed_tracks.weight, model.decoder.model.embed_tracks.weight
    )
    with pytest.raises(ValueError, match="need an interleaved track_pattern"):
        change_track_pattern(model, "mixed", track_embeddings=True)


@pytest.mark.slow
def test_generation_is_the_same_in_a_batch_and_alone(tiny_model, tiny_inputs):
    model = with_vectors(tiny_model("interleaving_A_V", decoder={"track_embeddings": True}))
    inputs = tiny_inputs()
    options = {"max_new_frames": 4, "do_sample": False}

    batch = model.generate(**inputs, **options)
    for song in range(2):
        alone = model.generate(
            **{name: value[song : song + 1] for name, value in inputs.items()},
            **options,
        )
        assert torch.equal(alone[0], batch[song])
