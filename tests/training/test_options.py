import pytest
import yaml

from songgen_hf.training.options import (
    LANGUAGE_MODEL_OPTIONS,
    check_unchanged,
    dump_options,
    make_options,
    parse_options,
    recipe_names,
    resolved_values,
    stage_names,
)


def parse(*arguments):
    return parse_options(LANGUAGE_MODEL_OPTIONS, ["--output-dir", "out", *arguments])


def test_the_five_stages_of_the_paper_are_there():
    assert stage_names() == ["1", "1.5", "2a", "2b", "3"]


def test_later_sources_win(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("learning_rate: 1e-3\nwarmup_steps: 7\n")

    model, data, _, training = parse(
        "--stage", "2a", "--config", str(config), "--warmup-steps", "9"
    )

    assert model.freeze == ["conditions"]  # the stage
    assert data.voice_dropout == pytest.approx(1 / 3)
    assert training.learning_rate == 1e-3  # the file
    assert training.warmup_steps == 9  # the flag


@pytest.mark.parametrize("stage", stage_names())
def test_resolved_options_read_back_are_the_same_options(tmp_path, stage):
    options = parse("--stage", stage, "--model", "m", "--learning-rate", "3e-4", "--seed", "5")
    path = tmp_path / "training.yaml"
    path.write_text(dump_options(options))

    again = parse_options(LANGUAGE_MODEL_OPTIONS, ["--config", str(path)])

    assert resolved_values(again) == resolved_values(options)
    assert again[3].learning_rate == 3e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stage", "4"], "unknown stage: got '4', expected one of 1, 1.5, 2a, 2b, 3"),
        (["--learnin-rate", "1"], "unknown option 'learnin_rate'; did you mean learning_rate?"),
        (["--text-dropout", "2"], r"text_dropout is a probability in \[0, 1\]: got 2.0"),
        (["--ema-decay", "1"], "the EMA needs 0 <= ema_decay < 1"),
        (["surplus"], "unknown option 'surplus'"),
    ],
)
def test_wrong_flags_are_told_with_the_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse(*arguments)


def test_an_unknown_key_of_a_file_is_told_with_the_nearest_one(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("learning_rates: 1.0\n")

    with pytest.raises(ValueError, match="unknown option 'learning_rates'; did you mean learning_"):
        parse("--config", str(path))


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match="must map option names to values"):
        parse("--config", str(path))


def test_a_run_without_folder_is_refused():
    with pytest.raises(ValueError, match="no output_dir given"):
        parse_options(LANGUAGE_MODEL_OPTIONS, [])


def test_changed_options_are_named_and_harmless_ones_pass():
    saved = yaml.safe_load(dump_options(parse("--learning-rate", "1e-4")))

    def check(*arguments):
        check_unchanged(saved, resolved_values(parse(*arguments)), run="run", remedy="start anew")

    check("--learning-rate", "1e-4", "--save-steps", "3")
    with pytest.raises(ValueError, match="learning_rate was 0.0001, now 0.0002"):
        check("--learning-rate", "2e-4")


def test_options_can_be_made_in_python():
    _, data, _, training = make_options(
        LANGUAGE_MODEL_OPTIONS, {"output_dir": "out", "dataset": "songs", "max_steps": 3}
    )

    assert (data.dataset, training.max_steps) == ("songs", 3)


def test_a_recipe_of_the_package_is_named_without_its_path():
    from songgen_hf.training.codec.options import CodecTrainingOptions

    (options,) = parse_options(
        (CodecTrainingOptions,), ["--config", "codec-mini", "--data", "d", "--out", "o"]
    )

    assert recipe_names() == ["codec-mini", "masked-mini", "song-mini", "teacher-mini"]
    assert options.preset == "mini" and options.codebook_counts == [1, 2, 3, 4, 6, 8, 8, 8]
