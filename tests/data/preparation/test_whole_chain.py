"""All stages of ``songgen-hf prepare songs`` with miniatures of every model that it can use."""

import pyarrow.parquet
import pytest
import soundfile
import yaml

from songgen_hf.cli import main
from songgen_hf.data.preparation import voice_activity
from songgen_hf.data.preparation.configuration import Preparation
from songgen_hf.data.preparation.songs import build_stages

from ...tools.miniature_models import (
    CAPTION_WORDS,
    write_clap,
    write_qwen2_audio,
    write_silero,
    write_whisper,
)
from ...tools.separation_cases import tiny_separator
from ...tools.sung_album import RATE, sing


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """The folder of a song with stems and one without, and a configuration with every model."""
    vocal, accompaniment = sing(0, lines=2)
    sounds = {"": vocal + accompaniment, ".vocal": vocal, ".accompaniment": accompaniment}
    (tmp_path / "album").mkdir()
    for ending, sound in sounds.items():
        soundfile.write(tmp_path / "album" / f"sung{ending}.wav", sound, RATE)
    other = sum(sing(1, lines=2))
    soundfile.write(tmp_path / "album" / "mixed.mp3", other, RATE)
    (tmp_path / "album" / "sung.json").write_text('{"tags": ["rock"], "artist": "Ann"}')
    tiny_separator().save_pretrained(tmp_path / "separator")
    write_silero(tmp_path / "site", 0.01)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    voice_activity._silero.cache_clear()
    whispers = [
        write_whisper(tmp_path / name, words, seconds=30)
        for name, words in (("v2", ("the", "rivers", "sings")), ("v3", ("the", "river", "sings")))
    ]
    configuration = {
        "preset": "paper",
        "separate": {"separator": str(tmp_path / "separator")},
        "segment": {"detector": "silero"},
        "transcribe": {"models": whispers},
        "caption": {
            "captioner": write_qwen2_audio(tmp_path / "qwen"),
            "clap": write_clap(tmp_path / "clap"),
            "max_new_tokens": 6,
            "min_clap_score": -1.0,
            "phrasings": 2,
        },
        "filter": {"min_clap_score": -1.0},
    }
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    yield tmp_path / "album", path
    voice_activity._silero.cache_clear()


@pytest.mark.slow
def test_every_stage_and_model_runs_in_one_preparation(chain, tmp_path):
    album, configuration = chain
    out = tmp_path / "out"

    status = main(
        ["prepare", "songs", str(album), str(out), "--config", str(configuration), "--quiet"]
    )

    assert status == 0
    table = pyarrow.parquet.read_table(out / "clips.parquet")
    added = [field for stage in build_stages(Preparation(), out) for field in stage.columns()]
    for field in added:
        assert table.schema.field(field.name).type == field.type, field.name
    rows = table.to_pylist()
    assert {row["recording_id"] for row in rows} == {"sung", "mixed"}
    assert [row["error"] for row in rows] == [None] * len(rows)
    separators = {row["recording_id"]: row["separator"] for row in rows}
    assert separators == {"sung": "given", "mixed": str(tmp_path / "separator")}
    sung = [row for row in rows if row["sung"]]
    assert {row["recording_id"] for row in sung} >= {"sung"}
    for row in sung:
        assert row["transcripts"] == ["the rivers sings", "the river sings"]
        assert row["lyrics"] == "the river sings" and row["language"] == "en"
        assert [word["word"] for word in row["words"]] == ["the", "river", "sings"]
        assert row["detector_share"] > 0.5
    for row in rows:
        assert row["clap_scores"] == sorted(row["clap_scores"], reverse=True)
        assert len(row["clap_scores"]) == len(row["captions"]) > 1
        heard = [text.replace(", rock", "").replace(" rock", "") for text in row["captions"]]
        assert any(set(text.split()) <= {*CAPTION_WORDS} for text in heard), "the captioner's"
        assert row["kept"] == (not row["reasons"]) and row["loudness"] < 0
    kept = (
        pyarrow.parquet.read_table(out / "data").to_pylist() if any(r["kept"] for r in rows) else []
    )
    assert len(kept) == sum(row["kept"] for row in rows)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<audio" in page and "transcript" in page
