"""The commands ``prepare codes`` and ``train``, from songs to a model and an adapter."""

import json

import pytest

from songgen_hf.cli import main
from songgen_hf.cli.train import KINDS
from tests.data.preparation.test_codes import song

TINY_RUN = (
    "--max-steps 2 --warmup-steps 0 --per-device-train-batch-size 2 --gradient-accumulation-steps 1"
    " --save-strategy no --disable-tqdm true"
).split()


@pytest.fixture
def codes_folder(tiny_checkpoint, tmp_path) -> str:
    """Songs encoded with a tiny model's codec by the command."""
    import datasets

    rows = datasets.Dataset.from_list([song(number) for number in range(4)])
    rows.to_parquet(tmp_path / "songs" / "train.parquet")
    command = ["prepare", "codes", str(tmp_path / "songs"), str(tmp_path / "codes"), "--quiet"]

    assert main([*command, "--model", tiny_checkpoint("mixed")]) == 0
    return str(tmp_path / "codes")


@pytest.mark.slow
def test_the_commands_turn_songs_into_codes_and_codes_into_a_model(
    codes_folder, tiny_checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    shared = ["--model", tiny_checkpoint("mixed"), "--dataset", codes_folder, *TINY_RUN]

    model = ["train", "--stage", "2a", *shared, "--output-dir", str(tmp_path / "model")]
    assert main(model) == 0
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert f"{tmp_path / 'model'}: trained" in capsys.readouterr().out


@pytest.mark.slow
def test_prepare_and_train_print_one_json_object_each(
    codes_folder, tiny_checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    model, songs = tiny_checkpoint("mixed"), str(tmp_path / "songs")
    capsys.readouterr()

    assert main(["prepare", "codes", songs, codes_folder, "--model", model, "--json"]) == 0
    prepared = json.loads(capsys.readouterr().out)
    run = ["--model", model, "--dataset", codes_folder, *TINY_RUN, "--logging-steps", "1"]
    assert main(["train", "lm", *run, "--output-dir", str(tmp_path / "model"), "--json"]) == 0
    captured = capsys.readouterr()
    trained = json.loads(captured.out)

    assert prepared == {"codes": codes_folder, "model": model, "songs": {"train": 4}}
    assert (trained["kind"], trained["written"]) == ("lm", str(tmp_path / "model"))
    assert trained["metrics"]["train_loss"] > 0 and trained["metrics"]["epoch"] == 1
    assert "'loss'" in captured.err and "trained" in captured.err


@pytest.mark.slow
def test_codes_of_another_codec_are_refused(codes_folder, tiny_checkpoint, tmp_path, capsys):
    other = tiny_checkpoint("mixed_pro")  # its codec has the same weights
    changed = tmp_path / "codes" / "codes.json"
    changed.write_text(changed.read_text().replace('"frame_rate": 50.0', '"frame_rate": 25.0'))
    out = ["--output-dir", str(tmp_path / "out")]

    assert main(["train", "--model", other, "--dataset", codes_folder, *TINY_RUN, *out]) == 2
    assert "made by another codec than the model's: frame_rate is 25.0" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_train_lora_writes_an_adapter(
    songs_folder, tiny_checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    shared = ["--model", tiny_checkpoint("mixed"), "--dataset", songs_folder, *TINY_RUN]

    assert main(["train", "lora", *shared, "--output-dir", str(tmp_path / "adapter")]) == 0
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "adapter" / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "everything"], "unknown kind of training: got 'everything'"),
        (["train", "--output-dir", "x"], "pass either --model or --preset"),
        (["train", "--output-dir", "x", "--preset", "mini"], "no dataset given"),
        (["train", "lora", "--lora-ranks", "3"], "did you mean lora_rank?"),
    ],
)
def test_wrong_arguments_give_one_line_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2

    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]


@pytest.mark.parametrize("kind", ["lm", "lora"])
def test_help_lists_the_flags_of_a_kind(kind, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", kind, "--help"])

    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--joint-dropout" in text or "--joint_dropout" in text
    assert ("--lora_rank" in text) == (kind == "lora")


def test_help_without_a_kind_lists_the_kinds(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])

    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(f"({kind}" in text for kind in KINDS if kind != "teacher")
    assert "songgen-hf train lora --help" in " ".join(text.split())
