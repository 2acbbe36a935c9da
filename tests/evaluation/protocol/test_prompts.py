"""The fixed prompts, and how prompts are made."""

import json
import random

import pytest

from songgen_hf.cli import main
from songgen_hf.data.corpus.instruments import INSTRUMENTS
from songgen_hf.data.listening.phonemes import merge_phonemes
from songgen_hf.evaluation.judges.song_classifier import GENDERS, LEAD_FAMILIES
from songgen_hf.evaluation.protocol.prompts import (
    PROMPTS_FILE,
    PROMPTS_IN_FILE,
    complete_caption,
    corpus_rows,
    is_complete,
    make_prompts,
    read_prompts,
    vocal_start,
)

from ...tools.evaluation_cases import corpus_row, write_corpus


@pytest.fixture
def rows():
    """Eight songs of four voices."""
    return [corpus_row(index) for index in range(8)]


def test_the_fixed_prompts_state_their_labels():
    prompts = read_prompts()
    described = json.loads(PROMPTS_FILE.read_text(encoding="utf-8"))

    assert (described["split"], described["seed"]) == ("test", 0)
    assert len(prompts) == len({prompt.id for prompt in prompts}) == PROMPTS_IN_FILE >= 100
    for prompt in prompts:
        labels = {name: getattr(prompt, name) for name in ("gender", "lead_instrument", "tempo")}
        assert is_complete(prompt.text, labels), prompt.text
        assert prompt.gender in GENDERS and prompt.voice_id.startswith(f"{prompt.gender}_")
        assert prompt.lead_family in LEAD_FAMILIES
        assert INSTRUMENTS[prompt.lead_instrument].family == prompt.lead_family
        assert 6 <= prompt.duration <= 12.5 and 60 <= prompt.tempo <= 180
        assert prompt.lyrics.count("\n") in (1, 2) and len(merge_phonemes(prompt.phonemes)) > 10
        assert prompt.reference_start >= 0


def test_the_songs_of_a_comparison_are_other_songs():
    for prompt in read_prompts():
        compared = {prompt.reference_song_id, prompt.other_song_id, prompt.rival_song_id}
        assert prompt.id not in compared
        assert prompt.reference_song_id not in (prompt.other_song_id, prompt.rival_song_id)


def test_comparisons_are_of_the_same_voice_another_and_one_of_its_gender(rows):
    by_id = {row["song_id"]: row for row in rows}

    for prompt in make_prompts(rows, 8):
        reference, other, rival = (
            by_id[getattr(prompt, f"{name}_song_id")] for name in ("reference", "other", "rival")
        )
        assert reference["voice_id"] == prompt.voice_id != other["voice_id"]
        assert rival["voice_id"] != prompt.voice_id and rival["gender"] == prompt.gender


def test_the_seed_alone_decides_the_prompts(rows):
    assert make_prompts(rows, 4, seed=1) == make_prompts(rows, 4, seed=1)
    assert make_prompts(rows, 4, seed=1) != make_prompts(rows, 4, seed=2)
    assert make_prompts(rows, 4, seed=1) == make_prompts(rows, 8, seed=1)[:4]


@pytest.mark.parametrize("gender", ["male", "female"])
def test_every_caption_states_gender_lead_and_tempo(gender):
    labels = corpus_row(0) | {"gender": gender, "tempo": 104}

    captions = {complete_caption(random.Random(seed), labels) for seed in range(50)}

    assert len(captions) > 10
    for caption in captions:
        assert is_complete(caption, labels)
        assert not is_complete(
            caption, labels | {"gender": {"male": "female", "female": "male"}[gender]}
        )
        assert not is_complete(caption, labels | {"tempo": 10})
        assert not is_complete(caption, labels | {"lead_instrument": "banjo"})


def test_three_seconds_remain_of_a_reference_voice(rows):
    row = rows[0] | {"duration": 9.0}

    assert vocal_start(row | {"words": [{"start": 2.5}]}) == 2.5
    assert vocal_start(row | {"words": [{"start": 8.0}]}) == 6.0
    assert vocal_start(row | {"duration": 1.0}) == 0.0


def test_a_voice_with_one_song_gives_no_prompt(rows):
    with pytest.raises(ValueError, match="got 0 prompts from 4 songs, expected 1"):
        make_prompts(rows[:4], 1)


def test_prompts_are_read_as_they_were_written(tmp_path, rows, capsys):
    corpus = write_corpus(tmp_path / "songs", test=8)
    out = tmp_path / "prompts.json"

    status = main(["evaluate", "prompts", str(corpus), "--out", str(out), "--count", "5"])

    assert status == 0 and f"{out}: 5 prompts" in capsys.readouterr().out
    assert read_prompts(out) == make_prompts(rows, 5)


def test_a_file_without_prompts_is_an_error(tmp_path):
    path = tmp_path / "other.json"
    for content in ("{}", "[]", "no JSON", '{"prompts": [{"id": 1}]}'):
        path.write_text(content)
        with pytest.raises(ValueError, match="holds no prompts"):
            read_prompts(path)


def test_a_corpus_without_the_split_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="test-"):
        corpus_rows(tmp_path, "test")
