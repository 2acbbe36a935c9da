"""Songs that have ended leave the batch, and the others stay what they are alone."""

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from songgen_hf.modeling import ended_songs

from .test_generation import VARIANTS, row

ENDS = (2, 12, 5, 8)  # steps from which on a song of the batch ends
SEEDS = (3, 4, 5, 6)
FRAMES = 14


class EachEnds(LogitsProcessor):
    """Makes the end mark by far the most probable id, from a step of its own for each song."""

    def __init__(self, steps):
        self.steps = torch.tensor(steps)

    def __call__(self, input_ids, scores):
        ends = (self.steps <= input_ids.shape[-1]).repeat_interleave(len(scores) // len(self.steps))
        scores = scores.clone()
        scores[:, 1024] += torch.where(ends, 1e4, -1e4)
        return scores


def sing(model, inputs, ends=ENDS, seeds=SEEDS, **options):
    """Return the codes of songs that end at these steps, and the batch size of each step."""
    sizes = []
    hook = model.decoder.model.register_forward_hook(
        lambda module, _, output: sizes.append(len(output.last_hidden_state))
    )
    try:
        codes = model.generate(
            **inputs,
            max_new_frames=FRAMES,
            seed=list(seeds),
            logits_processor=LogitsProcessorList([EachEnds(ends)]),
            **options,
        )
    finally:
        hook.remove()
    return codes, sizes


@pytest.fixture(autouse=True)
def every_second_step(monkeypatch):
    monkeypatch.setattr(ended_songs, "CHECKED_STEPS", 2)


CASES = {
    "mixed": ("mixed", {}, {"guidance_scale": 1.5}),
    "two_tracks": ("interleaving_A_V", {}, {}),
    "parallel": ("parallel_A_V", {}, {"guidance_scale": 1.5}),
    "no_cache": ("mixed_no_delay", {}, {"use_cache": False}),
    "prepended_lyrics": ("mixed", VARIANTS["prepended_lyrics"], {"guidance_scale": 1.5}),
    "rotary": ("mixed", VARIANTS["rope_grouped_heads"], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_batch_that_loses_songs_gives_those_of_a_whole_one(tiny_model, tiny_inputs, case):
    pattern, variant, options = CASES[case]
    model, inputs = tiny_model(pattern, **variant), tiny_inputs(4)

    codes, sizes = sing(model, inputs, **options)

    # The output dict has the rows of all songs, so none leaves.
    whole, all_of_them = sing(model, inputs, **options, return_dict_in_generate=True)
    assert torch.equal(codes, whole.codes)
    parts = 2 if "guidance_scale" in options else 1
    assert sizes == sorted(sizes, reverse=True)
    assert {size // parts for size in sizes} == {1, 2, 3, 4}
    assert set(all_of_them) == {parts * len(ENDS)}


def test_songs_that_leave_one_another_equal_themselves_alone(tiny_model, tiny_inputs):
    model, inputs = tiny_model(), tiny_inputs(4)

    codes, _ = sing(model, inputs)

    for index in (1, 2):
        alone, _ = sing(model, row(inputs, index), ENDS[index : index + 1], [SEEDS[index]])
        length = alone.shape[-1]
        assert torch.equal(codes[index, ..., :length], alone[0])
        assert (codes[index, ..., length:] == model.config.pad_token_id).all()


def test_no_song_leaves_a_static_cache(tiny_model, tiny_inputs):
    model, inputs = tiny_model(), tiny_inputs(4)

    codes, sizes = sing(model, inputs, cache_implementation="static")

    assert set(sizes) == {len(ENDS)}
    assert torch.equal(codes, sing(model, inputs)[0])


def test_without_an_end_mark_no_song_leaves(tiny_model, tiny_inputs):
    codes, sizes = sing(tiny_model(), tiny_inputs(4), eos_token_id=None)

    assert set(sizes) == {len(ENDS)}
    assert codes.shape[-1] == FRAMES
