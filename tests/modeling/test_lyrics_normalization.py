"""Tests of the normalization of lyrics."""

import random
import sys
import time

import pytest

from songgen_hf.modeling.lyrics_languages import LANGUAGES, SIGNS
from songgen_hf.modeling.lyrics_normalization import (
    SUPPORTED_LANGUAGES,
    clean_text,
    normalize_lyrics,
    resolve_language,
)

LATIN = ("en", "es", "fr", "de", "it", "pt", "nl", "pl", "cs", "tr", "hu")


def random_lyrics(seed: int, length: int = 40) -> str:
    generator = random.Random(seed)
    pieces = ["Mr.", "dr.", "St", ".", ",", " ", "\n", "\r", "\t", '"', "$", "£", "€", "%", "&"]
    pieces += ["#", "@", "°", "1", "20", "3rd", "1,000", "7.5", "99", "love", "OH", "é", "\x00"]
    pieces += ["\x1f", "\u200b", "[verse]", "'", "-"]
    return "".join(generator.choice(pieces) for _ in range(length))


@pytest.mark.parametrize("seed", range(50))
def test_normalizing_twice_changes_nothing_more_in_english(seed):
    cleaned = normalize_lyrics(random_lyrics(seed), "en")

    assert normalize_lyrics(cleaned, "en") == cleaned


@pytest.mark.parametrize("language", LATIN)
def test_no_digit_quote_sign_or_double_space_is_left(language):
    for seed in range(20):
        cleaned = normalize_lyrics(random_lyrics(seed), language)

        assert not set(cleaned) & set('0123456789"' + "".join(SIGNS)), cleaned
        assert "  " not in cleaned and "\n" not in cleaned and "\t" not in cleaned


@pytest.mark.parametrize(
    ("lyrics", "cleaned"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("Hello\nWorld", "hello.world"),
        ("line\n\nline", "line..line"),
        ("line\r\nline", "line .line"),
        ('He said "go"', "he said go"),
        ("[Verse 1]", "[verse one]"),
        ("$20.50 & 50%", "twenty dollars, fifty cents and fifty percent"),
        ("Mr. Jones on 5th St.", "mister jones on fifth saint"),
        ("1,234 miles", "one thousand, two hundred and thirty-four miles"),
        ("a\x00b\x07c", "a\x00b\x07c"),
    ],
)
def test_english_lyrics_are_spelled_out(lyrics, cleaned):
    assert normalize_lyrics(lyrics) == cleaned


def test_an_amount_that_cannot_be_read_falls_back_to_its_numbers():
    assert clean_text("$1.2.3") == "dollar one point two.three"


def test_czech_digits_are_spelled():
    assert normalize_lyrics("50% srdce", "cs") == "padesát procento srdce"


@pytest.mark.slow
@pytest.mark.parametrize("language", LATIN)
def test_a_number_with_very_many_digits_is_spelled_without_digits(language):
    cleaned = normalize_lyrics("9" * 400 + " " + "1" * 30 + ". " + "8" * 5000 + ".5", language)

    assert cleaned and not any(digit in cleaned for digit in "0123456789")


def test_a_long_run_of_digits_takes_linear_time():
    started = time.perf_counter()

    clean_text("1" * 4000 + "," * 4000 + "7" * 4000)

    assert time.perf_counter() - started < 2.0  # quadratic searches took 3 s for 20000 digits


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "零"),
        ("10", "十"),
        ("12", "十二"),
        ("101", "一百零一"),
        ("110", "一百一十"),
        ("1010", "一千零一十"),
        ("20050", "二万零五十"),
        ("100010001", "一亿零一万零一"),
        ("120000000", "一亿二千万"),
        ("12.5", "十二点五"),
        ("1,000", "一千"),
        ("50%", "百分之五十"),
        ("1985年", "一九八五年"),
        ("5" * 21, "五" * 21),
    ],
)
def test_chinese_numbers_are_read_as_in_chinese(number, words):
    pytest.importorskip("pypinyin")

    assert clean_text(number, "zh") == clean_text(words, "zh")


@pytest.mark.slow
def test_chinese_comes_out_in_pinyin_and_korean_in_latin_letters():
    pytest.importorskip("pypinyin")
    pytest.importorskip("hangul_romanize")

    assert normalize_lyrics("你好", "zh") == "ni3hao3"
    assert normalize_lyrics("사랑해", "ko") == "salanghae"


def test_hindi_keeps_its_digits_and_turkish_capitals_lose_their_dot():
    assert normalize_lyrics("दुनिया  50", "hi") == "दुनिया 50"
    assert normalize_lyrics("İstanbul", "tr") == "istanbul"


@pytest.mark.parametrize(
    ("language", "package", "remedy"),
    [
        ("zh", "pypinyin", r'pip install "songgen-hf\[lyrics\]"'),
        ("ko", "hangul-romanize", r'pip install "songgen-hf\[lyrics\]"'),
        ("ja", "cutlet", "pip install cutlet"),
        ("en", "num2words", "pip install num2words"),
    ],
)
def test_an_absent_package_is_named_with_its_remedy(monkeypatch, language, package, remedy):
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)

    with pytest.raises(ImportError, match=f"needs the package {package}: {remedy}"):
        normalize_lyrics("la 5", language)


def test_plain_english_needs_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "num2words", None)

    assert normalize_lyrics("La la") == "la la"


@pytest.mark.parametrize(
    ("language", "code"), [("en-us", "en"), ("EN", "en"), ("zh-cn", "zh"), ("pt_BR", "pt")]
)
def test_a_region_is_dropped_from_the_language(language, code):
    assert resolve_language(language) == code


@pytest.mark.parametrize("language", ["", "xx", "klingon"])
def test_an_unknown_language_lists_the_supported_ones(language):
    with pytest.raises(ValueError, match="not supported; choose one of ar, cs, de, en"):
        normalize_lyrics("la", language)


def test_arguments_of_the_wrong_type_are_refused():
    with pytest.raises(TypeError, match="lyrics must be a string, got NoneType"):
        normalize_lyrics(None)
    with pytest.raises(TypeError, match="language must be a code such as 'en', got int"):
        normalize_lyrics("la", 5)


def test_every_language_has_complete_tables():
    for language in LANGUAGES.values():
        assert len(language.signs) in (0, len(SIGNS))
    assert sorted(LANGUAGES) == list(SUPPORTED_LANGUAGES)
