"""Configurations that no machine can hold, or with values of a wrong type, are refused at once."""

import json

import pytest
from transformers import AutoConfig

from songgen_hf import SongGenForConditionalGeneration, XCodecModel


@pytest.fixture
def folder(tiny_model, tmp_path):
    """Factory of a checkpoint whose ``config.json`` has one changed field."""

    def build(part, section, name, value):
        part.save_pretrained(tmp_path)
        path = tmp_path / "config.json"
        config = json.loads(path.read_text())
        (config[section] if section else config)[name] = value
        path.write_text(json.dumps(config))
        return tmp_path

    return build


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("decoder", "vocab_size", 10**10, "has decoder.vocab_size 10000000000, expected at most"),
        ("decoder", "hidden_size", "many", "not valid: .*hidden_size"),
        ("decoder", "hidden_size", 2**23, "sizes of decoder ask for about .* weights"),
        ("decoder", "num_hidden_layers", 10**9, "has decoder.num_hidden_layers 1000000000"),
        ("text_encoder", "d_ff", 10**12, "has text_encoder.d_ff 1000000000000"),
        ("", "null_text_ids", [10**30], "has null_text_ids 1000000"),
    ],
)
def test_a_song_model_with_impossible_sizes_is_refused_in_one_line(
    folder, tiny_model, section, name, value, message
):
    path = folder(tiny_model("mixed"), section, name, value)

    for load in (SongGenForConditionalGeneration.from_pretrained, AutoConfig.from_pretrained):
        with pytest.raises(ValueError, match=message) as caught:
            load(path)
        text = str(caught.value)
        assert "look at config.json" in text and "\n" not in text and len(text) < 400


def test_a_codec_with_impossible_sizes_is_refused_in_one_line(folder, tiny_model):
    path = folder(tiny_model("mixed").audio_encoder, "", "codebook_size", 10**12)

    with pytest.raises(ValueError, match="has codebook_size 1000000000000, expected at most"):
        XCodecModel.from_pretrained(path)
