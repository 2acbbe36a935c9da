"""Attention to the lyrics: the weights of the decoder, and the heads that read in order."""

import threading

import pytest
import torch

from songgen_hf.modeling.lyrics_attention import monotonic_score, watched_attention
from songgen_hf.modeling.patterns import VOCAL

LYRICS = torch.tensor([[3, 4, 7, 9, 11, 0]])


def conditions(model):
    return {"input_ids": torch.tensor([[5, 6, 1]]), "lyrics_ids": LYRICS}


def codes_of(model, num_frames=7):
    decoder = model.config.decoder
    shape = (1, decoder.num_tracks, decoder.num_codebooks, num_frames)
    return torch.randint(
        0, decoder.codebook_size, shape, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed", "parallel_A_V", "interleaving_A_V"])
@pytest.mark.parametrize("rotary", [False, True])
def test_weights_are_those_of_eager_attention(tiny_model, pattern, rotary):
    decoder = {"rope_embeddings": rotary, "attn_implementation": "eager"}
    model = tiny_model(pattern, decoder=decoder)
    model.set_attn_implementation({"decoder": "eager"})
    codes = codes_of(model)
    heads = [(1, 0), (0, 1)]

    weights, found = model.lyrics_attention(codes, heads=heads, **conditions(model))

    special = {"bos_token_id": model.config.decoder.bos_token_id, "pad_token_id": 0}
    ids = model.pattern.apply(codes, **special)[..., :-1]
    encoded = model.conditioner(**conditions(model))
    with torch.no_grad():
        output = model(decoder_input_ids=ids, encoder_outputs=encoded, output_attentions=True)
    track = VOCAL if model.pattern.num_tracks == 2 else 0
    expected = []
    for frame in range(codes.shape[-1]):
        step = int(model.pattern.index(codes.shape[-1])[1][track, 0, frame]) - 1
        rows = [output.cross_attentions[layer][0, head, step] for layer, head in heads]
        expected.append(torch.stack(rows).mean(dim=0)[-LYRICS.shape[1] :])
    torch.testing.assert_close(weights, torch.stack(expected))
    assert sorted(found) == sorted(heads)


def test_the_heads_of_the_generation_config_are_used_before_any_others(tiny_model, monkeypatch):
    model = tiny_model("mixed")
    named = [[1, 1]]
    monkeypatch.setattr(model.generation_config, "lyrics_attention_heads", named, raising=False)

    assert model.lyrics_attention(codes_of(model), **conditions(model))[1] == [(1, 1)]


def test_without_named_heads_the_ones_that_score_best_are_used(tiny_model):
    model = tiny_model("mixed")
    codes, layers = codes_of(model), model.config.decoder.num_hidden_layers
    count = model.config.decoder.num_attention_heads
    scores = {}
    for head in [(layer, head) for layer in range(layers) for head in range(count)]:
        weights, _ = model.lyrics_attention(codes, heads=[head], **conditions(model))
        scores[head] = float(monotonic_score(weights[None]))

    _, found = model.lyrics_attention(codes, **conditions(model))

    assert found[0] == max(scores, key=scores.get)
    assert all(scores[head] >= sorted(scores.values())[-len(found)] for head in found)


def test_heads_that_read_in_order_score_more_than_heads_that_do_not():
    forward = torch.eye(8).repeat_interleave(3, dim=0)  # [T, P]
    blurred = torch.full_like(forward, 1 / 8)
    backward = forward.flip(0)

    scores = monotonic_score(torch.stack([forward, blurred, backward])).tolist()

    assert scores == pytest.approx([1.0, 1 / 8, 1 / 8])


def test_wrong_heads_songs_and_models_are_one_line(tiny_model):
    model = tiny_model("mixed")
    codes = codes_of(model)

    with pytest.raises(ValueError, match="lyrics_attention_heads names layer 9, head 0"):
        model.lyrics_attention(codes, heads=[(9, 0)], **conditions(model))
    with pytest.raises(ValueError, match="one song at a time: got 2"):
        model.lyrics_attention(codes.repeat(2, 1, 1, 1), **conditions(model))
    model = tiny_model("mixed", lyrics_cross_attention=False)
    with pytest.raises(ValueError, match="has its lyrics before the song"):
        model.lyrics_attention(codes, **conditions(model))


def test_a_hook_that_another_song_removes_meanwhile_does_no_harm(tiny_model):
    layer = tiny_model("mixed").decoder.model.layers[0]
    nothing = torch.zeros(1, 1, dtype=torch.bool)
    with watched_attention({0: layer}, torch.tensor([0]), nothing, lambda *_: None):
        (hook,) = layer.encoder_attn._forward_pre_hooks.values()

    result = []
    thread = threading.Thread(target=lambda: result.append(hook(layer.encoder_attn, ())))
    thread.start()
    thread.join()
    assert result == [None]
