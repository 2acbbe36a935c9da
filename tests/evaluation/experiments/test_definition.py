"""Definitions of experiments: those of the package, and mistakes in those of users."""

import pytest

from songgen_hf.evaluation.experiments.definition import (
    LOWER_IS_BETTER,
    experiment_names,
    read_experiment,
)
from songgen_hf.evaluation.protocol.options import AutoregressiveSetting, MaskedSetting
from songgen_hf.modeling.patterns import SONGGEN_PATTERNS
from songgen_hf.training.kinds import options_of
from songgen_hf.training.option_parsing import make_options

GOOD = "title: T\nmirrors: M\nvariants: {a: {seed: 1}, b: {}}\n"


@pytest.mark.parametrize("name", experiment_names())
def test_the_options_of_every_training_are_known_and_differ(name, tmp_path):
    experiment = read_experiment(name)
    trained = [key for key, variant in experiment.variants.items() if variant.model_of is None]
    made = []
    for key in trained:
        values = experiment.training_values(key, experiment.output_values(tmp_path))
        options = make_options(options_of(experiment.kind), values)
        pieces = experiment.variants[key].lyrics_pieces
        made.append(repr([pieces, *(vars(each) for each in options)]))

    assert len(set(made)) == len(trained) >= 1
    assert experiment.mirrors and experiment.claims


@pytest.mark.parametrize("name", experiment_names())
def test_the_settings_of_an_experiment_can_be_read(name):
    experiment = read_experiment(name)
    kind = MaskedSetting if experiment.kind == "masked" else AutoregressiveSetting
    read = [str(kind.parse(variant.setting)) for variant in experiment.variants.values()]

    sampled = [variant.setting for variant in experiment.variants.values() if variant.setting]
    assert len(set(read)) >= len(set(sampled))


@pytest.mark.parametrize("name", experiment_names())
def test_trainings_of_an_experiment_have_equal_budgets(name):
    experiment = read_experiment(name)
    budgets = {"max_steps", "per_device_train_batch_size", "learning_rate", "seed"}

    assert all(not budgets & variant.train.keys() for variant in experiment.variants.values())


def test_the_patterns_are_those_of_the_model():
    variants = read_experiment("patterns").variants

    assert [variant.train["track_pattern"] for variant in variants.values()] == [*SONGGEN_PATTERNS]


def test_later_sources_win_and_overrides_are_joined(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "title: T\nmirrors: M\nrecipe: song-mini\n"
        "train: {max_steps: 5, seed: 1, config_overrides: [a=1]}\n"
        "variants: {x: {seed: 4, config_overrides: [c=3]}}\n"
    )

    values = read_experiment(str(path)).training_values(
        "x", {"max_steps": 7, "seed": 2, "config_overrides": ["b=2"]}
    )

    assert values["max_steps"] == 7 and values["seed"] == 4
    assert values["config_overrides"] == ["a=1", "b=2", "c=3"]
    assert values["optimizer"] == "muon"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "colour: red\n", "unexpected keyword argument 'colour'"),
        ("title: T\nmirrors: M\n", "is not an experiment: 'variants'; expected the keys title"),
        (GOOD + "kind: lora\n", "unknown kind 'lora', expected one of lm, masked, codec"),
        (
            GOOD + "claims: [{better: a, worse: c, metric: loss, paper: P}]\n",
            "unknown variant 'c', expected one of a, b",
        ),
        (
            GOOD + "claims: [{better: a, worse: b, metric: beauty, paper: P}]\n",
            "unknown metric 'beauty', expected one of loss",
        ),
    ],
)
def test_a_wrong_definition_is_refused(text, message, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match="wrong.yaml.*" + message):
        read_experiment(str(path))


def test_an_unknown_experiment_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown experiment: got 'nothing', expected one of co"):
        read_experiment("nothing")


def test_every_metric_of_a_claim_has_a_heading():
    from songgen_hf.evaluation.experiments.results import COLUMNS

    assert set(LOWER_IS_BETTER) == set(COLUMNS)
