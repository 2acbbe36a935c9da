"""Normalizes lyrics: numbers, amounts of money, titles and signs are spelled out as words.

``normalize_lyrics`` returns lyrics in the form that the lyrics tokenizer was trained on; Chinese is
written in pinyin and Korean in Latin letters. The tables of the languages are in
``lyrics_languages.py``.
"""

import importlib
import re
from functools import partial
from types import ModuleType

from .lyrics_languages import LANGUAGES, SIGNS, LyricsLanguage

SUPPORTED_LANGUAGES: tuple[str, ...] = tuple(sorted(LANGUAGES))

_WHITESPACE = re.compile(r"\s+")
_GROUPED_BY = {
    ",": re.compile(r"\b\d{1,3}(,\d{3})*(\.\d+)?\b"),
    # Matches upstream: the dot is a wildcard there, so "1 000.5" counts as grouped too.
    ".": re.compile(r"\b\d{1,3}(.\d{3})*(,\d+)?\b"),
}
# The look-behinds exclude no match; they keep each search linear in the length of a run of digits.
_MONEY = tuple(
    (
        code,
        re.compile(rf"{sign}(?P<before>[0-9.,]*[0-9])|(?<![0-9.,])(?P<after>[0-9.,]*[0-9]){sign}"),
    )
    for code, sign in (("GBP", "£"), ("USD", r"\$"), ("EUR", "€"))
)
_DECIMAL = re.compile(r"(?<![0-9])[0-9]+[.,][0-9]+")
_INTEGER = re.compile(r"[0-9]+")
# The errors that num2words raises for numbers and currencies that it cannot spell in a language.
_CANNOT_SPELL = (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError)

_CHINESE_DIGITS = "零一二三四五六七八九"
_CHINESE_UNITS = ("", "十", "百", "千")
_CHINESE_GROUPS = ("", "万", "亿", "兆", "京")


def resolve_language(language: str) -> str:
    """Return the key of ``LANGUAGES`` for a language code, without region (``"en-US"``: ``"en"``).

    Raises:
        TypeError: if the code is not a string.
        ValueError: if lyrics in that language are not supported.
    """
    if not isinstance(language, str):
        raise TypeError(f"language must be a code such as 'en', got {type(language).__name__}")
    code = re.split("[-_]", language.strip().lower(), maxsplit=1)[0]
    if code not in LANGUAGES:
        raise ValueError(
            f"lyrics in language {language!r} are not supported; choose one of "
            f"{', '.join(SUPPORTED_LANGUAGES)}"
        )
    return code


def normalize_lyrics(lyrics: str, language: str = "en") -> str:
    """Normalize the lyrics of a song: line ends become full stops, and the text is cleaned.

    Args:
        lyrics: the lyrics; section marks such as ``[verse]`` are kept as ordinary text.
        language: code of the language, one of ``SUPPORTED_LANGUAGES`` with or without a region.
    Returns:
        One line in lower case; empty if the lyrics hold only whitespace.
    Raises:
        TypeError: if ``lyrics`` is not a string.
        ValueError: if the language is not supported.
        ImportError: if the language needs a package that is not installed.
    """
    if not isinstance(lyrics, str):
        raise TypeError(f"lyrics must be a string, got {type(lyrics).__name__}")
    return clean_text(lyrics.strip().replace("\n", "."), language)


def clean_text(text: str, language: str = "en") -> str:
    """Spell out the numbers, amounts, titles and signs of one line of lyrics.

    The arguments and errors are those of :func:`normalize_lyrics`.
    """
    code = resolve_language(language)
    table = LANGUAGES[code]
    if code == "hi":
        return _WHITESPACE.sub(" ", text.lower())
    if code == "ja":
        cutlet = _optional("cutlet", "Japanese", "pip install cutlet unidic-lite")
        return cutlet.Cutlet().romaji(text.lower()).lower()
    text = text.replace('"', "")
    if code == "tr":
        text = text.replace("İ", "i")  # str.lower() would keep a combining dot
    text = text.lower()
    text = _spell_chinese_numbers(text) if code == "zh" else _spell_numbers(text, table)
    for short, word in table.titles:
        ending = r"\." if table.dotted else r"\b"
        text = re.sub(rf"\b{re.escape(short)}{ending}", word, text, flags=re.IGNORECASE)
    for sign, word in zip(SIGNS, table.signs, strict=True):
        text = text.replace(sign, f" {word} ").replace("  ", " ")
    text = _WHITESPACE.sub(" ", text.strip())
    if code == "zh":
        return _pinyin(text)
    if code == "ko":
        return _romanize_korean(text)
    return text


def _spell_numbers(text: str, table: LyricsLanguage) -> str:
    """Spell out amounts of money, decimals, ordinals and integers, in that order."""
    text = _GROUPED_BY[table.grouping].sub(lambda m: m[0].replace(table.grouping, ""), text)
    if not _INTEGER.search(text):
        return text
    try:
        for code, pattern in _MONEY:
            text = pattern.sub(partial(_spell_money, code=code, table=table), text)
    except _CANNOT_SPELL:
        # Matches upstream: an amount that cannot be read ends the search for money in this line;
        # the steps below spell its digits and its sign.
        pass
    if table.decimals:
        text = _DECIMAL.sub(partial(_spell_decimal, table=table), text)
    ordinal = rf"(?<![0-9])([0-9]+)({table.ordinals})"
    text = re.sub(ordinal, partial(_spell_ordinal, table=table), text)
    return _INTEGER.sub(lambda match: _spell_integer(match[0], table), text)


def _spell_money(match: re.Match, code: str, table: LyricsLanguage) -> str:
    amount = float((match["before"] or match["after"]).replace(",", "."))
    words = _num2words(amount, table, to="currency", currency=code)
    if amount.is_integer() and table.cents in words:
        words = words[: words.rindex(table.cents)]
    return words


def _spell_decimal(match: re.Match, table: LyricsLanguage) -> str:
    try:
        return _num2words(float(match[0].replace(",", ".")), table)
    except _CANNOT_SPELL:
        return match[0]  # both runs of digits are spelled as integers afterwards


def _spell_ordinal(match: re.Match, table: LyricsLanguage) -> str:
    try:
        return _num2words(int(match[1]), table, to="ordinal")
    except _CANNOT_SPELL:
        return match[0]


def _spell_integer(digits: str, table: LyricsLanguage) -> str:
    try:
        return _num2words(int(digits), table)
    except _CANNOT_SPELL:  # more digits than the language has names for are spelled one by one
        return " ".join(_num2words(int(digit), table) for digit in digits)


def _num2words(value: float, table: LyricsLanguage, **options: str) -> str:
    module = _optional("num2words", "a number in the lyrics", "pip install num2words")
    language = table.number_language
    if language not in module.CONVERTER_CLASSES and language == "cs":
        language = "cz"  # num2words before 0.5.14 used the code of the country
    return module.num2words(value, lang=language, **options)


def _spell_chinese_numbers(text: str) -> str:
    """Spell out numbers in Chinese characters: years, percentages, decimals and integers.

    Years of four digits are spelled digit by digit.
    """
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"(?<![0-9])[0-9]{4}(?=年)", lambda m: _chinese_digits(m[0]), text)
    return re.sub(r"([0-9]+)(\.[0-9]+)?(%?)", _spell_chinese_number, text)


def _spell_chinese_number(match: re.Match) -> str:
    words = _chinese_integer(match[1])
    if match[2]:
        words += "点" + _chinese_digits(match[2][1:])
    return f"百分之{words}" if match[3] else words


def _chinese_digits(digits: str) -> str:
    return "".join(_CHINESE_DIGITS[int(digit)] for digit in digits)


def _chinese_integer(digits: str) -> str:
    digits = digits.lstrip("0") or "0"
    if len(digits) > 4 * len(_CHINESE_GROUPS):
        return _chinese_digits(digits)
    words = ""
    pending_zero = False
    for position, digit in zip(range(len(digits) - 1, -1, -1), digits, strict=True):
        group, unit = divmod(position, 4)
        if digit == "0":
            pending_zero = bool(words)
        else:
            words += "零" * pending_zero + _CHINESE_DIGITS[int(digit)] + _CHINESE_UNITS[unit]
            pending_zero = False
        group_start = max(0, len(digits) - position - 4)
        if unit == 0 and digits[group_start : len(digits) - position].strip("0"):
            words += _CHINESE_GROUPS[group]
    if words.startswith("一十"):
        words = words[1:]
    return words or _CHINESE_DIGITS[0]


def _pinyin(text: str) -> str:
    pypinyin = _optional("pypinyin", "Chinese")
    syllables = pypinyin.pinyin(
        text, style=pypinyin.Style.TONE3, heteronym=False, neutral_tone_with_five=True
    )
    return "".join(choices[0] for choices in syllables)


def _romanize_korean(text: str) -> str:
    romanize = _optional("hangul_romanize", "Korean")
    rules = _optional("hangul_romanize.rule", "Korean")
    return romanize.Transliter(rules.academic).translit(text)


def _optional(
    name: str, purpose: str, remedy: str = 'pip install "songgen-hf[lyrics]"'
) -> ModuleType:
    # With an import statement, transformers would require the package of everyone who loads this
    # file from the Hub.
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0].replace("_", "-")
        raise ImportError(f"lyrics: {purpose} needs the package {package}: {remedy}") from error


__all__ = ["SUPPORTED_LANGUAGES", "clean_text", "normalize_lyrics", "resolve_language"]
