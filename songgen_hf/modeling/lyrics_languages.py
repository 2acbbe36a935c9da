"""Tables of the words that each language uses for titles, signs, ordinals and amounts of money.

``lyrics_normalization.py`` applies them. The words are those that the lyrics tokenizer of the
published checkpoint was trained with (the multilingual cleaner of XTTS), so they are not corrected
here, even where a native speaker would choose others.
"""

from dataclasses import dataclass

SIGNS = ("&", "@", "%", "#", "$", "£", "°")  # in the order of replacement


@dataclass(frozen=True)
class LyricsLanguage:
    """Rules for cleaning lyrics in one language.

    Attributes:
        signs: words for ``SIGNS``, in that order; empty if signs are kept.
        titles: pairs of an abbreviation and its full word.
        ordinals: regular expression of the characters after the digits of an ordinal number.
        cents: text between the whole and the fractional part of a spelled amount of money.
        number_language: code of the language in num2words; None if num2words is not used.
        tag: name in the language token, ``[tag]``, with which the lyrics begin.
        dotted: whether an abbreviation must end in a dot.
        grouping: the character that separates thousands.
        decimals: whether decimal numbers are spelled as one number.
    """

    signs: tuple[str, ...] = ()
    titles: tuple[tuple[str, str], ...] = ()
    ordinals: str | None = None
    cents: str = ", "
    number_language: str | None = None
    tag: str = ""
    dotted: bool = True
    grouping: str = "."
    decimals: bool = True


def _pairs(words: str) -> tuple[tuple[str, str], ...]:
    """Split ``"dr doctor, st saint"`` into (("dr", "doctor"), ("st", "saint"))."""
    split = (pair.strip().partition(" ") for pair in words.split(","))
    return tuple((short, word) for short, _, word in split)


LANGUAGES: dict[str, LyricsLanguage] = {
    "en": LyricsLanguage(
        signs=("and", "at", "percent", "hash", "dollar", "pound", "degree"),
        titles=_pairs(
            "mrs misess, mr mister, dr doctor, st saint, co company, jr junior, maj major, "
            "gen general, drs doctors, rev reverend, lt lieutenant, hon honorable, sgt sergeant, "
            "capt captain, esq esquire, ltd limited, col colonel, ft fort"
        ),
        ordinals="st|nd|rd|th",
        number_language="en",
        tag="en",
        grouping=",",
    ),
    "es": LyricsLanguage(
        signs=("y", "arroba", "por ciento", "numeral", "dolar", "libra", "grados"),
        titles=_pairs(
            "sra señora, sr señor, dr doctor, dra doctora, st santo, co compañía, jr junior, "
            "ltd limitada"
        ),
        ordinals="º|ª|er|o|a|os|as",
        cents=" con ",
        number_language="es",
        tag="es",
    ),
    "fr": LyricsLanguage(
        signs=("et", "arobase", "pour cent", "dièse", "dollar", "livre", "degrés"),
        titles=_pairs(
            "mme madame, mr monsieur, dr docteur, st saint, co compagnie, jr junior, ltd limitée"
        ),
        ordinals="º|ª|er|re|e|ème",
        cents=" et ",
        number_language="fr",
        tag="fr",
    ),
    "de": LyricsLanguage(
        signs=("und", "at", "prozent", "raute", "dollar", "pfund", "grad"),
        titles=_pairs("fr frau, dr doktor, st sankt, co firma, jr junior"),
        ordinals=r"st|nd|rd|th|º|ª|\.(?=\s|$)",
        cents=" und ",
        number_language="de",
        tag="de",
    ),
    "it": LyricsLanguage(
        signs=("e", "chiocciola", "per cento", "cancelletto", "dollaro", "sterlina", "gradi"),
        titles=_pairs("sig signore, dr dottore, st santo, co compagnia, jr junior, ltd limitata"),
        ordinals="º|°|ª|o|a|i|e",
        cents=" e ",
        number_language="it",
        tag="it",
    ),
    "pt": LyricsLanguage(
        signs=("e", "arroba", "por cento", "cardinal", "dólar", "libra", "graus"),
        titles=_pairs(
            "sra senhora, sr senhor, dr doutor, dra doutora, st santo, co companhia, jr júnior, "
            "ltd limitada"
        ),
        ordinals="º|ª|o|a|os|as",
        cents=" e ",
        number_language="pt",
        tag="pt",
    ),
    "nl": LyricsLanguage(
        signs=("en", "bij", "procent", "hekje", "dollar", "pond", "graden"),
        titles=_pairs("dhr de heer, mevr mevrouw, dr dokter, jhr jonkheer"),
        ordinals="de|ste|e",
        number_language="nl",
        tag="nl",
    ),
    "pl": LyricsLanguage(
        signs=("i", "małpa", "procent", "krzyżyk", "dolar", "funt", "stopnie"),
        titles=_pairs("p pani, m pan, dr doktor, sw święty, jr junior"),
        ordinals="º|ª|st|nd|rd|th",
        number_language="pl",
        tag="pl",
    ),
    "cs": LyricsLanguage(
        signs=("a", "na", "procento", "křížek", "dolar", "libra", "stupně"),
        titles=_pairs("dr doktor, ing inženýr, p pan"),
        ordinals=r"\.(?=\s|$)",
        number_language="cs",
        tag="cs",
    ),
    "ru": LyricsLanguage(
        signs=("и", "собака", "процентов", "номер", "доллар", "фунт", "градус"),
        titles=_pairs("г-жа госпожа, г-н господин, д-р доктор"),
        ordinals="-й|-я|-е|-ое|-ье|-го",
        number_language="ru",
        tag="ru",
        dotted=False,
        grouping=",",
    ),
    "tr": LyricsLanguage(
        signs=("ve", "at", "yüzde", "diyez", "dolar", "sterlin", "derece"),
        titles=_pairs("b bay, byk büyük, dr doktor"),
        ordinals=r"\.|inci|nci|uncu|üncü",
        number_language="tr",
        tag="tr",
        decimals=False,
    ),
    "hu": LyricsLanguage(
        signs=("és", "kukac", "százalék", "kettőskereszt", "dollár", "font", "fok"),
        titles=_pairs("dr doktor, b bácsi, nőv nővér"),
        ordinals=r"\.|adik|edik|odik|ödik|ödike|ik",
        number_language="hu",
        tag="hu",
    ),
    "ar": LyricsLanguage(
        signs=("و", "على", "في المئة", "رقم", "دولار", "جنيه", "درجة"),
        ordinals="ون|ين|ث|ر|ى",
        number_language="ar",
        tag="ar",
    ),
    "ko": LyricsLanguage(
        signs=("그리고", "에", "퍼센트", "번호", "달러", "파운드", "도"),
        ordinals="번째|번|차|째",
        number_language="ko",
        tag="ko",
    ),
    "zh": LyricsLanguage(
        signs=("和", "在", "百分之", "号", "美元", "英镑", "度"),
        tag="zh-cn",
    ),
    "ja": LyricsLanguage(tag="ja"),
    "hi": LyricsLanguage(tag="hi"),
}
