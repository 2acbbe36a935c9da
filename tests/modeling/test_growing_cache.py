"""The cache that grows in place holds what the cache of transformers holds, without its copies."""

import copy

import pytest
import torch
from transformers.cache_utils import (
    DynamicCache,
    DynamicLayer,
    EncoderDecoderCache,
    StaticCache,
    StaticLayer,
)

from songgen_hf.modeling import ended_songs
from songgen_hf.modeling.growing_cache import (
    MIN_ROOM,
    GrowingLayer,
    GrowingStaticLayer,
    grow_between_steps,
    make_room,
)

from .test_ended_songs import CASES, sing

LONGEST = 300


def stock_cache(model):
    caches = (DynamicCache(config=model.config.decoder) for _ in range(2))
    return EncoderDecoderCache(*caches)


@pytest.mark.parametrize("seed", range(8))
@torch.no_grad()
def test_a_growing_layer_holds_what_a_dynamic_layer_holds(seed):
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = GrowingLayer(LONGEST), DynamicLayer()
    batch = 3

    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    for _ in range(60):
        length = ours.get_seq_length()
        action = draw(0, 12) if length else 6
        if action == 0:
            count = -draw(1, length + 1)
            ours.crop(count), theirs.crop(count)
        elif action == 1:
            rows = torch.randint(batch, (draw(1, 4),), generator=generator)
            batch = len(rows)
            ours.batch_select_indices(rows), theirs.batch_select_indices(rows)
        elif action == 2:
            rows = torch.randperm(batch, generator=generator)
            ours.reorder_cache(rows), theirs.reorder_cache(rows)
        elif action == 3 and batch < 4:
            batch *= 2
            ours.batch_repeat_interleave(2), theirs.batch_repeat_interleave(2)
        elif action == 4:
            ours = copy.deepcopy(ours)
        elif action == 5 and draw(0, 4) == 0:
            ours.reset(), theirs.reset()
            assert ours.get_seq_length() == 0
        else:
            shape = batch, 2, draw(1, 30) if draw(0, 4) == 0 else 1, 4
            states = [torch.randn(shape, generator=generator) for _ in range(2)]
            with torch.inference_mode(bool(draw(0, 2))):
                found, expected = ours.update(*states), theirs.update(*states)
            assert all(map(torch.equal, found, expected))
            assert ours.get_mask_sizes(1) == theirs.get_mask_sizes(1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@torch.no_grad()
def test_half_precision_is_kept_exactly_in_float32(dtype):
    layer = GrowingLayer(LONGEST)
    states = torch.randn(3, 2, 1, 2, 5, 4, generator=torch.Generator().manual_seed(0)).to(dtype)

    for keys, values in states:
        layer.update(keys, values)
    with torch.enable_grad():
        keys, _ = layer.update(*states[0])

    assert layer.keys.dtype == (dtype if dtype.itemsize > 2 else torch.float32)
    assert torch.equal(keys.to(dtype), torch.cat([*states[:, 0], states[0, 0]], dim=2))


@torch.no_grad()
def test_a_step_is_written_in_place_and_a_whole_song_has_no_spare_room():
    layer, places = GrowingLayer(LONGEST), []

    for _ in range(LONGEST):
        layer.update(*torch.zeros(2, 1, 2, 1, 4))
        places.append(layer.keys.data_ptr())
        length, room = (size // (2 * 4 * 4) for size in (layer.keys.nbytes, storage(layer)))
        assert room <= max(MIN_ROOM, min(LONGEST, length + length // 4 + 1))

    assert storage(layer) == layer.keys.nbytes
    assert len(set(places)) <= 9


def storage(layer):
    return layer.keys.untyped_storage().nbytes()


@pytest.mark.parametrize(("first", "kept_in"), [(1, None), (200, None), (1, torch.bfloat16)])
@torch.no_grad()
def test_a_static_layer_that_grows_holds_what_one_of_the_longest_song_holds(first, kept_in):
    generator = torch.Generator().manual_seed(first)
    ours, theirs = GrowingStaticLayer(LONGEST, True, kept_in), StaticLayer(LONGEST)
    past, sizes = 0, set()

    for length in [first] + [1] * (LONGEST - first):
        if past:
            ours.make_room(past + length)
        assert ours.get_mask_sizes(length)[0] <= LONGEST + 1
        states = torch.randn(2, 1, 2, length, 4, generator=generator)
        found = ours.update(*states)
        expected = theirs.update(*(state.to(kept_in or state.dtype) for state in states))
        past += length
        room = found[0].shape[2]
        assert ours.get_seq_length() == past <= room == ours.get_mask_sizes(1)[0]
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one[:, :, :past], other[:, :, :past])
            assert not one[:, :, past:].any()
        sizes.add(room)

    assert max(sizes) == LONGEST + 1  # odd
    assert len(sizes) <= 9
    assert ours.get_max_length() == LONGEST


def test_only_new_static_caches_grow_between_steps(tiny_model):
    config = tiny_model("mixed").config.decoder

    def cache(**options):
        return EncoderDecoderCache(*(StaticCache(config, 20, **options) for _ in range(2)))

    new, filled, offloaded = cache(), cache(), cache(offloading=True)
    filled.self_attention_cache.update(*torch.zeros(2, 1, 2, 3, 8), 0)
    for one in (new, filled, offloaded, stock_cache(tiny_model("mixed"))):
        grow_between_steps(one)
        make_room(one, 1)

    def kinds(cache):
        return {type(layer) for layer in cache.self_attention_cache.layers}

    assert kinds(new) == {GrowingStaticLayer}
    assert type(filled.self_attention_cache.layers[0]) is StaticLayer
    assert kinds(offloaded) == {StaticLayer}


def test_outside_of_generation_gradients_reach_all_steps():
    layer = GrowingLayer()
    states = torch.ones(5, 1, 1, 1, 2, requires_grad=True)

    for step in states:
        (layer.update(step, step)[0] ** 2).sum().backward(retain_graph=True)

    assert states.grad.flatten().tolist() == [10, 10, 8, 8, 6, 6, 4, 4, 2, 2]


@pytest.mark.parametrize("case", [name for name in CASES if name != "no_cache"])
def test_codes_are_those_of_the_cache_of_transformers(tiny_model, tiny_inputs, monkeypatch, case):
    monkeypatch.setattr(ended_songs, "CHECKED_STEPS", 2)
    pattern, variant, options = CASES[case]
    model, inputs = tiny_model(pattern, **variant), tiny_inputs(4)
    caches = []
    update = GrowingLayer.update
    monkeypatch.setattr(
        GrowingLayer, "update", lambda self, *args: caches.append(self) or update(self, *args)
    )

    codes, sizes = sing(model, inputs, **options)
    used = len(caches)
    expected, same = sing(model, inputs, **options, past_key_values=stock_cache(model))

    assert torch.equal(codes, expected)
    assert sizes == same
    # Each step of the song, and once the conditions.
    assert used == len(caches) == (len(sizes) + 1) * model.config.decoder.num_hidden_layers


@pytest.mark.parametrize("case", [name for name in CASES if name != "no_cache"])
def test_half_precision_is_kept_in_float32_with_the_same_codes(tiny_model, tiny_inputs, case):
    pattern, variant, options = CASES[case]
    model, inputs = copy.deepcopy(tiny_model(pattern, **variant)).bfloat16(), tiny_inputs(4)
    inputs["voice_values"] = inputs["voice_values"].bfloat16()

    codes, sizes = sing(model, inputs, **options)
    expected, same = sing(model, inputs, **options, past_key_values=stock_cache(model))

    assert torch.equal(codes, expected)
    assert sizes == same
