"""songgen-hf generate with masked models: steps, edits of songs, and the calls that are refused."""

import json

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="needs the extra diffusers")

import songgen_hf.checkpoints.embedded
from songgen_hf.cli import main

from ..tools.tiny_checkpoint import tiny_masked

__all__ = ["tiny_masked"]


@pytest.fixture(scope="module")
def masked(tiny_masked, tmp_path_factory):
    """Folder of a tiny masked model."""
    folder = tmp_path_factory.mktemp("masked") / "tiny"
    tiny_masked().save_pretrained(folder)
    return str(folder)


def generate(out, model, *flags):
    """Exit status of one call."""
    arguments = ["generate", "folk", "--lyrics", "la la", "--seed", "3", "--device", "cpu"]
    arguments += ["--model", model, "--quiet", "--out", str(out)]
    return main([*arguments, *map(str, flags)])


def codes_of(path):
    with np.load(path) as file:
        return file["codes"]


@pytest.mark.slow
def test_a_song_is_generated_saved_and_edited(masked, tmp_path):
    few = ["--steps", "2", "--save-codes"]
    assert generate(tmp_path / "a.wav", masked, *few, "--seconds", "0.3", "--stems") == 0
    before = codes_of(tmp_path / "a.codes.npz")

    status = generate(
        tmp_path / "b.wav",
        masked,
        *few,
        *("--mode", "masked", "--song", tmp_path / "a.codes.npz", "--region", "0.1", "end"),
        *(
            "--keep-track",
            "accompaniment",
            "--guidance-scale",
            "text=1:2.5,lyrics=2",
            "--seed",
            "4",
        ),
        *("--guidance-schedule", "cosine", "--negative-text", "drums"),
    )

    after = codes_of(tmp_path / "b.codes.npz")
    assert status == 0
    assert before.shape == (2, 4, 15) and before.dtype == np.int16
    assert np.array_equal(after[0], before[0]) and np.array_equal(after[1, :, :5], before[1, :, :5])
    assert (after[1, :, 5:] != before[1, :, 5:]).any()
    facts = json.loads((tmp_path / "b.json").read_text())
    assert (facts["mode"], facts["trained"], facts["track_pattern"]) == ("masked", True, None)
    assert facts["settings"]["song"] == ["a.codes.npz"]
    assert facts["settings"]["guidance_scale"] == {"text": [1.0, 2.5], "lyrics": 2.0}
    assert facts["settings"]["guidance_schedule"] == "cosine"
    assert facts["negative_text"] == "drums"
    assert facts["settings"]["regions"] == [[0.1, None]]
    assert facts["provenance"]["ai_generated"] and facts["provenance"]["model"] == "tiny"
    assert {path.name for path in tmp_path.glob("a.*")} == {
        *("a.wav", "a.vocal.wav", "a.accompaniment.wav", "a.codes.npz", "a.json")
    }


@pytest.mark.slow
def test_the_fine_codebooks_of_an_autoregressive_song_are_refined(
    masked, tiny_checkpoint, tmp_path
):
    model = tiny_checkpoint("parallel_std")
    sung = generate(tmp_path / "a.wav", model, "--max-seconds", "0.3", "--save-codes")

    edit = ["--song", tmp_path / "a.codes.npz", "--keep-codebooks", "2", "--steps", "2"]
    refined = generate(tmp_path / "b.wav", masked, *edit, "--save-codes", "--greedy")

    assert (sung, refined) == (0, 0)
    before, after = codes_of(tmp_path / "a.codes.npz"), codes_of(tmp_path / "b.codes.npz")
    kept = [track[:, (track < 1024).all(axis=0)][:2, : after.shape[-1]] for track in before]
    assert np.array_equal(after[:, :2], np.stack(kept))


@pytest.mark.slow
def test_a_masked_model_continues_sound_files(masked, tmp_path):
    assert generate(tmp_path / "a.wav", masked, "--seconds", "0.3", "--steps", "1", "--stems") == 0

    tracks = [tmp_path / "a.accompaniment.wav", tmp_path / "a.vocal.wav"]
    flags = ["--seconds", "0.2", "--steps", "1", "--save-codes"]
    for name, beginning in (("two", tracks), ("one", [tmp_path / "a.wav"])):
        song = tmp_path / f"{name}.wav"
        assert generate(song, masked, "--prompt-audio", *beginning, *flags) == 0
        codes = codes_of(song.with_suffix(".codes.npz"))
        assert codes.shape[-1] == pytest.approx(25, abs=1)


@pytest.mark.slow
def test_flags_of_the_other_kind_of_model_are_refused(masked, tiny_checkpoint, tmp_path, capsys):
    other = tiny_checkpoint("parallel_std")
    for model, flags, message in (
        (other, ["--steps", "4"], "--steps is for masked models: add --mode masked"),
        (other, ["--keep-track", "vocal"], "keep_track needs a song to edit"),
        (masked, ["--takes", "2"], "--takes is for autoregressive models"),
        (other, ["--guidance-scale", "words=2"], "guidance_scale has a scale for 'words'"),
        (other, ["--mode", "masked"], "an autoregressive one; train one on it"),
        (masked, ["--mode", "autoregressive"], "got a masked model; leave mode (--mode) out"),
        (masked, ["--top-k", "5"], "--top-k is for autoregressive models"),
        (masked, ["--song", *"abc"], "--song takes 1 file (the mixture) or 2 files (tracks) for"),
        (masked, ["--keep-codebooks", "2"], "keep_codebooks needs a song"),
    ):
        assert generate(tmp_path / "x.wav", model, *flags) == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_masked_mode_without_a_masked_model_is_an_error_of_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(songgen_hf.checkpoints.embedded, "EMBEDDED", tmp_path / "none")

    status = main(["generate", "folk", "--mode", "masked", "--out", str(tmp_path / "x.wav")])

    assert status == 2
    error = capsys.readouterr().err
    assert "no masked model comes with this installation" in error and error.count("\n") == 1


@pytest.mark.slow
def test_a_masked_model_is_exported_beside_its_song_model(masked, tiny_checkpoint, tmp_path):
    model = tiny_checkpoint("parallel_std")

    status = main(["export", masked, str(tmp_path / "out"), "--beside", model])

    assert status == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["song_model"]
    sung = generate(tmp_path / "a.wav", str(tmp_path / "out"), "--steps", "1", "--seconds", "0.1")
    assert sung == 0


@pytest.mark.slow
@pytest.mark.parametrize("beside", [True, False])
def test_an_export_does_not_name_the_folder_of_its_model(masked, tiny_checkpoint, tmp_path, beside):
    flags = ["--beside", tiny_checkpoint("parallel_std")] if beside else []

    assert main(["export", masked, str(tmp_path / "out"), *flags]) == 0

    texts = {
        p: p.read_text() for p in (tmp_path / "out").rglob("*") if p.suffix in (".json", ".md")
    }
    assert len(texts) > 4 and not any(masked in text for text in texts.values())


@pytest.mark.slow
def test_info_describes_a_masked_model(masked, capsys):
    assert main(["info", masked, "--json"]) == 0

    facts = json.loads(capsys.readouterr().out)
    assert (facts["mode"], facts["tracks"], facts["codebooks"]) == ("masked", 2, 4)
    assert (facts["head"], facts["schedule"], facts["choice_temperature"]) == (
        "softmax",
        "circle",
        4.0,
    )
