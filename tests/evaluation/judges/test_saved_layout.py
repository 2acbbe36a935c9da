"""Folders of judges written by earlier versions still load.

A folder held ``config.json`` with the sizes alone and ``model.safetensors`` with float16 weights,
without metadata. The files are written here byte for byte, without the code of the package.
"""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from songgen_hf.data.listening.phoneme_recognizer import (
    PhonemeRecognizer,
    PhonemeRecognizerConfig,
)
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.judges.song_classifier import SongClassifier, SongClassifierConfig

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
SIZES = {"hidden_size": 8, "dilations": (1, 2)}
PHONEMES = ("ə", "s", "t")
VOICES = ("female_1", "male_1", "male_2")
RECOGNIZER_NAMES = [
    *(f"entry.{place}.{name}" for place in (0, 2) for name in NORM),
    "entry.1.weight",
    *(f"body.{place}.norm.{name}" for place in (0, 1) for name in NORM),
    *(f"body.{place}.convolution.weight" for place in (0, 1)),
    *(f"{head}.{name}" for head in ("sequence_head", "frame_head") for name in ("weight", "bias")),
]
CLASSIFIER_NAMES = [
    "voice_directions",
    *(f"entry.{place}.{name}" for place in (0, 2, 5) for name in NORM),
    *(f"entry.{place}.weight" for place in (1, 4)),
    *(f"body.{place}.norm.{name}" for place in (0, 1) for name in NORM),
    *(f"body.{place}.convolution.weight" for place in (0, 1)),
    *(
        f"{task}_pool.score.{place}.{name}"
        for task in ("gender", "lead", "voice")
        for place in (0, 2)
        for name in ("weight", "bias")
    ),
    *(f"{task}_head.{name}" for task in ("gender", "lead", "voice") for name in ("weight", "bias")),
]


def seeded_weights(network, names, seed):
    """Float16 weights for every name, drawn from a seed; variances are positive."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert sorted(shapes) == sorted(names)
    weights = {}
    for name in sorted(names):
        noise = 0.3 * torch.randn(shapes[name], generator=generator)
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            weights[name] = (1 + noise.abs()).half()
        else:
            weights[name] = noise.half()
    return weights


@pytest.fixture
def saved(tmp_path):
    """A folder of judges in the earlier layout, and networks that hold the same weights."""
    recognizer = PhonemeRecognizer(PhonemeRecognizerConfig(**SIZES, phonemes=PHONEMES)).eval()
    classifier = SongClassifier(
        SongClassifierConfig(**SIZES, voices=VOICES, embedding_size=4)
    ).eval()
    configs = {
        "phoneme_recognizer": {**SIZES, "phonemes": PHONEMES},
        "song_classifier": {
            "voices": VOICES,
            **SIZES,
            "embedding_size": 4,
            "genders": ["female", "male"],
            "lead_families": list(classifier.config.lead_families),
        },
    }
    networks = {
        "phoneme_recognizer": (recognizer, RECOGNIZER_NAMES),
        "song_classifier": (classifier, CLASSIFIER_NAMES),
    }
    for seed, (folder, (network, names)) in enumerate(networks.items()):
        weights = seeded_weights(network, names, seed)
        network.load_state_dict(
            {name: one if one.ndim == 0 else one.float() for name, one in weights.items()}
        )
        (tmp_path / folder).mkdir()
        config = json.dumps(configs[folder], indent=2, ensure_ascii=False)
        (tmp_path / folder / "config.json").write_text(config + "\n", encoding="utf-8")
        content = safetensors.torch.save(weights)
        (tmp_path / folder / "model.safetensors").write_bytes(content)
    (tmp_path / "judges.json").write_text('{"training_songs": 3}')
    return tmp_path, recognizer, classifier


def test_judges_of_the_earlier_layout_give_the_same_answers(saved):
    folder, recognizer, classifier = saved
    mels = torch.randn(80, 120, generator=torch.Generator().manual_seed(9))

    judges = Judges.load(folder)

    assert judges.report == {"training_songs": 3}
    assert tuple(judges.recognizer.config.phonemes) == PHONEMES
    assert tuple(judges.classifier.config.voices) == VOICES
    assert not judges.recognizer.training and not judges.classifier.training
    for network in (judges.recognizer, judges.classifier):
        assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert judges.recognizer.recognize(mels) == recognizer.recognize(mels) != []
    for found, expected in zip(
        judges.classifier.classify(mels), classifier.classify(mels), strict=True
    ):
        assert torch.equal(found, expected)


def test_every_weight_of_the_earlier_layout_is_read(saved):
    folder, recognizer, classifier = saved

    judges = Judges.load(folder)

    pairs = ((judges.recognizer, recognizer), (judges.classifier, classifier))
    for loaded, expected in pairs:
        for name, tensor in loaded.state_dict().items():
            np.testing.assert_array_equal(tensor, expected.state_dict()[name], err_msg=name)
