"""The backbones, with miniature checkpoints of the classes of transformers."""

import numpy as np
import pytest
import torch
from transformers import ASTForAudioClassification, HubertModel, WavLMForXVector

from songgen_hf.data.preparation.stages import ModelError
from songgen_hf.evaluation.backbones import networks

from ...tools.miniature_models import (
    write_ast,
    write_clap,
    write_hubert,
    write_whisper,
    write_xvectors,
)

NOISE = (0.1 * np.random.default_rng(0).normal(size=3 * 16000 + 100)).astype(np.float32)


@pytest.fixture(scope="module")
def hubert(tmp_path_factory):
    return write_hubert(tmp_path_factory.mktemp("hubert"))


@pytest.mark.slow
def test_states_are_those_of_the_library_for_every_layer(hubert):
    model = HubertModel.from_pretrained(hubert).eval()
    values = torch.from_numpy((NOISE - NOISE.mean()) / np.sqrt(NOISE.var() + 1e-7))[None]
    with torch.inference_mode():
        expected = model(values, output_hidden_states=True).hidden_states

    for layer in range(3):
        found = networks.HiddenStates(hubert, layer=layer)(NOISE)["embeddings"]
        np.testing.assert_allclose(found, expected[layer][0], atol=1e-5)


def test_mert_is_loaded_as_a_hubert_without_its_code(tmp_path, hubert):
    mert = networks.HiddenStates(write_hubert(tmp_path, mert=True))

    np.testing.assert_array_equal(
        mert(NOISE)["embeddings"], networks.HiddenStates(hubert)(NOISE)["embeddings"]
    )


def test_a_mert_with_other_parts_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="parts that HuBERT lacks .feature_extractor_cqt"):
        networks.HiddenStates(write_hubert(tmp_path, mert=True, feature_extractor_cqt=True))


def test_windows_do_not_depend_on_the_batch(hubert, monkeypatch):
    monkeypatch.setattr(networks, "WINDOW_SECONDS", 1.0)

    one, many = (networks.HiddenStates(hubert, batch_size=size) for size in (1, 8))

    np.testing.assert_allclose(one(NOISE)["embeddings"], many(NOISE)["embeddings"], atol=1e-5)
    assert one.settings["window_seconds"] == 1.0


@pytest.mark.slow
def test_xvectors_and_tags_are_those_of_the_library(tmp_path):
    singer = networks.Singer(write_xvectors(tmp_path / "singer"))
    tagger = networks.Tagger(write_ast(tmp_path / "tagger"))

    with torch.inference_mode():
        values = singer.extractor(NOISE, sampling_rate=16000, return_tensors="pt")
        voice = WavLMForXVector.from_pretrained(tmp_path / "singer").eval()(**values).embeddings
        values = tagger.extractor(NOISE, sampling_rate=16000, return_tensors="pt")
        tags = ASTForAudioClassification.from_pretrained(tmp_path / "tagger").eval()(**values)

    np.testing.assert_allclose(singer(NOISE)["embeddings"], voice, atol=1e-5)
    np.testing.assert_allclose(tagger(NOISE)["logits"], tags.logits, atol=1e-5)


@pytest.mark.slow
def test_clap_embeds_windows_and_descriptions_in_one_space(tmp_path):
    clap = networks.Clap(write_clap(tmp_path), hop_seconds=0.5)
    waveform = np.tile(NOISE, 3)  # 3 s at 48 kHz

    windows = clap(waveform)["embeddings"]

    assert windows.shape == (5, 8) and clap.text("jazz guitar").shape == (8,)
    np.testing.assert_allclose(windows[0], clap(waveform[:48000])["embeddings"][0], atol=1e-5)
    assert clap.settings["hop_seconds"] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("multilingual", [True, False])
def test_a_recognizer_returns_words_of_songs_of_any_length(tmp_path, multilingual):
    words = ["the", "river", "sings"]
    recognizer = networks.Recognizer(write_whisper(tmp_path, words, multilingual=multilingual))

    assert recognizer(NOISE)["text"].tolist() == ["the river sings"]
    assert str(recognizer(np.tile(NOISE, 3))["text"][0]).split().count("river") >= 2


@pytest.mark.parametrize("samples", [1, 100])
def test_very_short_sounds_have_embeddings(hubert, samples):
    assert len(networks.HiddenStates(hubert)(NOISE[:samples])["embeddings"])


def test_models_that_do_not_fit_are_errors(tmp_path, hubert):
    with pytest.raises(ModelError, match="cannot load the x-vector model"):
        networks.Singer(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="cannot load the tagger .* lacks 4 weights"):
        networks.Tagger(hubert)
    with pytest.raises(ValueError, match="has the layers 0 to 2: got 3"):
        networks.HiddenStates(hubert, layer=3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("m/clap", ("m/clap", None)), ("m/clap@v1", ("m/clap", "v1")), (".", (".", None))],
)
def test_a_hub_id_may_end_in_a_revision(tmp_path, name, expected):
    (tmp_path / "a@b").mkdir()

    assert networks.name_and_revision(name) == expected
    assert networks.name_and_revision(str(tmp_path / "a@b")) == (str(tmp_path / "a@b"), None)


def test_states_of_a_model_that_hears_nothing_are_refused(tiny_checkpoint):
    with pytest.raises(ValueError, match="is a songgen model: expected MERT, HuBERT, WavLM or"):
        networks.HiddenStates(str(tiny_checkpoint()))
