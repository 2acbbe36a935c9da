"""The words of the page: every one in both languages, and none besides."""

import ast
import re
import string
from pathlib import Path

import pytest

import songgen_hf.space.strings as strings
from songgen_hf.space.description_chips import EXAMPLES, WHOLE_EXAMPLE
from songgen_hf.space.edits import TRACKS
from songgen_hf.space.settings import FIELDS, MODES
from songgen_hf.space.strings import ENGLISH, LANGUAGES, STRINGS, speaker, wanted_language

SPACE = Path(strings.__file__).parent
SAME = {
    "genre", "top_k", "adapter", "track:band", "redo:band", "balance", "solo", "made:redo",
    "mode_fact:mixed", "section:intro", "section:bridge", "section:outro", "section_length",
    "section_at",
}  # fmt: skip
"""Keys whose text is the same in both languages."""


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


@pytest.mark.parametrize("key", STRINGS)
def test_every_string_is_there_in_both_languages(key):
    english, german = STRINGS[key]

    assert len(STRINGS[key]) == len(LANGUAGES) and bool(english) == bool(german)
    assert places(english) == places(german)
    assert (english == german) == (key in SAME)


def constants():
    """All strings in the sources of the Space but the table."""
    for source in SPACE.glob("*.py"):
        if source.name == "strings.py":
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_string_is_used():
    used = set(constants())
    used |= {f"{name}{ending}" for name in FIELDS for ending in ("", "_fact")}
    families = {"made", "mode", "mode_fact", "how", "track", "redo", "kind", "section", "state",
                "example", "stage"}  # fmt: skip
    used |= {"empty_title", "adapt_empty_title"}
    used |= {f"adapt_{name}" for name in ("recording", "clips", "reason", "loss", "drift")}
    unused = [
        key for key in STRINGS if key not in used and key.partition(":")[0] not in families
        and not key.endswith("_label")
    ]  # fmt: skip

    assert unused == []


def test_every_name_that_is_said_is_there():
    for mode in MODES:
        assert ENGLISH(f"mode:{mode}") and ENGLISH(f"how:{mode}")
    for example in (*EXAMPLES, WHOLE_EXAMPLE):
        assert ENGLISH(f"example:{example.name}") == example.name
    for track in TRACKS:
        assert ENGLISH(f"track:{track}") and ENGLISH(f"redo:{track}") and ENGLISH(f"kind:{track}")
    for source in SPACE.glob("*.py"):
        for key in re.findall(r"\bsay\(\"([\w:]+)\"", source.read_text(encoding="utf-8")):
            assert key in STRINGS, (source.name, key)


def test_a_string_is_said_with_its_values():
    assert ENGLISH("with_seed", seed=7) == "seed 7"
    assert speaker("de")("with_seed", seed=7) == "Startwert 7"


@pytest.mark.parametrize(
    ("header", "query", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", {}, "de"),
        ("fr,en;q=0.8,de;q=0.5", {}, "en"),
        ("fr", {}, "en"),
        ("de", {"lang": "en"}, "en"),
        ("", {"lang": "de"}, "de"),
        ("", {"lang": "../x"}, "en"),
    ],
)
def test_the_language_is_that_of_the_address_or_of_the_browser(header, query, language):
    assert wanted_language({"accept-language": header}, query) == language
