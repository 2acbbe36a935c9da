"""Tests of the token patterns: round trips, exact cells, lengths and errors."""

import pytest
import torch

from songgen_hf.modeling.patterns import TRACK_PATTERNS, CodebookPattern

BOS, PAD, FREE = 1025, 1024, -1
SIZES = [(1, 1), (1, 4), (2, 1), (4, 3), (8, 1), (8, 20)]

each_pattern = pytest.mark.parametrize("name", TRACK_PATTERNS)


def song(pattern: CodebookPattern, num_frames: int, *, batch_size: int = 2) -> torch.Tensor:
    """Return codes [B, tracks, K, T] that are all different, so that each can be recognized."""
    shape = (batch_size, pattern.num_tracks, pattern.num_codebooks, num_frames)
    return torch.arange(torch.tensor(shape).prod()).reshape(shape)


def apply(pattern: CodebookPattern, codes: torch.Tensor) -> torch.Tensor:
    return pattern.apply(codes, bos_token_id=BOS, pad_token_id=PAD)


def applied_by_loop(pattern: CodebookPattern, codes: torch.Tensor) -> torch.Tensor:
    """Apply a pattern with plain loops over steps, tracks and codebooks, as a slow reference."""
    batch_size, num_tracks, num_codebooks, num_frames = codes.shape
    lagging = {"A_V": 1, "V_A": 0}.get(pattern.name[-3:])
    flat, delayed = pattern.name == "mixed_flat", pattern.name != "mixed_no_delay"
    interleaved = pattern.name.startswith("interleaving")
    num_rows = num_codebooks * (2 if pattern.name.startswith("parallel") else 1)
    columns = [[[BOS] * num_rows for _ in range(batch_size)]]
    written = 0
    while written < num_tracks * num_codebooks * num_frames:
        step, written = len(columns) - 1, 0
        column = [[PAD] * num_rows for _ in range(batch_size)]
        for track in range(num_tracks):
            turn = step - (track == lagging)
            for k in range(num_codebooks):
                row = k if num_rows == num_codebooks else track * num_codebooks + k
                frame = (turn // 2 if interleaved else turn) - k * delayed
                between = flat and turn % num_codebooks != k  # other codebooks have their turn
                if flat:
                    frame = (turn - k) // num_codebooks
                written += max(0, min(frame + 1, num_frames))
                if interleaved and turn % 2:
                    continue
                for b in range(batch_size):
                    if frame < 0 or (between and frame < num_frames):
                        column[b][row] = BOS
                    elif frame < num_frames:
                        column[b][row] = int(codes[b, track, k, frame])
        columns.append(column)
    return torch.tensor(columns).permute(1, 2, 0)  # [L, B, rows] -> [B, rows, L]


@each_pattern
def test_revert_undoes_apply_for_any_size(name):
    for num_codebooks, num_frames in SIZES:
        pattern = CodebookPattern(name, num_codebooks)
        codes = song(pattern, num_frames)

        assert torch.equal(pattern.revert(apply(pattern, codes)), codes), (
            num_codebooks,
            num_frames,
        )


@each_pattern
def test_apply_equals_a_plain_loop_over_steps(name):
    for num_codebooks, num_frames in SIZES:
        pattern = CodebookPattern(name, num_codebooks)
        codes = song(pattern, num_frames)

        expected = applied_by_loop(pattern, codes)
        assert torch.equal(apply(pattern, codes), expected), (num_codebooks, num_frames)


@each_pattern
def test_zero_frames_give_only_the_begin_step(name):
    pattern = CodebookPattern(name, 3)

    delayed = apply(pattern, song(pattern, 0))

    assert torch.equal(delayed, torch.full((2, pattern.num_rows, 1), BOS))
    assert pattern.revert(delayed).shape == (2, pattern.num_tracks, 3, 0)


@each_pattern
def test_every_code_has_a_cell_of_its_own(name):
    for num_codebooks, num_frames in SIZES:
        pattern = CodebookPattern(name, num_codebooks)

        rows, steps = pattern.index(num_frames)

        assert rows.shape == steps.shape == (pattern.num_tracks, num_codebooks, num_frames)
        cells = set(zip(rows.flatten().tolist(), steps.flatten().tolist(), strict=True))
        assert len(cells) == rows.numel()
        assert max(step for _, step in cells) == pattern.num_steps(num_frames) - 1


@each_pattern
@pytest.mark.parametrize("num_codebooks", [1, 2, 8])
def test_steps_and_frames_convert_back_and_forth(name, num_codebooks):
    pattern = CodebookPattern(name, num_codebooks)

    for num_frames in range(6):
        num_steps = pattern.num_steps(num_frames)
        assert pattern.num_frames(num_steps) == num_frames
        assert pattern.num_frames(num_steps - 1) == max(0, num_frames - 1)
    assert pattern.num_frames(0) == 0


@each_pattern
def test_a_code_depends_only_on_cells_before_its_own(name):
    """Within a track, codebook k of a frame comes after codebook k - 1 of the same frame.

    Without a delay it comes in the same step.
    """
    pattern = CodebookPattern(name, 4)

    _, steps = pattern.index(5)

    later = steps.diff(dim=1)
    assert (later == 0).all() if name == "mixed_no_delay" else (later > 0).all()
    assert (steps.diff(dim=2) > 0).all()


@each_pattern
def test_forced_cells_are_those_that_hold_no_code(name):
    for num_codebooks, num_frames in SIZES:
        pattern = CodebookPattern(name, num_codebooks)
        delayed = apply(pattern, song(pattern, num_frames, batch_size=1))

        forced = pattern.forced_ids(delayed.shape[-1], num_frames, BOS, PAD)

        rows, steps = pattern.index(num_frames)
        expected = delayed.clone()
        expected[:, rows, steps] = FREE
        assert torch.equal(forced, expected), (num_codebooks, num_frames)


@each_pattern
def test_a_prompt_is_forced_and_the_rest_stays_free(name):
    pattern = CodebookPattern(name, 3)
    prompt = song(pattern, 2)
    num_steps = pattern.num_steps(5)

    forced = pattern.forced_ids(num_steps, 5, BOS, PAD, known_codes=prompt)

    assert torch.equal(pattern.revert(forced)[..., :2], prompt)
    assert (pattern.revert(forced)[..., 2:] == FREE).all()
    first = pattern.first_free_step(2)
    assert (forced[:, :, :first] != FREE).all()
    assert (forced[:, :, first] == FREE).any()


@each_pattern
@pytest.mark.parametrize("num_frames", [0, 1, 6])
def test_labels_hold_the_codes_and_an_end_mark_in_every_row(name, num_frames):
    pattern = CodebookPattern(name, 4)
    codes = song(pattern, num_frames, batch_size=1)

    labels = pattern.labels(codes, bos_token_id=BOS, eos_token_id=PAD)

    begun = torch.cat([torch.full((1, 1, pattern.num_rows), BOS), labels], dim=1).transpose(1, 2)
    assert torch.equal(pattern.revert(begun, num_frames), codes)
    assert (labels[:, -1] == PAD).all()
    own = {"mixed_no_delay": num_frames + 1, "mixed_flat": 4 * (num_frames + 1)}
    assert labels.shape[1] == own.get(
        name,
        pattern.stride * (num_frames + 4) + (pattern.has_rows_per_track and max(pattern.lags)),
    )


@each_pattern
def test_labels_of_songs_of_different_lengths_are_padded_with_ignored_ids(name):
    pattern = CodebookPattern(name, 2)
    short, long = song(pattern, 2, batch_size=1)[0], song(pattern, 5, batch_size=1)[0]

    labels = pattern.labels([short, long], bos_token_id=BOS, eos_token_id=PAD)

    alone = pattern.labels(short[None], bos_token_id=BOS, eos_token_id=PAD)[0]
    assert torch.equal(labels[0, : len(alone)], alone)
    assert (labels[0, len(alone) :] == -100).all()
    assert torch.equal(labels[1], pattern.labels(long[None], bos_token_id=BOS, eos_token_id=PAD)[0])


def test_a_flat_pattern_has_one_code_in_each_step():
    pattern = CodebookPattern("mixed_flat", 3)
    codes = torch.tensor([[[[10, 11], [20, 21], [30, 31]]]])

    labels = pattern.labels(codes, bos_token_id=BOS, eos_token_id=PAD)

    assert apply(pattern, codes).tolist() == [
        [
            [BOS, 10, BOS, BOS, 11, BOS, BOS],
            [BOS, BOS, 20, BOS, BOS, 21, BOS],
            [BOS, BOS, BOS, 30, BOS, BOS, 31],
        ]
    ]
    assert labels[0].T.tolist() == [
        [10, BOS, BOS, 11, BOS, BOS, PAD, PAD, PAD],
        [BOS, 20, BOS, BOS, 21, BOS, BOS, PAD, PAD],
        [BOS, BOS, 30, BOS, BOS, 31, BOS, BOS, PAD],
    ]


def test_a_step_without_delay_holds_a_whole_frame():
    pattern = CodebookPattern("mixed_no_delay", 2)
    codes = torch.tensor([[[[10, 11], [20, 21]]]])

    labels = pattern.labels(codes, bos_token_id=BOS, eos_token_id=PAD)

    assert apply(pattern, codes).tolist() == [[[BOS, 10, 11], [BOS, 20, 21]]]
    assert labels[0].T.tolist() == [[10, 11, PAD], [20, 21, PAD]]


def test_with_one_codebook_all_patterns_of_a_mixture_are_equal():
    codes = song(CodebookPattern("mixed", 1), 4)

    expected = apply(CodebookPattern("mixed", 1), codes)

    for name in ("mixed_no_delay", "mixed_flat"):
        assert torch.equal(apply(CodebookPattern(name, 1), codes), expected)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'stereo'.*mixed_pro"):
        CodebookPattern("stereo", 8)


def test_zero_codebooks_are_refused():
    with pytest.raises(ValueError, match="at least 1: got 0"):
        CodebookPattern("mixed", 0)


@each_pattern
def test_codes_of_the_wrong_shape_are_refused_with_the_expected_one(name):
    pattern = CodebookPattern(name, 4)
    wrong = torch.zeros(1, pattern.num_tracks, 5, 3, dtype=torch.long)

    with pytest.raises(ValueError, match=rf"\[B, {pattern.num_tracks}, 4, T\].*\[1, .*5, 3\]"):
        apply(pattern, wrong)


@each_pattern
def test_too_few_steps_for_the_asked_frames_are_refused(name):
    pattern = CodebookPattern(name, 4)
    delayed = torch.zeros(1, pattern.num_rows, pattern.num_steps(3), dtype=torch.long)

    with pytest.raises(ValueError, match="hold 3 frames"):
        pattern.revert(delayed, 4)


def test_the_wrong_number_of_rows_is_refused():
    with pytest.raises(ValueError, match=r"\[B, 8, L\] for parallel_std: got \[1, 4, 9\]"):
        CodebookPattern("parallel_std", 4).revert(torch.zeros(1, 4, 9, dtype=torch.long))


@pytest.mark.parametrize("wrong", [-1, PAD, BOS])
def test_labels_refuse_codes_that_are_special_ids(wrong):
    codes = torch.zeros(1, 1, 3, 5, dtype=torch.int64)
    codes[..., 2] = wrong

    with pytest.raises(ValueError, match=r"codes must lie in \[0, 1024\): got \["):
        CodebookPattern("mixed", 3).labels(codes, bos_token_id=BOS, eos_token_id=PAD)
