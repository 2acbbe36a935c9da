"""The measurement of a learned voice: which vocals are compared; all of it on tiny models."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from songgen_hf.data.corpus.rows import read_sound

from ..tools.judge_cases import invented_row, tiny_judges
from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_processor, tiny_singer  # noqa: F401

TURNS = ("true", "before", "before, with the voice given", "after", "after, with the voice given")


def row(index: int, **changes) -> dict:
    """A row with what the measurement reads; odd rows are sung by a woman."""
    told = {"captions": ["folk"], "lyrics": "us us", "duration": 3.0}
    return invented_row(index, seconds=3.0 + 0.1 * index) | told | changes


def write_corpus(folder: Path, rows: list[dict]) -> str:
    """A corpus with one split."""
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    (folder / "data").mkdir(parents=True)
    path = folder / "data" / "validation-00000-of-00001.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    return str(folder)


@pytest.fixture
def adapter(tmp_path, tiny_checkpoint):  # noqa: F811
    """Folder of a new adapter with the losses of its run."""
    pytest.importorskip("peft")
    from transformers import AutoProcessor

    from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
    from songgen_hf.training.language_model.lora import LoraOptions, add_lora

    checkpoint = tiny_checkpoint("interleaving_A_V")
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint)
    processor = AutoProcessor.from_pretrained(checkpoint)
    with torch.no_grad():
        add_lora(model, LoraOptions(lora_rank=2), processor).save_pretrained(tmp_path / "adapter")
    history = [{"eval_loss": 3.0, "step": 0}, {"loss": 2.9}, {"eval_loss": 2.5, "step": 9}]
    state = tmp_path / "adapter" / "trainer_state.json"
    state.write_text(json.dumps({"log_history": history}))
    return str(tmp_path / "adapter")


def test_a_song_is_compared_with_another_of_its_singer_and_one_of_another_of_that_gender(benchmark):
    rows = [row(1, voice_id="female_7"), row(3, voice_id="female_7")]
    others = [row(0), row(5), row(7, voice_id="female_7")]

    own, foreign = benchmark.references(rows, others, seed=0)

    assert np.array_equal(own[0], read_sound(rows[1], "vocal"))
    assert np.array_equal(own[1], read_sound(rows[0], "vocal"))
    assert all(np.array_equal(vocal, read_sound(others[1], "vocal")) for vocal in foreign)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_measurement_reports_songs_before_and_after(
    benchmark,
    tmp_path,
    tiny_checkpoint,  # noqa: F811
    adapter,
    monkeypatch,
    capsys,
):
    judges = tiny_judges()
    judges.save(tmp_path / "judges")
    new = write_corpus(tmp_path / "new", [row(1, voice_id="female_7"), row(3, voice_id="female_7")])
    old = write_corpus(tmp_path / "old", [row(0), row(5)])
    arguments = ["--model", tiny_checkpoint("interleaving_A_V"), "--songs", new, "--others", old]
    arguments += ["--judges", str(tmp_path / "judges"), "--max-seconds", "0.2", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", ["learn_a_voice.py", adapter, *arguments])

    benchmark.main()

    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["loss_before"], report["loss_after"]) == (3.0, 2.5)
    assert tuple(report["rows"]) == TURNS
    assert [report["rows"][name]["songs"] for name in TURNS] == [2, 4, 4, 4, 4]
    # The adapter is new and changes nothing yet.
    assert report["rows"]["after"] == report["rows"]["before"]
