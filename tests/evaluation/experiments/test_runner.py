"""Experiments on tiny models: nothing is done twice, and a killed training goes on."""

import json

import pytest

from songgen_hf.cli import main
from songgen_hf.data.packed import INDEX_FILE
from songgen_hf.evaluation.experiments.definition import read_experiment
from songgen_hf.evaluation.experiments.options import ExperimentOptions
from songgen_hf.evaluation.experiments.runner import VariantRun, learned_pieces, run_experiment
from songgen_hf.training import kinds
from songgen_hf.training.auxiliary.guided_attention import tokens_of_words
from songgen_hf.training.language_model.initialization import load_model
from songgen_hf.training.options import ModelOptions

from ...training.conftest import interrupted_after

TWO = """\
title: Two patterns
mirrors: a table
train: {{model: {model}, max_steps: 2, per_device_train_batch_size: 2, save_steps: 1,
  voice_column: null, disable_tqdm: true, guided_attention_weight: 0.1}}
variants:
  one: {{track_pattern: mixed}}
  two: {{track_pattern: mixed_pro}}
claims:
  - {{better: two, worse: one, metric: loss, paper: 1 and 2}}
"""


@pytest.fixture
def definition(tmp_path, tiny_checkpoint):
    path = tmp_path / "two.yaml"
    path.write_text(TWO.format(model=tiny_checkpoint("mixed")))
    return path


@pytest.fixture
def trained(monkeypatch):
    """The seeds of the trainings that were started, in their order."""
    started, train = [], kinds.train

    def recording(kind, options):
        started.append(options[-1].seed)
        return train(kind, options)

    monkeypatch.setattr("songgen_hf.evaluation.experiments.runner.train", recording)
    return started


@pytest.mark.slow
def test_nothing_finished_is_repeated_and_a_killed_training_goes_on(
    definition, trained, annotated_folder, tmp_path
):
    page = tmp_path / "page.md"
    page.write_text("# Experiments\n")
    options = {
        "name": str(definition),
        "output": tmp_path / "out",
        "dataset": annotated_folder,
        "songs": 2,
        "page": page,
    }

    with interrupted_after(1):
        run_experiment(ExperimentOptions(**options))
    assert trained == [0] and "##" not in page.read_text()
    report = run_experiment(ExperimentOptions(**options))
    assert trained == [0, 0, 0]
    resumed = next((tmp_path / "out" / "runs").glob("*/trainer_state.json"))
    assert json.loads(resumed.read_text())["global_step"] == 2
    again = run_experiment(ExperimentOptions(**options, variants=("two",), seeds=(0, 7)))

    assert trained == [0, 0, 0, 7]
    assert not list((tmp_path / "out").rglob("checkpoint-*"))
    assert {name: row["seeds"] for name, row in report["variants"].items()} == {
        "one": [0],
        "two": [0],
    }
    assert again["variants"]["two"]["seeds"] == [0, 7]
    assert len(report["claims"]) == 1 and "## Two patterns" in page.read_text()
    assert report["budget"]["steps"] == 2


def test_an_unknown_variant_and_a_missing_page_are_errors_before_any_training(
    definition, trained, tmp_path
):
    with pytest.raises(ValueError, match="two has no variant 'three': expected some of one, two"):
        run_experiment(ExperimentOptions(name=str(definition), variants=("three",)))
    with pytest.raises(FileNotFoundError):
        run_experiment(ExperimentOptions(name=str(definition), page=tmp_path / "none.md"))

    assert trained == []


def test_the_folder_of_a_training_follows_from_what_decides_its_result(definition):
    experiment = read_experiment(str(definition))
    options = ExperimentOptions(name=str(definition))

    def folder(name="one", seed=0, **changes):
        return VariantRun(experiment, name, seed, changes, options, print).folder

    assert folder() == folder(save_steps=9) == folder(text_dropout=0.0, lyrics_tokenizer=None)
    others = [folder("two"), folder(seed=1), folder(max_steps=3), folder(learning_rate=1.0)]
    assert len({folder(), *others}) == 5


def test_the_scores_are_those_of_the_songs_and_of_the_judges(definition, tmp_path):
    experiment = read_experiment(str(definition))

    def scores(**options):
        given = ExperimentOptions(name=str(definition), **options)
        return VariantRun(experiment, "one", 0, {}, given, print).scores_file

    judges, copied, others = (tmp_path / name for name in ("judges", "copied", "others"))
    for folder, content in ((judges, "a"), (copied, "a"), (others, "b")):
        folder.mkdir()
        (folder / "judges.json").write_text(content)
    judged = scores(judges=judges, corpus=tmp_path)
    assert judged == scores(judges=copied, corpus=tmp_path)
    assert len({judged, scores(), scores(songs=3), scores(judges=others, corpus=tmp_path)}) == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"songs": 0}, "got 0 songs, 24 prompts and 1 seeds"),
        ({"seeds": (1, 1)}, r"got seeds \(1, 1\), expected each of them once"),
        ({"judges": "x"}, "from a corpus: name its folder with --corpus"),
    ],
)
def test_options_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ExperimentOptions(name="patterns", **wrong)


def test_the_command_lists_the_experiments(capsys):
    assert main(["experiment", "--list"]) == 0

    text = capsys.readouterr().out
    assert "patterns: Token patterns (mixed, mixed_pro, parallel_std" in text
    assert all(line.count("; mirrors ") == 1 for line in text.strip().splitlines())


@pytest.mark.slow
def test_pieces_of_lyrics_are_learned_once_and_given_to_the_model(annotated_folder, tmp_path):
    folder = learned_pieces(annotated_folder, 150, tmp_path)
    made = folder.stat().st_mtime_ns

    assert learned_pieces(annotated_folder, 150, tmp_path) == folder
    assert folder.stat().st_mtime_ns == made
    model, processor = load_model(ModelOptions(preset="mini", lyrics_tokenizer=str(folder)))
    size = model.conditioner.lyrics_embedding.num_embeddings
    assert size == len(processor.lyrics_tokenizer) <= 150
    words = tokens_of_words(processor, "Stone, river")
    assert [word for word, _ in words] == ["stone", "river"]
    assert all(tokens for _, tokens in words)


def test_pieces_are_not_learned_from_packed_codes(tmp_path):
    (tmp_path / INDEX_FILE).write_text("{}")

    with pytest.raises(ValueError, match="holds packed codes, whose lyrics are ids"):
        learned_pieces(str(tmp_path), 150, tmp_path)
