"""Codes of languages, which recordings name by code, by region or in English."""

from functools import cache


@cache
def language_code(name: str) -> str:
    """The code of a language, such as ``en`` of ``en-US``, ``en_GB`` or ``English``.

    Unknown names are returned in lower case.
    """
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    word = name.strip().lower()
    return TO_LANGUAGE_CODE.get(word, word.replace("_", "-").partition("-")[0])


__all__ = ["language_code"]
