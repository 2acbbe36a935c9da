"""The dependence of the second code of a frame on the first one."""

import numpy as np
import pytest
import torch

from songgen_hf.evaluation.metrics.codebook_coherence import codebook_coherence

from ...training.conftest import build_tiny


def build_hearing(pattern):
    """A tiny model whose random weights are large enough for codes to be heard above rounding."""
    model, _ = build_tiny(pattern)
    generator = torch.Generator().manual_seed(0)
    for weight in model.decoder.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2, generator=generator)
    return model


def inputs_of(model, num_frames=40, batch=2):
    decoder = model.config.decoder
    pattern = decoder.pattern
    codes = torch.randint(
        decoder.codebook_size,
        (batch, pattern.num_tracks, decoder.num_codebooks, num_frames),
        generator=torch.Generator().manual_seed(3),
    )
    ids = pattern.apply(codes, bos_token_id=decoder.bos_token_id, pad_token_id=decoder.pad_token_id)
    text = torch.full((batch, 3), 5)
    return {"input_ids": text, "lyrics_ids": text, "decoder_input_ids": ids}


def coherence(model, inputs, seed=0):
    return codebook_coherence(model, inputs, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V", "parallel_V_A"])
def test_a_model_that_does_not_hear_its_first_codes_has_none(pattern):
    model = build_hearing(pattern)
    inputs, decoder = inputs_of(model), model.config.decoder
    tables = model.decoder.model.embed_tokens.weight.data
    heard = coherence(model, inputs)
    tables.view(-1, decoder.num_codebooks, decoder.vocab_size, decoder.hidden_size)[:, 0] = 0

    ignored = coherence(model, inputs)

    assert heard.shape == ignored.shape == (decoder.pattern.num_tracks,)
    assert (heard > 1e-5).all() and np.abs(ignored).max() < 1e-9


def test_louder_first_codes_are_more_coherent_and_the_seed_repeats_the_measurement():
    model = build_hearing("interleaving_A_V")
    inputs = inputs_of(model)
    tables = model.decoder.model.embed_tokens.weight.data.mul_(0.1)
    before = coherence(model, inputs)
    tables.mul_(10)

    assert (coherence(model, inputs) > before).all()
    assert np.array_equal(coherence(model, inputs), coherence(model, inputs))


def test_frames_without_a_sample_say_so():
    model, _ = build_tiny("mixed")

    assert np.isnan(coherence(model, inputs_of(model, num_frames=3))).all()


def test_inputs_without_codes_and_models_of_one_codebook_are_refused():
    model, _ = build_tiny("mixed")
    inputs = inputs_of(model)
    with pytest.raises(ValueError, match="got input_ids, lyrics_ids: expected decoder_input_ids"):
        coherence(model, {name: inputs[name] for name in ("input_ids", "lyrics_ids")})

    model.config.decoder.num_codebooks = 1
    with pytest.raises(ValueError, match="got 1 codebook, expected 2 or more"):
        coherence(model, inputs)
