"""Captions: complete and incomplete descriptions of a song."""

import random

import pytest

from songgen_hf.data.corpus.captions import tempo_word, write_caption, write_captions

FACTS = {
    "genre": "jazz",
    "mood": "smoky",
    "gender": "female",
    "lead_instrument": "tenor sax",
    "instruments": ["tenor sax", "piano", "upright bass"],
    "tempo": 104,
    "key": "F# minor",
}


def test_a_complete_caption_contains_every_fact():
    for seed in range(100):
        caption = write_caption(random.Random(seed), FACTS, complete=True).lower()

        for fact in ("jazz", "smoky", "tenor sax", "piano", "upright bass", "f# minor"):
            assert fact in caption
        assert "female" in caption or "a woman" in caption
        assert any(word in caption for word in ("104", "medium", "moderate", "mid-", "walking"))


def test_incomplete_captions_always_contain_the_genre():
    captions = [write_caption(random.Random(seed), FACTS) for seed in range(300)]

    assert all("jazz" in caption.lower() for caption in captions)
    assert 30 < sum("tenor sax" in caption.lower() for caption in captions) < 290
    assert len(set(captions)) > 280


def test_captions_are_reproducible_and_differ_from_each_other():
    captions = write_captions(random.Random(5), FACTS)

    assert captions == write_captions(random.Random(5), FACTS)
    assert len(set(captions)) == 4


@pytest.mark.parametrize(
    ("bpm", "word"),
    [(70, "slow"), (84, "slow"), (85, "medium"), (112, "fast"), (136, "very fast")],
)
def test_the_word_for_a_tempo_changes_at_the_documented_values(bpm, word):
    assert tempo_word(bpm) == word
