"""Messages of errors: plain text for programs, and no path of the server for anybody."""

import ast
import re
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra space")

from songgen_hf.data.preparation.configuration import read_preparation
from songgen_hf.data.preparation.filtering import RULES, Thresholds
from songgen_hf.data.preparation.songs import build_stages
from songgen_hf.modeling.audio_io import read_audio
from songgen_hf.pipelines.adapters import load_adapters
from songgen_hf.space import limits
from songgen_hf.space.api_answers import api_error
from songgen_hf.space.error_messages import error_message, in_german, tell
from songgen_hf.space.error_strings import MESSAGES, PARTS
from songgen_hf.space.limits import Limits
from songgen_hf.space.strings import STRINGS, speaker
from songgen_hf.space.voice import read_voice

SPACE = Path(limits.__file__).parent
TELLS_VISITORS = {"Error", "Warning", "Info", "problem"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("no adapter '/srv/my space/a.b' here", "No adapter 'a.b' here."),
        ("cannot read /tmp/gradio/0a1/voice.wav: no sound", "Cannot read voice.wav: no sound."),
        ("see /var/cache/x/. It is empty", "See x. It is empty."),
        (r"cannot read C:\Users\me\voice.wav", "Cannot read voice.wav."),
        ('Error opening "/home/me/v.wav".', 'Error opening "v.wav".'),
    ],
)
def test_only_the_name_of_a_file_is_told(message, told):
    assert error_message(ValueError(message)) == told


@pytest.mark.parametrize(
    "message",
    [
        "the seed is '<b>' & more: 1/2, and/or 3 / 4.",
        "cannot fetch someone/adapter from https://huggingface.co/someone/adapter now.",
    ],
)
def test_other_words_stay_as_they_are_also_for_programs(message):
    told = message[0].upper() + message[1:]

    assert error_message(ValueError(message)) == told
    assert api_error(ValueError(message)).message == told


VALUE = "X7"
LIBRARY = ("modeling/audio_io.py", "pipelines/adapters.py", "pipelines/section_files.py",
           "pipelines/song_plan.py", "training/adaptation/run.py")  # fmt: skip
"""Modules of the library whose messages visitors can see, besides those of the Space."""
OWNERS = {"hub_repository.py", "loading.py"}
"""Modules whose messages only the owner of a Space sees, who starts it."""
NOT_SEEN = (
    # When a Space is built.
    "no adapter X7: it is", "X7 holds no adapter", "two adapters are called", "a Space needs",
    "the pipeline for X7", "defaults: X7",
    # Of arguments that the Space does not pass, or has checked before.
    "X7 holds no audio", "X7 holds NaN", "X7 must be [samples]", "X7 must be float",
    "audio must be", "audio is read", "an audio", "no audio file", "the start must be",
    "the duration must be", "the sampling rate must", "X7 lasts X7 s, but", "cannot read X7 (X7)",
    "X7 must be a number of s", "X7 must be above 0 seconds", "context and extend_stride",
    "extend_stride is", "context is X7 s", "section X7 quotes", "lyrics must be a string",
    "X7 has other files", "digest",
)  # fmt: skip


def messages_of(source):
    """The messages of the errors in a source, with VALUE in the places of values."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            if getattr(node.exc.func, "id", "") in ("ValueError", "TypeError", "NothingKept"):
                yield from texts_of(node.exc.args[-1])


def texts_of(node):
    """The texts that an expression may have."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
        return ["".join(parts)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in texts_of(node.left) for b in texts_of(node.right)]
    if isinstance(node, ast.IfExp):
        return [*texts_of(node.body), *texts_of(node.orelse)]
    return []


def test_every_message_that_a_visitor_can_see_has_a_german_text():
    package = SPACE.parent
    sources = [path for path in SPACE.glob("*.py") if path.name not in OWNERS]
    sources += [package / name for name in LIBRARY]
    messages = [message for source in sources for message in messages_of(source)]

    missing = [
        message for message in messages
        if in_german(" ".join(message.split())) is None and not message.startswith(NOT_SEEN)
    ]  # fmt: skip

    assert len(messages) > 60 and missing == []


def test_every_reason_of_the_preparation_has_a_german_text():
    source = SPACE.parent / "data" / "preparation" / "filtering.py"
    bounds = Thresholds(**{rule.threshold: min(0.5, rule.range[1]) for rule in RULES})
    worse = {rule: -80.0 if rule.is_minimum else 9e9 for rule in RULES}
    reasons = [rule.reason({rule.column: score}, bounds) for rule, score in worse.items()]
    reasons += reasons_of(source)
    stages = build_stages(read_preparation("small"), Path("songs"))

    german = [in_german(reason) for reason in reasons]

    assert len(reasons) == len(RULES) + 7 and None not in german
    assert {rule.name for rule in RULES} | {stage.name for stage in stages} <= set(PARTS)
    assert {f"stage:{stage.name}" for stage in stages} <= set(STRINGS)
    assert in_german("loudness: -45 LUFS is below the lowest allowed, -40 LUFS") == (
        "Lautheit: -45 LUFS, erlaubt sind mindestens -40 LUFS"
    )
    assert in_german("error: inspect: it has no sound") == (
        "Fehler beim Schritt „Prüfen“: enthält keinen Klang"
    )
    assert in_german(
        "error: segment: it is silent in mono, below -6 dB throughout: replace it"
    ) == ("Fehler beim Schritt „Schneiden“: in Mono durchgehend still, unter -6 dB; bitte ersetzen")
    assert in_german("error: inspect: 'a' holds no audio") == (
        "Fehler beim Schritt „Prüfen“: 'a': enthält keinen Klang"
    )
    assert in_german(
        "error: inspect: 'a' holds NaN or infinite samples; repair or replace the recording"
    ) == ("Fehler beim Schritt „Prüfen“: 'a': enthält ungültige Werte; bitte die Aufnahme ersetzen")
    assert in_german(
        "error: separate: vocal holds NaN or infinite samples; repair or replace it"
    ) == (
        "Fehler beim Schritt „Trennen“: vocal: enthält ungültige Werte; bitte die Aufnahme ersetzen"
    )
    assert in_german("error: inspect: lyrics: got list, expected text; write it as one") == (
        "Fehler beim Schritt „Prüfen“: lyrics: erwartet Text, nicht list; bitte als Text schreiben"
    )
    assert in_german("error: inspect: cannot read a.txt as UTF-8: save it in this encoding") == (
        "Fehler beim Schritt „Prüfen“: a.txt ist kein UTF-8; bitte in dieser Kodierung speichern"
    )


def reasons_of(source):
    """The reasons in the source of the filter, with VALUE in the places of values."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "append":
            yield from texts_of(node.args[0])
        if isinstance(node, ast.Return) and isinstance(node.value, ast.List):
            for text in node.value.elts:
                yield from (f"{one}: X" for one in texts_of(text))


@pytest.mark.parametrize("english", MESSAGES)
def test_a_german_message_has_the_values_of_the_english_one_or_fewer(english):
    names = set(re.findall(r"\{(\w+)\}", MESSAGES[english]))

    assert names <= set(re.findall(r"\{(\w+)\}", english))
    assert in_german(english.format_map(Values())) is not None


class Values(dict):
    def __missing__(self, name):
        return VALUE


def test_a_message_is_said_in_german_with_its_values():
    told = tell(ValueError("the length must be a number from 1 to 30: got 900"), speaker("de"))

    assert told == ("Länge: erwartet eine Zahl von 1 bis 30, nicht 900.", "de")
    assert tell(ValueError("nobody knows this"), speaker("de")) == ("Nobody knows this.", "en")
    assert tell(RuntimeError("secret"), speaker("de")).text.startswith("Auf dem Server")
    assert all(PARTS.values())


def test_every_message_of_an_error_is_made_in_one_place():
    arguments = []
    for source in SPACE.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in TELLS_VISITORS and getattr(node.func.value, "id", "") in (
                    "gr",
                    "markup",
                ):
                    arguments.append((source.name, ast.unparse(node.args[0])))

    assert len(arguments) >= 4
    told = {"error_message(error)", "tell(error, say)", "tell_all(problems, say)"}
    assert {argument for _, argument in arguments} <= told, arguments


@pytest.mark.parametrize("content", [b"", b"hello", b"RIFF" + bytes(300), b"\x1aE\xdf\xa3" * 9])
def test_a_broken_recording_is_refused_without_its_path(tmp_path, content):
    path = tmp_path / "voice.wav"
    path.write_bytes(content)

    with pytest.raises(ValueError) as caught:
        read_voice(path, 0.0, Limits())
    assert str(tmp_path) not in str(caught.value) + error_message(caught.value)
    with pytest.raises(ValueError) as caught:
        read_audio(str(path), 16000)
    assert str(tmp_path) not in str(caught.value)


def test_a_broken_adapter_is_refused_without_its_path(tmp_path, tiny_singer):
    pytest.importorskip("peft", reason="needs the extra train")
    (tmp_path / "adapter_config.json").write_text("{}")

    with pytest.raises(ValueError, match="cannot load the adapter") as caught:
        load_adapters(tiny_singer(), str(tmp_path))

    told = error_message(caught.value)
    assert tmp_path.name in told and str(tmp_path.parent) not in told
