"""The networks of the judges, and their predictions."""

import numpy as np
import pytest
import torch

from songgen_hf.data.listening.phoneme_recognizer import (
    PhonemeRecognizer,
    PhonemeRecognizerConfig,
    collapse,
)
from songgen_hf.data.listening.phonemes import PHONEMES
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.judges.song_classifier import (
    GENDERS,
    LEAD_FAMILIES,
    SongClassifier,
    SongClassifierConfig,
)

from ...tools.judge_cases import (
    TINY_CLASSIFIER,
    TINY_RECOGNIZER,
    TINY_SECOND,
    VOICES,
    tiny_judges,
)


@pytest.fixture
def waveforms():
    """Noises of different lengths, the last one empty."""
    rng = np.random.default_rng(1)
    return [(0.1 * rng.standard_normal(size)).astype(np.float32) for size in (9000, 16001, 0)]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([], []),
        ([0, 0], []),
        ([3, 3, 3], [3]),
        ([3, 0, 3], [3, 3]),
        ([0, 1, 1, 2, 0, 2, 2], [1, 2, 2]),
    ],
)
def test_ctc_decoding_merges_repeats_and_drops_blanks(classes, expected):
    assert collapse(classes) == expected


@pytest.mark.parametrize("frames", [1, 2, 7, 100])
def test_the_recognizer_halves_the_frames(frames):
    network = PhonemeRecognizer(TINY_RECOGNIZER).eval()

    sequence, single = network(torch.zeros(2, 80, frames))

    assert sequence.shape == single.shape == (2, (frames + 1) // 2, 1 + len(PHONEMES))


def test_the_receptive_field_of_the_recognizer_is_short():
    """The recognizer cannot guess a word from the rest of the line."""
    network = PhonemeRecognizer(PhonemeRecognizerConfig(hidden_size=8)).eval()
    mels = torch.randn(1, 80, 400, requires_grad=True)

    network(mels)[0][0, 100].sum().backward()

    touched = mels.grad[0].abs().sum(dim=0).nonzero()
    assert 200 - 60 <= int(touched.min()) and int(touched.max()) <= 200 + 60


def test_predictions_are_classes_and_one_per_song(waveforms):
    judges = tiny_judges()

    assert all(symbol in PHONEMES for song in judges.phonemes(waveforms) for symbol in song)
    assert set(judges.gender(waveforms)) <= set(GENDERS)
    assert set(judges.lead_family(waveforms)) <= set(LEAD_FAMILIES)
    assert set(judges.voice(waveforms)) <= set(VOICES)
    assert len(judges.gender(waveforms)) == len(judges.phonemes(waveforms)) == 3


def test_voice_embeddings_have_length_one(waveforms):
    rows = tiny_judges().voice_embedding(waveforms)

    assert rows.shape == (3, TINY_CLASSIFIER.embedding_size) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert tiny_judges().voice_embedding([]).shape == (0, TINY_CLASSIFIER.embedding_size)


def test_other_songs_and_gain_change_no_voice_embedding(waveforms):
    judges = tiny_judges()

    together = judges.voice_embedding(waveforms[:2])

    for waveform, row in zip(waveforms, together, strict=False):
        np.testing.assert_array_equal(judges.voice_embedding([waveform])[0], row)
        np.testing.assert_allclose(judges.voice_embedding([0.2 * waveform])[0], row, atol=1e-3)


def test_saved_judges_are_loaded(tmp_path, waveforms):
    judges = tiny_judges()
    judges.save(tmp_path)

    loaded = Judges.load(tmp_path)

    for network, config in (
        (loaded.recognizer, TINY_RECOGNIZER),
        (loaded.classifier, TINY_CLASSIFIER),
        (loaded.second, TINY_SECOND),
    ):
        assert network.config.to_dict() | {"_name_or_path": ""} == config.to_dict()
        assert not network.training and network.dtype == torch.float32
    assert loaded.report == {}
    # Weights are kept as float16.
    np.testing.assert_allclose(
        loaded.voice_embedding(waveforms), judges.voice_embedding(waveforms), atol=2e-3
    )


def test_the_second_recognizer_hears_for_itself(waveforms):
    judges = tiny_judges()

    assert judges.second_phonemes(waveforms) != judges.phonemes(waveforms)
    without = Judges(judges.recognizer, judges.classifier)
    assert without.second_phonemes(waveforms) is None


def test_the_default_networks_of_the_judges_are_small(tmp_path):
    PhonemeRecognizer(PhonemeRecognizerConfig()).save_pretrained(tmp_path / "a")
    SongClassifier(SongClassifierConfig(voices=VOICES)).save_pretrained(tmp_path / "b")

    for folder in ("a", "b"):
        assert (tmp_path / folder / "model.safetensors").stat().st_size < 5e6


def test_a_folder_without_judges_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="songgen-hf evaluate judges"):
        Judges.load(tmp_path)


def test_another_network_in_the_folder_is_an_error(tmp_path):
    tiny_judges().classifier.save_pretrained(tmp_path)

    with pytest.raises(ValueError, match="holds another network than a PhonemeRecognizer"):
        PhonemeRecognizer.from_pretrained(tmp_path)


def test_judge_weights_of_another_size_are_an_error(tmp_path):
    tiny_judges().recognizer.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"hidden_size": 16', '"hidden_size": 8'))

    with pytest.raises(ValueError, match="do not have the shapes of its config.json"):
        PhonemeRecognizer.from_pretrained(tmp_path)
