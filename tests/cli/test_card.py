"""songgen-hf card, and the cards that export writes."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoProcessor

from songgen_hf import SongGenForConditionalGeneration, default_checkpoint
from songgen_hf.checkpoints.digests import weights_digest
from songgen_hf.checkpoints.embedded import (
    EMBEDDED,
    EMBEDDED_PATTERNS,
    MASKED_CHECKPOINT,
    find_checkpoint,
)
from songgen_hf.cli import main
from songgen_hf.evaluation.protocol.report import card_results, describe_checkpoint
from songgen_hf.publishing.cards import (
    TEMPLATE,
    facts_of,
    is_replaceable,
    render_adapter_card,
    render_card,
)
from songgen_hf.publishing.export import export

REPORT = Path(__file__).parents[2] / "docs" / "songgen-mini.json"
MASKED_REPORT = REPORT.with_name("masked.json")
SCORES = {"per": 0.5, "per_mixture": 0.6, "gender": 0.75, "fad": 1.5}


@pytest.fixture
def folder(tmp_path, tiny_checkpoint):
    """A checkpoint without a card."""
    copy = tmp_path / "my-model"
    shutil.copytree(tiny_checkpoint("mixed_pro"), copy)
    (copy / "README.md").unlink(missing_ok=True)
    return copy


@pytest.fixture
def report(tmp_path, folder):
    """Report of an evaluation of that checkpoint."""
    rows = [
        {
            "checkpoint": "mixed_pro",
            "kind": kind,
            "headline": kind == "sung",
            "guidance": 2.0 if kind == "sung" else None,
            "voice": True if kind == "sung" else None,
            "seeds": [0, 1],
            "songs": 200,
            "scores": {name: value + offset for name, value in SCORES.items()},
            "intervals": {name: [0.1, 0.9] for name in SCORES},
        }
        for offset, kind in enumerate(["sung", "untrained", "true", "codec"])
    ]
    model = SongGenForConditionalGeneration.from_pretrained(folder)
    entry = describe_checkpoint(weights_digest(model), rows, has_vocal_track=False)
    headline = {"guidance": 2.0, "voice": True}
    protocol = {"prompts": 100, "seeds": [0, 1], "headline": headline}
    path = tmp_path / "report.json"
    path.write_text(
        json.dumps({"protocol": protocol, "checkpoints": {"mixed_pro": entry}, "rows": rows})
    )
    return path


def numbers(folder) -> dict[str, float]:
    """Metric -> value, as the Hub reads them from a card."""
    results = ModelCard.load(folder / "README.md").data.eval_results or []
    return {result.metric_type: result.metric_value for result in results}


@pytest.mark.slow
def test_a_card_holds_measured_results_and_the_given_texts(folder, report, capsys):
    words = ["--results", str(report), "--license", "mit", "--name", "Ours", "--data", "Our songs."]

    assert main(["card", str(folder), *words]) == 0

    assert str(folder / "README.md") in capsys.readouterr().out
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.pipeline_tag) == ("mit", "text-to-audio")
    # Without a vocal track there is no error rate of one.
    measured = {name: SCORES[name] for name in ("per_mixture", "gender")}
    assert numbers(folder) == measured | {"codec_frechet_distance": SCORES["fad"]}
    result = card.data.eval_results[0]
    assert result.dataset_args["guidance_scale"] == 2.0 and result.dataset_args["songs"] == 200
    assert "75.0 %" in card.text and "Our songs." in card.text and "# Ours (mixed_pro)" in card.text


@pytest.mark.slow
def test_results_are_exported_with_their_weights_and_dropped_when_these_change(
    folder, report, tmp_path
):
    main(["card", str(folder), "--results", str(report), "--license", "mit"])
    model = SongGenForConditionalGeneration.from_pretrained(folder)

    assert main(["export", str(folder), str(tmp_path / "exported")]) == 0
    assert main(["export", str(folder), str(tmp_path / "small"), "--dtype", "bfloat16"]) == 0
    with torch.no_grad():
        model.decoder.lm_heads.weight.add_(1)
    export(model, AutoProcessor.from_pretrained(folder), tmp_path / "changed")

    assert numbers(tmp_path / "exported") == numbers(folder) != {}
    for name in ("small", "changed"):
        assert numbers(tmp_path / name) == {}, name
        assert not (tmp_path / name / "card.json").exists()
        assert "None were measured" in (tmp_path / name / "README.md").read_text()


@pytest.mark.slow
def test_the_card_of_changed_weights_loses_the_results(folder, report):
    main(["card", str(folder), "--results", str(report)])
    model = SongGenForConditionalGeneration.from_pretrained(folder)
    with torch.no_grad():
        model.decoder.lm_heads.weight.add_(1)
    model.save_pretrained(folder)

    assert main(["card", str(folder)]) == 0

    assert numbers(folder) == {}
    assert "results" not in json.loads((folder / "card.json").read_text())


@pytest.mark.slow
def test_saving_writes_no_card(folder, tmp_path):
    SongGenForConditionalGeneration.from_pretrained(folder).save_pretrained(tmp_path / "saved")

    assert not (tmp_path / "saved" / "README.md").exists()


@pytest.mark.slow
def test_a_new_card_keeps_the_results_of_the_same_weights(folder, report):
    main(["card", str(folder), "--results", str(report)])
    measured = numbers(folder)

    assert main(["card", str(folder), "--license", "cc0-1.0"]) == 0

    assert numbers(folder) == measured
    assert ModelCard.load(folder / "README.md").data.license == "cc0-1.0"


@pytest.mark.slow
def test_a_card_that_somebody_has_edited_is_left_as_it_is(folder, tmp_path, capsys):
    main(["card", str(folder)])
    path = folder / "README.md"
    assert is_replaceable(path.read_text())
    path.write_text(path.read_text() + "My words.\n")
    edited = path.read_text()

    SongGenForConditionalGeneration.from_pretrained(folder).save_pretrained(folder)
    assert main(["card", str(folder)]) == 2

    assert path.read_text() == edited
    assert "was written by somebody: move it away" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("what", ["weights", "pattern", "codec"])
def test_results_of_other_weights_are_refused(
    what, folder, report, tmp_path, tiny_checkpoint, capsys
):
    checkpoint, message = folder, "the report is of other weights"
    if what == "pattern":
        checkpoint, message = Path(tiny_checkpoint("mixed")), "no checkpoint of track pattern mixed"
    else:
        content = json.loads(report.read_text())
        content["checkpoints"]["mixed_pro"]["weights"] = "0123456789abcdef"
        report.write_text(json.dumps(content))
    if what == "codec":
        model = SongGenForConditionalGeneration.from_pretrained(folder)
        with pytest.raises(ValueError, match="the report is of song models: got a codec"):
            card_results(json.loads(report.read_text()), model.audio_encoder)
        return

    assert main(["card", str(checkpoint), "--results", str(report)]) == 2

    assert message in capsys.readouterr().err
    assert not (folder / "README.md").exists()


@pytest.mark.slow
def test_the_card_of_an_untrained_model_says_so(folder):
    model = SongGenForConditionalGeneration.from_pretrained(folder)
    model.config.trained = False

    assert "Untrained: its songs are noise" in render_card(model, {}, repository="me/x")


def test_an_adapters_card_names_its_model_and_the_license_that_holds_too():
    card = render_adapter_card(
        {"r": 4, "use_dora": True}, repository="me/anna", base="me/x", license="cc-by-4.0"
    )

    assert "A DoRA adapter of rank 4" in card
    assert 'model="me/x", adapter="me/anna"' in card
    assert "the license of the model that it is for holds as well" in card


def test_no_measured_number_is_typed_into_the_text():
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", TEMPLATE.read_text(encoding="utf-8"))

    assert "%" not in text
    assert set(re.findall(r"\d+(?:\.\d+)?", text)) <= {
        "2412.10208", "2502.13128", "4.0", "2.0", "30", "16", "7",
    }  # fmt: skip


@pytest.mark.slow
def test_the_packages_own_card_is_written_for_a_relative_path_too(tmp_path, monkeypatch):
    folder = tmp_path / "songgen_hf" / "checkpoints" / "songgen-mini"
    for name in (EMBEDDED_PATTERNS[0], "codec", "shared"):
        shutil.copytree(EMBEDDED / name, folder / name)
    monkeypatch.setattr("songgen_hf.checkpoints.embedded.EMBEDDED", folder)
    monkeypatch.chdir(tmp_path)

    relative = (folder / EMBEDDED_PATTERNS[0]).relative_to(tmp_path)
    assert main(["card", str(relative)]) == 0

    shown = (relative / "README.md").read_text()
    assert f'model="{relative.as_posix()}"' in shown


@pytest.mark.slow
@pytest.mark.parametrize("pattern", EMBEDDED_PATTERNS)
def test_the_packages_own_card_is_current(pattern):
    if not (EMBEDDED / pattern / "config.json").is_file():
        pytest.skip("not embedded")
    folder = Path(default_checkpoint(pattern))
    model = SongGenForConditionalGeneration.from_pretrained(folder)
    facts = facts_of(model)
    command = f"songgen-hf card songgen-mini/{pattern} --results docs/songgen-mini.json"

    assert facts, f"its weights have changed since: {command}"
    shown = f"songgen_hf/checkpoints/songgen-mini/{pattern}"
    assert (folder / "README.md").read_text() == render_card(model, facts, repository=shown), (
        command
    )
    report = json.loads(REPORT.read_text())
    measured = report["checkpoints"].get(pattern)
    before_rounding = report.get("rounded", {}).get(facts["weights"], facts["weights"])
    if measured is None or measured["weights"] != before_rounding:
        assert "results" not in facts, f"its numbers are of other weights: {command}"
        return
    shown_values = {one["metric"]: one["value"] for one in facts["results"]["measures"]}
    assert shown_values == {name: measured[name] for name in shown_values}, command
    assert {"gender", "tempo", "fad", "per_mixture"} <= shown_values.keys(), command
    was_rounded = "Measured before the weights were rounded" in facts["results"]["text"]
    assert was_rounded == (before_rounding != facts["weights"])


@pytest.mark.slow
def test_the_masked_models_own_card_is_current_and_names_its_page():
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    from songgen_hf import MaskedSongPipeline

    folder = Path(find_checkpoint(MASKED_CHECKPOINT))
    model = MaskedSongPipeline.from_pretrained(folder)
    facts = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    report = json.loads(MASKED_REPORT.read_text(encoding="utf-8"))
    command = f"songgen-hf card {MASKED_CHECKPOINT} --results docs/masked.json"
    shown = folder.relative_to(EMBEDDED.parents[2]).as_posix()
    card = (folder / "README.md").read_text(encoding="utf-8")

    assert facts["results"] == card_results(report, model), command
    assert card == render_card(model, facts, repository=shown), command
    assert "How it was trained and judged: `docs/masked.md`" in card
