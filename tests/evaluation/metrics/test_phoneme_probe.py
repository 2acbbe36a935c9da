"""The linear probe from codes to phonemes."""

import numpy as np
import pytest

from songgen_hf.evaluation.metrics.phoneme_probe import (
    ProbeFrames,
    collect_frames,
    frame_phonemes,
    probe_accuracies,
    probe_phonemes,
)

SYMBOLS = np.array(["a", "b", "s", "t"])


def frames(seed, *, count=600, level=0, size=16):
    """Frames whose phoneme follows from the code of one codebook; the others are noise."""
    codes = np.random.default_rng(seed).integers(size, size=(count, 3))
    return ProbeFrames(codes, SYMBOLS[codes[:, level] % 4], np.zeros(count, dtype=np.int64))


def test_the_label_of_a_frame_is_the_phoneme_in_its_middle():
    timed = [
        {"symbol": "a", "start": 0.02, "end": 0.05},
        {"symbol": "b", "start": 0.05, "end": 0.075},
    ]

    assert frame_phonemes(timed, 5, 50.0).tolist() == ["", "a", "b", "b", ""]


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_probe_uses_the_codebook_with_the_phoneme(level):
    train, test = frames(0, level=level), frames(1, level=level)

    for count in (1, 2, 3):
        right = probe_phonemes(train, test, num_codebooks=count, codebook_size=16, steps=100).mean()
        assert right > 0.95 if count > level else right < 0.5


@pytest.mark.slow
def test_codes_without_information_score_like_the_commonest_phoneme():
    random = np.random.default_rng(2)
    train, test = frames(0), frames(1)
    shuffled = [
        ProbeFrames(one.codes, random.permutation(one.phonemes), one.songs) for one in (train, test)
    ]

    scores = probe_accuracies(*shuffled, codebook_size=16, steps=100)

    assert scores["codebooks_3"] == pytest.approx(scores["commonest"], abs=0.1)


def test_powers_of_two_and_all_codebooks_are_probed():
    scores = probe_accuracies(frames(0), frames(1), codebook_size=16, steps=2)

    assert list(scores) == ["codebooks_1", "codebooks_2", "codebooks_3", "commonest"]


def test_the_seed_alone_decides_a_probe():
    one, two = (
        probe_phonemes(frames(0), frames(1), num_codebooks=2, codebook_size=16, seed=5, steps=20)
        for _ in range(2)
    )

    assert (one == two).all()


@pytest.mark.slow
def test_a_phoneme_without_training_frames_is_never_right():
    test = ProbeFrames(np.zeros((2, 3), dtype=np.int64), np.array(["x", "x"]), np.zeros(2))

    assert not probe_phonemes(frames(0), test, num_codebooks=1, codebook_size=16).any()


def test_only_frames_with_a_phoneme_are_collected(tiny_model):
    codec = tiny_model("mixed").audio_encoder
    songs = [np.random.default_rng(i).normal(0, 0.1, 6400).astype(np.float32) for i in range(2)]
    timed = [[{"symbol": "s", "start": 0.1, "end": 0.2}], [{"symbol": "t", "start": 0, "end": 0.1}]]

    found = collect_frames(codec, songs, timed)

    assert found.phonemes.tolist() == ["s"] * 5 + ["t"] * 5
    assert found.songs.tolist() == [0] * 5 + [1] * 5
    assert found.codes.shape == (10, codec.config.num_quantizers)


def test_probe_arguments_that_do_not_fit_are_errors(tiny_model):
    codec = tiny_model("mixed").audio_encoder
    song = np.zeros(6400, dtype=np.float32)

    with pytest.raises(ValueError, match="expected 1 to 3"):
        probe_phonemes(frames(0), frames(1), num_codebooks=4, codebook_size=16)
    with pytest.raises(ValueError, match="no frame has a phoneme"):
        collect_frames(codec, [song], [[]])
    with pytest.raises(ValueError, match="1 waveforms and 0 lists"):
        collect_frames(codec, [song], [])
