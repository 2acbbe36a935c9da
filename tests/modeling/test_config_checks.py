"""Configurations that no machine can hold, or with values of a wrong type, are refused at once."""

import json

import pytest
from transformers import AutoConfig, GenerationConfig

from songgen_hf import SongGenForConditionalGeneration, XCodecModel
from songgen_hf.cli import main
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.modeling.config_checks import check_generation_settings
from tests.tools.judge_cases import tiny_judges
from tests.tools.tiny_checkpoint import tiny_masked, tiny_processor, tiny_singer

HUGE, WORD = 10**10, "many"


@pytest.fixture
def changed(tiny_model, tiny_masked, tmp_path):
    """Factory of a saved model whose ``config.json`` has one changed field."""
    parts = {
        "song": (lambda: tiny_model("mixed"), "config.json"),
        "codec": (lambda: tiny_model("mixed").audio_encoder, "config.json"),
        "masked": (tiny_masked, "transformer/config.json"),
        "recognizer": (tiny_judges, "phoneme_recognizer/config.json"),
        "classifier": (tiny_judges, "song_classifier/config.json"),
    }

    def build(part, sections, name, value):
        model, file = parts[part]
        model = model()
        (model.save if isinstance(model, Judges) else model.save_pretrained)(tmp_path)
        config = json.loads((tmp_path / file).read_text())
        inner = config
        for section in sections:
            inner = inner[section]
        inner[name] = value
        (tmp_path / file).write_text(json.dumps(config))
        return tmp_path

    return build


def load(part, folder):
    """Load a model with ``from_pretrained``."""
    from songgen_hf.pipelines.masked_song import MaskedSongPipeline

    loaders = {
        "song": SongGenForConditionalGeneration.from_pretrained,
        "codec": XCodecModel.from_pretrained,
        "masked": MaskedSongPipeline.from_pretrained,
    }
    return loaders.get(part, Judges.load)(folder)


SIZES = [
    ("song", ("decoder",), "vocab_size", HUGE),
    ("song", ("decoder",), "hidden_size", WORD),
    ("song", ("decoder",), "hidden_size", 2**23),
    ("song", ("decoder",), "num_hidden_layers", 10**9),
    ("song", ("decoder",), "num_codebooks", -1),
    ("song", ("text_encoder",), "d_ff", 10**12),
    ("song", ("lyrics_encoder",), "vocab_size", HUGE),
    ("song", ("lyrics_encoder",), "output_size", WORD),
    ("song", ("voice_encoder",), "hidden_size", WORD),
    ("song", ("voice_encoder",), "intermediate_size", HUGE),
    ("song", ("audio_encoder", "acoustic_model_config"), "decoder_hidden_size", HUGE),
    ("song", ("audio_encoder", "semantic_model_config"), "hidden_size", WORD),
    ("song", (), "null_text_ids", [10**30]),
    ("codec", (), "codebook_size", HUGE),
    ("codec", ("semantic_model_config",), "hidden_size", WORD),
    ("masked", (), "codebook_size", HUGE),
    ("masked", (), "hidden_size", WORD),
    ("recognizer", (), "hidden_size", HUGE),
    ("recognizer", (), "hidden_size", WORD),
    ("classifier", (), "embedding_size", HUGE),
    ("classifier", (), "hidden_size", WORD),
]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "sections", "name", "value"), SIZES)
def test_impossible_sizes_are_refused_in_one_line(changed, capsys, part, sections, name, value):
    folder = changed(part, sections, name, value)
    shown = value[0] if isinstance(value, list) else repr(value)
    expected = f"{'.'.join((*sections, name))} {shown}"

    with pytest.raises(ValueError, match="config.json") as caught:
        load(part, folder)
    messages = [str(caught.value)]
    if part in ("song", "codec", "masked"):
        command = ["generate", "folk", "--out", str(folder / "a.wav"), "--model", str(folder)]
        if part == "codec":
            command = ["decode", str(folder / "a.npz"), str(folder / "a.wav"), "--model"]
            command.append(str(folder))
            (folder / "a.npz").write_bytes(codes_file())
        for words in (command, ["info", str(folder)]):
            assert main(words) == 2
            messages.append(capsys.readouterr().err.splitlines()[-1])

    for message in messages:
        assert expected in message or "sizes of" in message
        assert "look at config.json" in message and "\n" not in message and len(message) < 400


def codes_file() -> bytes:
    """The bytes of a .npz file of codes."""
    from pathlib import Path

    from songgen_hf.checkpoints.codes_files import encode_codes

    return encode_codes(Path("a.npz"), [[1, 2, 3]])


def test_a_configuration_with_impossible_sizes_is_refused(changed):
    folder = changed("song", ("decoder",), "vocab_size", HUGE)

    with pytest.raises(ValueError, match="decoder.vocab_size 10000000000, expected at most"):
        AutoConfig.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("top_k", "many", "top_k .*'many', expected an integer"),
        ("top_k", [1], "expected an integer"),
        ("temperature", float("nan"), "temperature .*expected a finite number"),
        ("max_length", 10**30, "max_length .*expected at most"),
        ("pad_token_id", None, "pad_token_id .*expected ids from 0 to 63"),
        ("eos_token_id", [3, 64], "eos_token_id .*expected ids from 0 to 63"),
        ("suppress_tokens", ["a"], "suppress_tokens .*expected ids"),
    ],
)
def test_generation_settings_of_a_wrong_type_are_named(name, value, message):
    settings = GenerationConfig(pad_token_id=1, decoder_start_token_id=2, top_k=3)
    check_generation_settings(settings, 64)
    setattr(settings, name, value)

    with pytest.raises(ValueError, match=message):
        check_generation_settings(settings, 64)
