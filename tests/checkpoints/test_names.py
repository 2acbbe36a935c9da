"""Tests of the names of embedded checkpoints in ``from_pretrained`` of the package's classes."""

import shutil
from pathlib import Path

import pytest

import songgen_hf
from songgen_hf import (
    SongGenConfig,
    SongGenForConditionalGeneration,
    SongGenProcessor,
    XCodecConfig,
    XCodecModel,
    find_checkpoint,
)
from songgen_hf.checkpoints.loading import load_codec, load_pipeline
from songgen_hf.cli import main
from songgen_hf.modeling import checkpoint_names


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match="dtype is 'float17': expected one of torch, or its name"):
        load_pipeline("songgen-mini", dtype="float17")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (SongGenConfig, "songgen-mini"),
        (SongGenConfig, "songgen-mini/interleaving_A_V"),
        (XCodecConfig, "songgen-mini/codec"),
        (SongGenProcessor, "songgen-mini/mixed_pro"),
        (XCodecModel, "songgen-mini/codec"),
        pytest.param(
            SongGenForConditionalGeneration, "songgen-mini/mixed_pro", marks=pytest.mark.slow
        ),
    ],
)
def test_a_name_loads_what_its_folder_loads(owner, name):
    loaded = owner.from_pretrained(name)

    folder = owner.from_pretrained(find_checkpoint(name))
    assert type(loaded) is owner
    for one in (loaded, folder):
        config = getattr(one, "config", one)
        assert config.to_dict() == getattr(folder, "config", folder).to_dict()


@pytest.mark.slow
def test_the_masked_pipeline_takes_a_name():
    pytest.importorskip("diffusers", reason="needs the extra diffusers")

    pipe = songgen_hf.MaskedSongPipeline.from_pretrained("songgen-mini/masked")

    assert pipe.transformer.config.num_codebooks == pipe.codec.config.num_quantizers


def test_a_local_folder_of_that_name_has_precedence(tmp_path, monkeypatch):
    (tmp_path / "songgen-mini").mkdir()
    shutil.copytree(
        find_checkpoint("songgen-mini/interleaving_A_V"),
        tmp_path / "songgen-mini" / "mixed_pro",
        ignore=shutil.ignore_patterns("*.safetensors"),
    )
    monkeypatch.chdir(tmp_path)

    config = SongGenConfig.from_pretrained("songgen-mini/mixed_pro")

    assert config.decoder.track_pattern == "interleaving_A_V"


def test_a_wrong_name_is_refused_before_the_hub_is_asked():
    expected = (
        "'mixed' comes with the package: expected interleaving_A_V, mixed_pro, masked or codec"
    )
    with pytest.raises(ValueError, match=expected):
        SongGenForConditionalGeneration.from_pretrained("songgen-mini/mixed")


@pytest.mark.parametrize("load", [load_pipeline, load_codec])
def test_a_name_that_the_hub_does_not_give_is_not_called_damaged(load):
    message = r"^cannot read nope/nope: .* \(\w+\); check the name, .* folder$"

    with pytest.raises(OSError, match=message):
        load("nope/nope")


def test_describing_a_name_that_the_hub_does_not_give_names_the_remedy(capsys):
    assert main(["info", "nope/nope"]) == 2

    assert "cannot read nope/nope: it is no folder here" in capsys.readouterr().err


def test_without_the_package_names_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(checkpoint_names, "_find", None)

    assert checkpoint_names.folder_of("songgen-mini/codec") == "songgen-mini/codec"


@pytest.mark.parametrize("name", [None, 3, "facebook/musicgen-small", "nowhere"])
def test_other_names_stay_as_they_are(name):
    assert checkpoint_names.folder_of(name) == name


def test_the_phoneme_recognizer_of_the_package_is_small_and_knows_all_phonemes(
    tmp_path, monkeypatch
):
    from songgen_hf.checkpoints.embedded import RECOGNIZER_NAME
    from songgen_hf.data.listening.phoneme_recognizer import PhonemeRecognizer
    from songgen_hf.data.listening.phonemes import PHONEMES

    folder = Path(find_checkpoint(RECOGNIZER_NAME))
    network = PhonemeRecognizer.from_pretrained(folder)

    assert network.config.phonemes == PHONEMES
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2.5e6
    monkeypatch.setattr("songgen_hf.checkpoints.embedded.EMBEDDED", tmp_path / "songgen-mini")
    with pytest.raises(ValueError, match="no phoneme recognizer comes.*evaluate judges"):
        find_checkpoint(RECOGNIZER_NAME)
