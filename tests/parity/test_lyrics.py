"""Tests that normalized lyrics and their ids equal the recorded ones of the reference."""

import pytest

from songgen_hf.modeling.lyrics_normalization import clean_text, normalize_lyrics, resolve_language
from songgen_hf.modeling.processing_songgen import SongGenProcessor
from songgen_hf.modeling.tokenization_songgen import LYRICS_SPACE
from songgen_hf.presets.tokenizers import build_text_tokenizer

from .cases import golden_root, read_json

OPTIONAL_PACKAGES = {"zh": "pypinyin", "ko": "hangul_romanize", "ja": "cutlet"}
PAIRS = "lyrics/tokenizer_pairs.json"


def records(section: str) -> list[dict]:
    """Return the records of a section that the reference could process."""
    return [record for record in read_json(PAIRS)[section] if record.get("status", "ok") == "ok"]


def languages() -> list[str]:
    return sorted({record["lang"] for record in records("english") + records("other_languages")})


def of_language(language: str) -> list[dict]:
    package = OPTIONAL_PACKAGES.get(resolve_language(language))
    if package is not None:
        pytest.importorskip(package)
    every = records("english") + records("other_languages")
    return [record for record in every if record["lang"] == language]


@pytest.fixture(scope="module")
def processor() -> SongGenProcessor:
    vocab = golden_root() / "lyrics_vocab.json"
    if not vocab.is_file():
        pytest.skip("the golden folder has no lyrics_vocab.json (third-party, never committed)")
    return SongGenProcessor.for_reference_checkpoint(build_text_tokenizer(), lyrics_vocab=vocab)


@pytest.mark.slow
@pytest.mark.parametrize("language", languages())
def test_normalized_lyrics_equal_the_reference(language):
    for record in of_language(language):
        assert normalize_lyrics(record["text"], language) == record["cleaned"], record["text"]


@pytest.mark.slow
@pytest.mark.parametrize("language", languages())
def test_lyrics_ids_equal_the_reference(processor, language):
    for record in of_language(language):
        ids = processor(lyrics=record["text"], language=language)["lyrics_ids"]

        assert ids[0].tolist() == record["ids"], record["text"]


@pytest.mark.slow
def test_a_batch_of_lyrics_equals_the_reference_row_by_row(processor):
    wanted = records("english")

    batch = processor(lyrics=[record["text"] for record in wanted])

    for ids, mask, record in zip(
        batch["lyrics_ids"], batch["lyrics_attention_mask"], wanted, strict=True
    ):
        assert ids[mask.bool()].tolist() == record["ids"]


def test_very_long_lyrics_equal_the_reference(processor):
    for record in records("long"):
        ids = processor(lyrics=record["text"])["lyrics_ids"][0].tolist()

        assert ids == record["ids"]


def test_text_without_the_marks_of_lyrics_equals_the_reference(processor):
    for record in records("raw_encode"):
        language = resolve_language(record["lang"])
        if language in OPTIONAL_PACKAGES:
            pytest.importorskip(OPTIONAL_PACKAGES[language])
        tag = "zh-cn" if language == "zh" else language
        text = f"[{tag}]" + clean_text(record["text"], record["lang"]).replace(" ", LYRICS_SPACE)

        ids = processor.lyrics_tokenizer(text, add_special_tokens=False)["input_ids"]

        assert ids == record["ids"]


def test_decoded_ids_equal_the_reference(processor):
    for record in records("decode"):
        assert processor.decode_lyrics(record["ids"]) == record["text"]


def test_the_vocabulary_has_the_recorded_size(processor):
    assert len(processor.lyrics_tokenizer) == read_json(PAIRS)["vocab_size"]


def test_numbers_that_the_reference_cannot_spell_are_spelled():
    pairs = read_json(PAIRS)
    crashed = [record for record in pairs["other_languages"] if record["status"] != "ok"]

    for record in crashed:
        cleaned = normalize_lyrics(record["text"], record["lang"])

        assert cleaned and not any(character.isdigit() for character in cleaned)
