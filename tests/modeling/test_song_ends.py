"""Where songs end: in each track and codebook, in each song of a batch, and at a given length."""

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from .test_generation import GREEDY, SPECIAL_IDS, each_pattern


class EndsFrom(LogitsProcessor):
    """Makes the end mark by far the most probable id from some step on."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        scores[:, 1024] += 1e4 if input_ids.shape[-1] >= self.step else -1e4
        return scores


@each_pattern
def test_rows_end_one_after_another_and_pad_fills_the_rest(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    decoder = model.config.decoder
    layout = decoder.pattern
    last = 3  # whole frames before the first end mark
    step = layout.num_steps(last + layout.num_codebooks)

    codes = model.generate(
        **tiny_inputs(1),
        do_sample=False,
        max_new_frames=30,
        suppress_tokens=SPECIAL_IDS[1:],
        logits_processor=LogitsProcessorList([EndsFrom(step)]),
    )

    ended = (codes >= 1024).float()
    assert (ended.diff(dim=-1) >= 0).all()  # no code follows an end mark
    assert (codes[codes >= 1024] == decoder.pad_token_id).all()
    first_end = (codes < 1024).sum(-1)  # [B, tracks, K]
    assert (first_end.diff(dim=-1) >= 0).all() or layout.is_interleaved
    assert codes.shape[-1] < 30
    song = model.decode_codes(codes)
    expected = [[int((codes[0, t] < 1024).all(0).sum()) for t in range(decoder.num_tracks)]]
    if decoder.num_tracks == 1:
        assert song.lengths.tolist() == [320 * expected[0][0]]
    else:
        assert song.accompaniment_lengths.tolist() == [320 * expected[0][0]]
        assert song.vocal_lengths.tolist() == [320 * expected[0][1]]


@pytest.mark.parametrize(
    ("pattern", "later"), [("mixed", 0), ("mixed_flat", 0), ("mixed_no_delay", 1)]
)
def test_a_song_ends_in_one_frame_or_without_delay_one_frame_after_its_lowest_codebook(
    tiny_model, tiny_inputs, pattern, later
):
    model = tiny_model(pattern)
    layout = model.config.decoder.pattern

    codes = model.generate(
        **tiny_inputs(1),
        do_sample=False,
        max_new_frames=30,
        suppress_tokens=SPECIAL_IDS[1:],
        logits_processor=LogitsProcessorList([EndsFrom(layout.first_free_step(3))]),
    )

    lengths = (codes < 1024).sum(-1)[0, 0]  # [K]
    assert lengths.tolist() == [3] + [3 + later] * (layout.num_codebooks - 1)
    assert model.decode_codes(codes).lengths.tolist() == [3 * 320]


@pytest.mark.slow
def test_the_configured_length_of_a_flat_song_counts_its_steps(tiny_model, tiny_inputs):
    model = tiny_model("mixed_flat")
    settings = {**tiny_inputs(), "do_sample": False, "suppress_tokens": SPECIAL_IDS}
    steps = model.config.decoder.pattern.num_steps(5)

    codes = model.generate(**settings, max_length=steps)

    assert torch.equal(codes, model.generate(**settings, max_new_frames=5))


@each_pattern
def test_an_end_mark_in_the_first_frame_gives_an_empty_song_that_still_decodes(
    tiny_model, tiny_inputs, pattern
):
    model = tiny_model(pattern)

    codes = model.generate(
        **tiny_inputs(1),
        do_sample=False,
        max_new_frames=20,
        logits_processor=LogitsProcessorList([EndsFrom(0)]),
    )
    song = model.decode_codes(codes)

    assert not (codes < 1024).all(2).any()
    assert song.waveform.shape == (1, 1, 1)
    assert not song.waveform.any()


def test_songs_of_a_batch_end_independently(tiny_model, tiny_inputs):
    class EndsFirstSong(LogitsProcessor):
        def __call__(self, input_ids, scores):
            scores = scores.clone()
            scores[:, 1024] = -1e4
            scores[: len(scores) // 2, 1024] = 1e4
            return scores

    model = tiny_model()

    codes = model.generate(
        **tiny_inputs(), **GREEDY, logits_processor=LogitsProcessorList([EndsFirstSong()])
    )

    assert (codes[0, 0, 0] == 1024).all()
    assert (codes[1] < 1024).all()
