"""songgen-hf export: one model for the Hub, several with one codec."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor

from songgen_hf.cli import main
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.modeling_xcodec import XCodecModel


@pytest.fixture
def trained(tmp_path, tiny_checkpoint):
    """Checkpoints of two patterns that hold one codec."""
    mixed, dual = tiny_checkpoint("mixed_pro"), tmp_path / "dual"
    shutil.copytree(tiny_checkpoint("interleaving_A_V"), dual)
    codec = {
        key: weight
        for key, weight in load_file(f"{mixed}/model.safetensors").items()
        if key.startswith("audio_encoder.")
    }
    weights = load_file(dual / "model.safetensors")
    save_file(weights | codec, dual / "model.safetensors", metadata={"format": "pt"})
    return mixed, str(dual)


@pytest.mark.slow
def test_two_models_are_written_with_one_codec(tmp_path, trained, capsys):
    out = tmp_path / "songgen-mini"

    status = main(
        ["export", *trained, str(out), "--share-codec"]
        + ["--dtype", "bfloat16", "--load-dtype", "float32"]
    )

    assert status == 0, capsys.readouterr().err
    folders = {path.name for path in out.iterdir()}
    assert {"codec", "interleaving_A_V", "mixed_pro"} <= folders
    assert "MB" in capsys.readouterr().out
    for pattern in ("mixed_pro", "interleaving_A_V"):
        loaded = SongGenForConditionalGeneration.from_pretrained(out / pattern)
        assert loaded.config.decoder.track_pattern == pattern
        assert str(loaded.dtype) == "torch.float32"


@pytest.mark.slow
def test_a_model_that_shares_its_codec_is_exported_whole(tmp_path, trained):
    main(["export", *trained, str(tmp_path / "both"), "--share-codec"])

    status = main(
        ["export", str(tmp_path / "both" / "mixed_pro"), str(tmp_path / "one"), "--remote-code"]
    )

    assert status == 0
    keys = load_file(tmp_path / "one" / "model.safetensors").keys()
    assert any(key.startswith("audio_encoder.") for key in keys)
    assert "auto_map" in json.loads((tmp_path / "one" / "config.json").read_text())


@pytest.mark.slow
def test_the_second_model_generates_under_its_short_name(tmp_path, trained, monkeypatch):
    main(["export", *trained, str(tmp_path / "both"), "--share-codec"])
    monkeypatch.setattr("songgen_hf.checkpoints.embedded.EMBEDDED", tmp_path / "both")

    status = main(
        ["generate", "folk", "--lyrics", "la", "--model", "songgen-mini/interleaving_A_V"]
        + ["--max-seconds", "0.2", "--device", "cpu", "--quiet", "--out", str(tmp_path / "a.wav")]
    )

    assert status == 0
    assert json.loads((tmp_path / "a.json").read_text())["track_pattern"] == "interleaving_A_V"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "got 2 models for one folder: export them one by one, or together with --share-codec"),
        (["--share-codec", "--remote-code"], "--remote-code is for one model"),
        (["--earlier", "both"], "--earlier is for models that share their codec: add"),
        (["--share-codec", "--earlier", "both"], "both has no mixed_pro/model.safetensors.index"),
    ],
)
def test_contradicting_flags_are_an_error_of_one_line(tmp_path, trained, capsys, flags, message):
    assert main(["export", *trained, str(tmp_path / "out"), *flags]) == 2

    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_later_model_is_written_beside_the_weights_it_kept(tmp_path, trained):
    main(["export", *trained, str(tmp_path / "both"), "--share-codec"])
    later = SongGenForConditionalGeneration.from_pretrained(trained[0])
    with torch.no_grad():
        later.decoder.lm_heads.weight += 1
    later.save_pretrained(tmp_path / "later")
    AutoProcessor.from_pretrained(trained[0]).save_pretrained(tmp_path / "later")

    flags = ["--share-codec", "--earlier", str(tmp_path / "both")]
    assert main(["export", str(tmp_path / "later"), str(tmp_path / "next"), *flags]) == 0

    folder = tmp_path / "next" / "mixed_pro"
    assert load_file(folder / "language_model_02.safetensors").keys() == {"decoder.lm_heads.weight"}
    loaded = SongGenForConditionalGeneration.from_pretrained(folder)
    assert torch.equal(loaded.decoder.lm_heads.weight, later.decoder.lm_heads.weight)


@pytest.mark.slow
def test_two_models_of_one_pattern_are_refused(tmp_path, trained, capsys):
    assert main(["export", trained[0], trained[0], str(tmp_path / "out"), "--share-codec"]) == 2

    assert "two of the models have the track pattern mixed_pro" in capsys.readouterr().err


@pytest.mark.slow
def test_a_codec_is_exported_by_itself_and_rounding_it_twice_changes_nothing(tmp_path, trained):
    main(["export", *trained, str(tmp_path / "both"), "--share-codec"])
    small = ["--dtype", "bfloat16", "--load-dtype", "float32"]

    assert main(["export", str(tmp_path / "both" / "codec"), str(tmp_path / "one"), *small]) == 0
    assert main(["export", str(tmp_path / "one"), str(tmp_path / "two"), *small]) == 0

    once, twice = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[key], twice[key]) for key in once)
    assert XCodecModel.from_pretrained(tmp_path / "one").dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--remote-code", "--share-codec"])
def test_flags_for_song_models_are_refused_for_a_codec(tmp_path, trained, capsys, flag):
    main(["export", *trained, str(tmp_path / "both"), "--share-codec"])

    assert main(["export", str(tmp_path / "both" / "codec"), str(tmp_path / "out"), flag]) == 2

    assert f"{flag} is for song models" in capsys.readouterr().err
