"""Labels of captions and of lyrics tokens."""

import random

import pytest
import torch

from songgen_hf.training.conditioner.labels import CaptionWriter, Vocabulary, names, read_columns
from songgen_hf.training.conditioner.phoneme_labels import phonemes_of_tokens, read_lyrics
from songgen_hf.training.conditioner.run import padded_ids
from songgen_hf.training.language_model.dataset import read_songs

from ..conftest import build_tiny
from .conftest import SPELLED, labeled_row


def test_tokens_share_the_phonemes_of_their_word():
    words = [[2, 3, 4], [6], [8, 9]]
    phonemes = [0, 0, 1, 1, 1, 2, 2, 2, 2]

    places = phonemes_of_tokens(words, phonemes, 11)

    nothing = -100
    assert places.tolist() == [nothing, nothing, 0, 1, 1, nothing, 3, nothing, 6, 8, nothing]


def test_phoneme_labels_have_neighbors_across_words():
    _, processor = build_tiny("mixed")
    row = labeled_row(0) | {"lyrics": "no sky", "words": [{"word": "no"}, {"word": "sky"}]}
    row["phonemes"] = [
        {"symbol": symbol, "word": word}
        for word, text in enumerate(("no", "sky"))
        for symbol in SPELLED[text]
    ]
    columns = {name: [row[name]] for name in ("lyrics", "words", "phonemes")}
    vocabulary = Vocabulary.of(columns)

    (song,) = read_lyrics(columns, vocabulary, processor)

    symbols = vocabulary.values["phonemes"]
    said = {
        name: [symbols[index] for index in targets.tolist() if index >= 0]
        for name, targets in song.labels.items()
    }
    assert said["phoneme"] == ["n", "oʊ", "s", "k", "aɪ"]
    assert said["phoneme_before"] == ["", "n", "oʊ", "s", "k"]
    assert said["phoneme_after"] == ["oʊ", "s", "k", "aɪ", ""]


def test_lyrics_that_differ_from_the_sung_words_are_left_out():
    _, processor = build_tiny("mixed")
    row = labeled_row(0)
    columns = {name: [row[name]] for name in ("words", "phonemes")} | {"lyrics": ["other words"]}

    assert read_lyrics(columns, Vocabulary.of(columns), processor) == []


def test_a_caption_names_whole_words_only():
    assert names("Led by electric piano, 92 bpm.", "piano")
    assert names("in C# minor.", "C# minor") and not names("in C# minor", "C#m")
    assert names("92 bpm", 92) and not names("192 bpm", 92)
    assert not names("a female singer", "male")


@pytest.mark.slow
def test_written_captions_follow_the_seed_and_name_true_attributes(labeled_songs):
    _, processor = build_tiny("mixed")
    columns = read_columns(read_songs(labeled_songs, "train"))
    vocabulary = Vocabulary.of(columns)
    writer = CaptionWriter(vocabulary, columns["tempo"], processor)

    captions = [writer(random.Random(number)) for number in range(40)]
    again = [writer(random.Random(number)) for number in range(40)]

    assert all(torch.equal(one.ids, two.ids) for one, two in zip(captions, again, strict=True))
    assert len({tuple(caption.ids.tolist()) for caption in captions}) > 35
    for caption in captions:
        text = processor.tokenizer.decode(caption.ids, skip_special_tokens=True)
        for name in caption.named - {"tempo"}:
            assert names(text, vocabulary.values[name][caption.classes[name]])
        if "tempo" in caption.named:
            assert names(text, round(caption.tempo))
        assert (caption.instruments | ~caption.named_instruments).all()


def test_padding_is_masked():
    ids, mask = padded_ids([torch.tensor([5, 6, 7]), torch.tensor([8])])

    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
