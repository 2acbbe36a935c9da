"""Identifies the language of written lyrics from its function words or its script.

Function words are few, frequent and hardly shared between languages, so that a few lines suffice
and nothing has to be trained; letters that English lacks count like them. Words are counted once,
since "la la la" is no Spanish.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_FUNCTION_WORDS = {
    "en": "the and of to in is it you that was for on are with as his they at be this have from "
    "or had by but not what all were we when your can there an each which she do how "
    "their if will my me i our us he her him who let no so up out through where oh",
    "de": "der die das und ist nicht ich du er sie es wir ihr ein eine einen einem einer den "
    "dem des zu zum zur mit auf für von vom im ins aus bei wenn wie was wo noch nur auch "
    "nach über mein meine meinen dein deine deinen sein seine mir mich dir dich uns sich "
    "hab habe hast bin bist sind war waren wird wirst kein keine keinen da dann denn doch dort "
    "als also dass daß wer wen wem kann kannst könnt soll sollst muss will willst ihm ihn ihnen "
    "euch euer alle alles aller jeder jede schon ganz immer wieder unter hier sehr ohne beim",
    "es": "el la los las un una unos unas de del que y en no es por para con mi mis tu tus su "
    "sus me te se lo le al como más pero cuando donde dónde porque yo tú él ella nosotros "
    "está estoy eres soy sin sobre entre hasta ni ya muy si sí siempre nunca todo nada "
    "nadie",
    "fr": "le la les un une des de du et est que qui dans pour pas ne je tu il elle nous vous "
    "mon ma mes ton ta tes son sa ses ce cette au aux en sur avec sans comme mais où "
    "quand plus moi toi se suis es sont était",
    "it": "il lo la gli i un una uno di del della che e è non per con mi ti si ci da dal nel "
    "nella al alla come ma quando dove perché io tu lui lei noi sono sei mio mia tuo tua "
    "suo sua più se questo questa senza sempre mai",
    "pt": "o a os as um uma de do da dos das que e é não por para com meu minha teu tua seu sua "
    "me te se no na em ao como mas quando onde porque eu tu ele ela nós você mais sem "
    "sempre nunca está estou sou tudo",
    "nl": "de het een en is niet ik jij je hij zij ze wij we van voor met op in te dat die er "
    "maar om aan als wat waar naar mijn jouw zijn haar ben bent was heb hebt nog ook zo "
    "geen bij uit over",
}
_SPELLINGS = {
    "de": re.compile(r"[äöüß]|sch|chts?$|chtet?$|lein$|keit$|heit$"),
    "es": re.compile(r"ñ|[aeiou]ción"),
    "fr": re.compile(r"[œêç]|eux$|eau"),
    "pt": re.compile(r"[ãõ]"),
    "nl": re.compile(r"ij|aa|^sch"),
}
"""What words of a language look like that few English words do; they count as function words."""
_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_SCRIPTS = {
    "CYRILLIC": "ru", "GREEK": "el", "ARABIC": "ar", "HEBREW": "he", "DEVANAGARI": "hi",
    "THAI": "th", "HANGUL": "ko", "CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja",
}  # fmt: skip
_MARGIN = 2  # function words more than English has


def identify_language(lyrics: str) -> str | None:
    """Identify the language of lyrics; None if there are too few function words to tell.

    Args:
        lyrics: lines of text.
    Returns:
        A code such as ``en`` or ``de``. Of a script that several languages share, the code of the
        one with the most speakers; Japanese is told from Chinese by its syllabaries.
    """
    letters = [letter for letter in lyrics if letter.isalpha()]
    scripts = Counter(
        unicodedata.name(letter, "").split(" ")[0].split("-")[0] for letter in letters
    )
    if letters and scripts["LATIN"] < len(letters) / 2:
        known = Counter({_SCRIPTS[name]: scripts[name] for name in scripts if name in _SCRIPTS})
        if "HIRAGANA" in scripts or "KATAKANA" in scripts:
            return "ja"
        return known.most_common(1)[0][0] if known else None
    words = set(re.findall(r"[^\W\d_]+", lyrics.lower()))
    counts = {language: len(words & known) for language, known in _WORDS.items()}
    for language, spelling in _SPELLINGS.items():
        counts[language] += sum(bool(spelling.search(word)) for word in words - _WORDS[language])
    first, second = sorted(counts, key=lambda language: -counts[language])[:2]
    if counts[first] - counts["en"] >= _MARGIN:
        return first
    return "en" if counts["en"] - counts[second if first == "en" else first] >= _MARGIN else None


__all__ = ["identify_language"]
