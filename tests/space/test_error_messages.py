"""Messages of errors: plain text for programs, and no path of the server for anybody."""

import ast
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra space")

from songgen_hf.modeling.audio_io import read_audio
from songgen_hf.pipelines.adapters import load_adapters
from songgen_hf.space import limits
from songgen_hf.space.api_answers import api_error
from songgen_hf.space.limits import Limits
from songgen_hf.space.song_service import error_message
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
    assert {argument for _, argument in arguments} == {"error_message(error)"}, arguments


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
