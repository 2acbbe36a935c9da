from dataclasses import fields as fields_of

import pytest
import yaml

from songgen_hf.training import precision
from songgen_hf.training.codec.options import CodecTrainingOptions
from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS, LORA_OPTIONS
from songgen_hf.training.masked.options import MASKED_OPTIONS
from songgen_hf.training.option_parsing import (
    EARLIER_NAMES,
    check_unchanged,
    dump_options,
    make_options,
    parse_options,
    recipe_names,
    resolved_values,
    stage_names,
)
from songgen_hf.training.options import FREE_ON_RESUME


def parse(*arguments):
    return parse_options(LANGUAGE_MODEL_OPTIONS, ["--output-dir", "out", *arguments])


def test_the_five_stages_of_the_paper_are_there():
    assert stage_names() == ["1", "1.5", "2a", "2b", "3"]


def test_later_sources_of_options_override_earlier_ones(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("learning_rate: 1e-3\nwarmup_steps: 7\n")

    model, data, _, training = parse(
        "--stage", "2a", "--config", str(config), "--warmup-steps", "9"
    )

    assert model.freeze == ["conditions"]  # the stage
    assert data.voice_dropout == pytest.approx(1 / 3)
    assert training.learning_rate == 1e-3  # the file
    assert training.warmup_steps == 9  # the flag


@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_without_its_instructions_gives_a_warning(monkeypatch, caplog, fast):
    monkeypatch.setattr(precision, "fast_bfloat16", lambda: fast)
    parse("--bf16", "true", "--use-cpu", "true")
    parse("--bf16", "false", "--use-cpu", "true")

    said = [text for text in caplog.messages if "no instructions for bfloat16" in text]
    assert said == [] if fast else len(said) == 1 and "say --bf16 false" in said[0]


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
        (["--text-dropout", "2"], "text_dropout is 2.0, expected 0 to 1; change --text-dropout"),
        (["--ema-decay", "1"], "the EMA needs 0 <= ema_decay < 1"),
        (["surplus"], "unknown option 'surplus'"),
    ],
)
def test_errors_of_wrong_flags_name_the_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse(*arguments)


def test_the_error_for_an_unknown_key_names_the_nearest_one(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("learning_rates: 1.0\n")

    with pytest.raises(ValueError, match="unknown option 'learning_rates'; did you mean learning_"):
        parse("--config", str(path))


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words"])
def test_a_yaml_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match="must map option names to values"):
        parse("--config", str(path))


def test_a_run_without_output_folder_is_refused():
    with pytest.raises(ValueError, match="no output_dir given"):
        parse_options(LANGUAGE_MODEL_OPTIONS, [])


def test_changed_options_are_refused_unless_they_change_no_number():
    saved = yaml.safe_load(dump_options(parse("--learning-rate", "1e-4")))

    def check(*arguments):
        now = resolved_values(parse(*arguments))
        check_unchanged(saved, now, free=FREE_ON_RESUME, run="run", remedy="start anew")

    check("--learning-rate", "1e-4", "--save-steps", "3")
    with pytest.raises(ValueError, match="learning_rate was 0.0001, now 0.0002"):
        check("--learning-rate", "2e-4")


EARLIER = [
    ("own_history", "scheduled_sampling", 0.4),
    ("own_codes", "scheduled_sampling", 0.4),
    ("sound_weight", "frame_label_weight", 0.2),
    ("alignment_weight", "guided_attention_weight", 0.3),
    ("alignment_layers", "guided_attention_layers", [1, 2]),
    ("optimiser", "optimizer", "muon"),
]


def value_of(options, name):
    (found,) = [getattr(part, name) for part in options if hasattr(part, name)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("types", [LANGUAGE_MODEL_OPTIONS, LORA_OPTIONS, MASKED_OPTIONS])
@pytest.mark.parametrize(("earlier", "name", "value"), EARLIER)
def test_earlier_names_of_options_are_accepted(types, earlier, name, value, tmp_path):
    words = [str(one) for one in (value if isinstance(value, list) else [value])]
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({earlier: value}))
    spellings = [[f"--{earlier}", *words], [f"--{earlier.replace('_', '-')}", *words]]
    spellings += [[f"--{earlier}={words[0]}", *words[1:]]] if len(words) == 1 else []
    spellings += [["--config", str(path)], [f"--{name.replace('_', '-')}", *words]]

    for arguments in spellings:
        options = parse_options(types, ["--output-dir", "out", *arguments])
        assert value_of(options, name) == value
    made = make_options(types, {"output_dir": "out", earlier: value})
    assert value_of(made, name) == value


def test_every_earlier_name_is_tested_and_none_is_in_use():
    assert {earlier: name for earlier, name, _ in EARLIER} == EARLIER_NAMES
    fields = {entry.name for kind in MASKED_OPTIONS + LORA_OPTIONS for entry in fields_of(kind)}
    assert not fields & EARLIER_NAMES.keys() and fields >= set(EARLIER_NAMES.values())


def test_an_earlier_name_is_unknown_where_its_successor_is():
    with pytest.raises(ValueError, match="unknown option 'own_history'"):
        parse_options((CodecTrainingOptions,), ["--own-history", "0.4"])


@pytest.mark.parametrize(("earlier", "name", "value"), EARLIER)
def test_a_run_resumes_with_options_that_were_resolved_under_earlier_names(earlier, name, value):
    options = make_options(MASKED_OPTIONS, {"output_dir": "out", name: value})
    now = resolved_values(options)
    saved = {earlier if key == name else key: stored for key, stored in now.items()}
    assert earlier in saved and name not in saved

    check_unchanged(saved, now, free=FREE_ON_RESUME, run="run", remedy="start anew")


def test_options_can_be_made_in_python():
    _, data, _, training = make_options(
        LANGUAGE_MODEL_OPTIONS, {"output_dir": "out", "dataset": "songs", "max_steps": 3}
    )

    assert (data.dataset, training.max_steps) == ("songs", 3)


def test_a_config_that_is_neither_a_recipe_nor_a_file_is_named():
    with pytest.raises(ValueError, match="--config is 'song-minix': expected .* song-mini"):
        parse("--config", "song-minix")


def test_a_recipe_of_the_package_is_named_without_its_path():
    (options,) = parse_options(
        (CodecTrainingOptions,), ["--config", "codec-mini", "--data", "d", "--out", "o"]
    )

    assert recipe_names() == ["codec-mini", "masked-mini", "song-mini", "teacher-mini"]
    assert options.preset == "mini" and options.codebook_counts == [1, 2, 3, 4, 6, 8, 8, 8]
