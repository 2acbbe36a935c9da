"""The tokenizers of the mini preset: caption words, characters of lyrics, and constant ids."""

import hashlib

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from songgen_hf.modeling.lyrics_languages import LANGUAGES
from songgen_hf.presets.models import build_processor
from songgen_hf.presets.tokenizers import (
    CAPTION_WORDS,
    build_lyrics_tokenizer,
    build_mini_processor,
    build_text_tokenizer,
    learn_lyrics_tokenizer,
    load_lyrics_tokenizer,
)


@pytest.fixture(scope="module")
def text_tokenizer():
    return build_text_tokenizer()


@pytest.fixture(scope="module")
def lyrics_tokenizer():
    return build_lyrics_tokenizer()


def test_ids_are_those_of_the_trained_checkpoints(text_tokenizer, lyrics_tokenizer):
    digests = [
        hashlib.sha256(repr(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()[:16]
        for tokenizer in (text_tokenizer, lyrics_tokenizer)
    ]

    assert digests == ["8e700add0b1972e4", "afa099e11dbda6a1"]


def test_every_caption_word_is_one_id(text_tokenizer):
    for words in CAPTION_WORDS.values():
        for word in words:
            assert len(text_tokenizer(word)["input_ids"]) == 2, word  # the word and the end token
            assert len(text_tokenizer(word.title() + ",")["input_ids"]) == 3, word


def test_missing_vocabularies_of_the_full_preset_name_the_command_that_takes_them(tmp_path):
    remedy = "songgen-hf init --preset full --text-tokenizer FOLDER --lyrics-vocab FILE --out"

    with pytest.raises(ValueError, match=f"cannot load the text tokenizer .*{remedy}"):
        build_processor("full", text_tokenizer=str(tmp_path))


def test_the_special_tokens_of_the_text_have_the_first_ids(text_tokenizer):
    marks = (
        text_tokenizer.pad_token_id,
        text_tokenizer.eos_token_id,
        text_tokenizer.unk_token_id,
    )

    assert marks == (0, 1, 2)
    assert text_tokenizer("")["input_ids"] == [1]


@pytest.mark.parametrize(
    "text",
    [
        "a calm piano ballad, female voice.",
        "fast hip-hop (90 bpm); c# minor / r&b!",
        "pianissimo crescendo",
        "été à la plage",
        "日本の歌 🎵 \x00\x1f",
    ],
)
def test_any_text_is_decoded_unchanged_without_unknown_tokens(text_tokenizer, text):
    ids = text_tokenizer(text)["input_ids"]

    assert text_tokenizer.unk_token_id not in ids
    assert text_tokenizer.decode(ids, skip_special_tokens=True) == text


def test_case_and_whitespace_do_not_change_the_ids(text_tokenizer):
    assert (
        text_tokenizer("  A  Calm\nSong ")["input_ids"]
        == text_tokenizer("a calm song")["input_ids"]
    )


def test_each_character_of_lyrics_has_one_id(lyrics_tokenizer):
    ids = lyrics_tokenizer("[en]it's[SPACE]me")["input_ids"]

    assert lyrics_tokenizer.convert_ids_to_tokens(ids) == [
        *("[START]", "[en]", "i", "t", "'", "s", "[SPACE]", "m", "e", "[STOP]")
    ]


def test_the_lyrics_vocabulary_is_small_and_contains_all_languages(lyrics_tokenizer):
    assert len(lyrics_tokenizer) < 128
    for language in LANGUAGES.values():
        assert f"[{language.tag}]" in lyrics_tokenizer.get_vocab()


def test_lyrics_marks_have_the_ids_of_the_reference_scheme(lyrics_tokenizer):
    tokens = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]"]

    assert lyrics_tokenizer.convert_tokens_to_ids(tokens) == [0, 1, 2, 3, 4]
    assert lyrics_tokenizer.pad_token_id == lyrics_tokenizer.eos_token_id == 0


@pytest.mark.parametrize("build", [build_text_tokenizer, build_lyrics_tokenizer])
def test_a_saved_tokenizer_is_loaded_as_a_plain_tokenizer_with_the_same_ids(build, tmp_path):
    tokenizer = build()
    tokenizer.save_pretrained(tmp_path)

    loaded = AutoTokenizer.from_pretrained(tmp_path)

    assert loaded.get_vocab() == tokenizer.get_vocab()
    for text in ("a calm song, 120 bpm", "[en]la[SPACE]la", "", "日本"):
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_the_mini_processor_has_the_given_rates():
    processor = build_mini_processor(sampling_rate=8000, hop_length=160, voice_sampling_rate=16000)

    assert processor.sampling_rate == 8000
    assert processor()["voice_values"].shape == (1, 48000)


def test_pieces_of_lyrics_are_learned_saved_and_loaded(tmp_path):
    words = "river rivers stone stones glow glowing".split()
    lyrics = [f"{one} and {other}, the {one}." for one in words for other in words]

    learned = learn_lyrics_tokenizer(lyrics, 200)
    learned.save_pretrained(tmp_path)
    loaded = load_lyrics_tokenizer(str(tmp_path))

    text = "[en]the[SPACE]rivers[SPACE]glow?"
    ids = learned(text).input_ids
    tokens = learned.convert_ids_to_tokens(ids)
    assert "".join(tokens) == f"[START]{text}[STOP]" and "[UNK]" not in tokens
    assert len(ids) < len(build_lyrics_tokenizer()(text).input_ids)
    assert loaded(text).input_ids == ids
    assert loaded.pad_token_id == learned.pad_token_id == 0
    assert build_lyrics_tokenizer()("[en]la").input_ids[0] == ids[0]
    with pytest.raises(ValueError, match="got 50 pieces of lyrics, expected at least"):
        learn_lyrics_tokenizer(lyrics, 50)


def test_marks_of_lyrics_are_added_to_a_foreign_tokenizer(tmp_path):
    foreign = Tokenizer(models.Unigram([("<pad>", 0.0), ("▁", -3.0), ("la", -1.0)], unk_id=0))
    foreign.pre_tokenizer = pre_tokenizers.Metaspace()
    PreTrainedTokenizerFast(tokenizer_object=foreign).save_pretrained(tmp_path)

    loaded = load_lyrics_tokenizer(str(tmp_path))

    tokens = loaded.convert_ids_to_tokens(loaded("[en]la[SPACE]la").input_ids)
    assert tokens == ["[START]", "[en]", "▁", "la", "[SPACE]", "▁", "la", "[STOP]"]
