"""Tests of captions, with miniature checkpoints of the classes of the Hub's models."""

import numpy as np
import pytest
import soundfile
import torch
from transformers import ClapModel, ClapProcessor

from songgen_hf.data.preparation.captioning import (
    MAX_CHARACTERS,
    CaptionOptions,
    caption,
    clap_scores,
    columns,
    with_tags,
)
from songgen_hf.data.preparation.clips import read_clip
from songgen_hf.data.preparation.tags import read_tags

from ...tools.miniature_models import (
    CAPTION_WORDS,
    write_clap,
    write_qwen2_audio,
    write_whisper_captioner,
)
from .sounds import SAMPLING_RATE, song


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "song.flac"
    soundfile.write(path, song(0, 3.0), SAMPLING_RATE)
    return {"id": "a-000000000", "path": str(path), "clip_start": 0.0, "clip_seconds": 3.0}


@pytest.fixture(scope="module")
def clap(tmp_path_factory):
    """The folder of a tiny model."""
    return write_clap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """The folder of a tiny model."""
    return write_qwen2_audio(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """The folder of a tiny model."""
    return write_whisper_captioner(tmp_path_factory.mktemp("whisper"))


def test_tags_are_sorted_by_what_they_say():
    facts = read_tags(
        ["Female_vocalists", "JAZZ", "smoky", "Piano", "drums", "92 BPM", "Eb minor", "late night"]
        + ["rock"]
    )

    assert facts == {
        "gender": "female",
        "genre": "jazz",
        "mood": "smoky",
        "instruments": ["piano", "drums"],
        "tempo": 92.0,
        "key": "Eb minor",
        "other": ["late night", "rock"],
    }
    assert read_tags(["male singer"])["gender"] == "male"
    assert read_tags(["Alto sax", "drum and bass", "male choir", "choir"]) == {
        "instruments": ["alto sax", "choir"], "genre": "drum and bass", "gender": "male",
    }  # fmt: skip
    assert read_tags(["Key: C# Major"])["key"] == "C# major"
    assert read_tags(["instrumental", " "]) == {"instrumental": True}
    assert read_tags([]) == {}


def test_sentences_are_written_from_what_is_known_and_differ(clip):
    row = {**clip, "tags": ["jazz", "female vocals", "late night"], "tempo": 90.0}
    row |= {"measured_tempo": 180.0, "measured_key": "C major"}

    (found,) = caption([row], CaptionOptions(phrasings=6))

    assert [*found][len(row) :] == [
        field.name for field in columns() if field.name not in ("tempo",)
    ]
    assert (found["genre"], found["gender"], found["tempo"]) == ("jazz", "female", 90.0)
    assert (found["key"], found["mood"], found["clap_score"]) == ("C major", None, None)
    assert len(set(found["captions"])) == 6 and found["caption"] == found["captions"][0]
    for text in found["captions"]:
        assert "jazz" in text.lower() and "late night" in text and "None" not in text
    assert caption([row], CaptionOptions(phrasings=6)) == [found]
    assert caption([row], CaptionOptions(phrasings=6, seed=1)) != [found]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"tags": ["sad"]}, "sad"),
        ({"tags": ["unheard-of genre"]}, "unheard-of genre"),
        ({"sung": False, "tags": ["piano"]}, "without vocals"),
        ({"measured_tempo": 101.7}, ""),
        ({"genre": "Balkan brass"}, "Balkan brass"),
    ],
)
def test_few_facts_are_enough_for_a_sentence(clip, facts, expected):
    (found,) = caption([{**clip, **facts}], CaptionOptions(phrasings=9))

    assert all(expected in text.lower() or expected in text for text in found["captions"])
    assert found["captions"] and not any(
        "None" in text or "{" in text for text in found["captions"]
    )


def test_a_clip_of_which_nothing_is_known_has_no_caption(clip):
    (found,) = caption([clip])

    assert (found["caption"], found["captions"], found["clap_scores"]) == (None, [], None)


def test_columns_of_a_manifest_are_read_as_text(clip):
    row = {**clip, "instruments": "piano, harp", "tempo": "90", "genre": "", "tags": "folk, live"}

    (found,) = caption([row])

    assert (found["instruments"], found["tempo"]) == (["piano", "harp"], 90.0)
    assert found["genre"] == "folk" and "harp" in found["caption"] and "90" in found["caption"]
    assert all(text.endswith("live") for text in found["captions"])
    (given,) = caption([{**clip, "captions": "A song, by hand.", "mood": ["calm", "sad"]}])
    assert given["captions"][0] == "A song, by hand." and given["mood"] == "calm, sad"
    assert caption([{**clip, "captions": 1984}])[0]["captions"] == ["1984"]
    with pytest.raises(ValueError, match="tempo of the clip 'a-000000000': got 'fast', expected"):
        caption([{**clip, "tempo": "fast"}])


def test_tags_are_appended_whole_and_the_limit_is_kept():
    assert with_tags("A calm song.", ["piano", "Calm", "slow"]) == "A calm song. piano, slow"
    assert with_tags("", ["piano", "slow"]) == "piano, slow"
    assert with_tags("A rapid female voice", ["rap", "male"]) == "A rapid female voice, rap, male"
    long = with_tags("word " * 300, ["piano"])
    assert 590 < len(long) <= MAX_CHARACTERS and set(long.split()) == {"word"}
    assert with_tags("a" * 595, ["much too long", "b"]) == "a" * 595 + ", b"
    assert len(with_tags("a" * 700, [])) == MAX_CHARACTERS


def test_a_given_caption_gets_all_tags_and_comes_first(clip):
    row = {**clip, "caption": "Something by hand.", "tags": ["rock", "live"]}

    (found,) = caption([row])

    assert found["caption"] == "Something by hand. rock, live"
    assert len(found["captions"]) > 2
    assert all("live" in text for text in found["captions"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen", "whisper"])
def test_a_captioner_describes_clips_alone_as_in_a_batch(clip, name, request):
    folder = request.getfixturevalue(name)
    rows = [{**clip, "tags": ["rock"]}, {**clip, "clip_seconds": 1.0, "id": "b"}]
    single = CaptionOptions(captioner=folder, max_new_tokens=8)

    found = caption(rows, single)

    texts = [row["captions"][0].removesuffix(", rock").removesuffix(" rock") for row in found]
    assert all(word in CAPTION_WORDS for text in texts for word in text.split()) and texts[0]
    batched = caption(rows, CaptionOptions(captioner=folder, max_new_tokens=8, batch_size=2))
    assert [row["captions"] for row in batched] == [row["captions"] for row in found]


@pytest.mark.slow
def test_clap_scores_are_cosines_of_the_library_and_the_best_caption_comes_first(clip, clap):
    row = {**clip, "captions": ["calm piano", "fast rock with drums", "jazz"], "tags": []}

    scores = clap_scores(row, row["captions"], clap)
    (found,) = caption([row], CaptionOptions(clap=clap, min_clap_score=-1))

    assert scores == clap_scores(row, row["captions"], clap), "no random crops"
    model, processor = ClapModel.from_pretrained(clap), ClapProcessor.from_pretrained(clap)
    second = {**row, "clip_seconds": 1.0}
    inputs = processor(
        text=row["captions"], audio=read_clip(second, "mixture", 48000), sampling_rate=48000,
        padding=True, return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        output = model.eval()(**inputs)
        cosines = output.logits_per_text[:, 0] / model.logit_scale_t.exp()
    np.testing.assert_allclose(clap_scores(second, row["captions"], clap), cosines, atol=1e-5)
    assert found["clap_scores"] == sorted(scores, reverse=True)
    assert found["clap_score"] == max(scores) and len(found["captions"]) == 3
    assert scores[row["captions"].index(found["caption"])] == max(scores)


def test_captions_below_the_bound_are_left_out_unless_all_are(clip, clap):
    row = {**clip, "captions": ["calm piano", "fast rock with drums", "jazz"]}
    scores = clap_scores(row, row["captions"], clap)
    bound = sorted(scores)[1]

    (some,) = caption([row], CaptionOptions(clap=clap, min_clap_score=bound))
    (none,) = caption([row], CaptionOptions(clap=clap, min_clap_score=1.0))

    assert len(some["captions"]) == 2 and min(some["clap_scores"]) == bound
    assert none["captions"] == [some["caption"]] and none["clap_score"] == max(scores)


def test_a_model_that_cannot_be_loaded_is_named_in_one_line(clip, tmp_path):
    for options in (
        CaptionOptions(captioner=str(tmp_path)),
        CaptionOptions(clap=str(tmp_path), phrasings=1),
    ):
        with pytest.raises(ValueError, match=r"^cannot load the model .*") as info:
            caption([{**clip, "tags": ["rock"]}], options)
        assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"phrasings": 0}, "phrasings must be at least 1: got 0"),
     ({"min_clap_score": 2.0}, "min_clap_score must be from -1 to 1: got 2.0")],
)  # fmt: skip
def test_options_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CaptionOptions(**changes)
