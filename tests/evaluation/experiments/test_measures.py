"""Scores of masked models, of generated songs and of codecs, on tiny models."""

import pytest

from songgen_hf.cli import main
from songgen_hf.evaluation.experiments.measures import codec_parts, generated_parts, masked_parts
from songgen_hf.evaluation.experiments.options import ExperimentOptions
from songgen_hf.evaluation.experiments.runner import run_experiment
from songgen_hf.training.options import DataOptions

from ...tools.evaluation_cases import write_corpus
from ...tools.judge_cases import tiny_judges
from ...training.conftest import build_tiny

MASKED = """\
title: Settings of one model
mirrors: a table
kind: masked
train: {{model: {model}, max_steps: 2, per_device_train_batch_size: 2, voice_column: null,
  disable_tqdm: true}}
variants:
  few: {{setting: passes=2}}
  more: {{model_of: few, setting: passes=3}}
claims:
  - {{better: more, worse: few, metric: masked_loss, paper: equal}}
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A folder with a corpus and judges."""
    folder = tmp_path_factory.mktemp("material")
    write_corpus(folder / "corpus", train=3, validation=2, test=8)
    tiny_judges().save(folder / "judges")
    return folder


@pytest.mark.slow
def test_variants_of_one_masked_model_share_its_training(
    tiny_checkpoint, annotated_folder, tmp_path
):
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    path = tmp_path / "settings.yaml"
    path.write_text(MASKED.format(model=tiny_checkpoint("interleaving_A_V")))
    options = ExperimentOptions(
        name=str(path), output=tmp_path / "out", dataset=annotated_folder, songs=2
    )

    report = run_experiment(options)
    again = masked_parts(
        next((tmp_path / "out" / "runs").iterdir()),
        DataOptions(dataset=annotated_folder, voice_column=None),
        options,
    )

    assert len(list((tmp_path / "out" / "runs").iterdir())) == 1
    few, more = (row["scores"]["masked_loss"] for row in report["variants"].values())
    assert few == more and 5 < few < 9  # log(1024) is 6.9
    assert report["claims"][0]["verdict"] == "not decided"
    pooled = sum(above for above, _ in again["masked_loss"]) / sum(
        below for _, below in again["masked_loss"]
    )
    assert pooled == pytest.approx(few, abs=1e-4)
    assert all(below <= 10 * 2 * 3 for _, below in again["masked_loss"])  # codes of a song


@pytest.mark.slow
def test_a_codec_is_scored_on_songs_of_a_corpus(material, tmp_path):
    model, _ = build_tiny("mixed")
    model.audio_encoder.save_pretrained(tmp_path)
    options = ExperimentOptions(corpus=material / "corpus", songs=2, judges=material / "judges")

    parts = codec_parts(tmp_path, options)

    assert {"mel_distance", "mel_distance_vocal", "si_sdr", "per"} <= parts.keys()
    assert all(len(pairs) == 2 for pairs in parts.values())
    assert all(above > 0 and below == 1 for above, below in parts["mel_distance"])
    with pytest.raises(ValueError, match="name its folder with --corpus"):
        codec_parts(tmp_path, ExperimentOptions())


@pytest.mark.slow
def test_generated_songs_are_scored_by_the_judges(material, tiny_singer, tiny_processor, tmp_path):
    tiny_singer("interleaving_A_V").save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    prompts = ["--out", str(material / "prompts.json"), "--count", "2"]
    assert main(["evaluate", "prompts", str(material / "corpus"), *prompts]) == 0
    options = ExperimentOptions(
        output=tmp_path,
        corpus=material / "corpus",
        judges=material / "judges",
        prompts_file=material / "prompts.json",
        prompts=2,
        max_seconds=0.2,
    )
    lines: list[str] = []

    parts = generated_parts("lm", tmp_path / "model", "guidance=2", options, lines.append)

    assert {"per", "voice_match", "tempo", "gender"} <= parts.keys()
    assert all(len(pairs) == 2 for pairs in parts.values())
    assert all(below > 0 for _, below in parts["per"])
    assert len(lines) == 1 and "guidance 2" in lines[0]
