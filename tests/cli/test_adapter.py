"""songgen-hf generate --adapter: the same model with a LoRA adapter."""

import json

import numpy as np
import pytest
import soundfile
import torch

from songgen_hf.cli import build_parser, main
from songgen_hf.cli.generate.options import GenerateOptions
from songgen_hf.cli.parser import options_of
from songgen_hf.pipelines.adapters import load_adapters, named_adapters


@pytest.fixture
def adapter(tmp_path, tiny_checkpoint):
    """Folder of an adapter that changes the tiny model a lot."""
    pytest.importorskip("peft")
    from transformers import AutoProcessor

    from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
    from songgen_hf.training.language_model.lora import LoraOptions, add_lora

    model = SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint())
    processor = AutoProcessor.from_pretrained(tiny_checkpoint())
    adapted = add_lora(model, LoraOptions(lora_rank=2), processor)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def sing(out, checkpoint, *flags) -> bytes:
    """The bytes of one song; the JSON lies beside it."""
    arguments = ["generate", "folk", "--lyrics", "la", "--model", checkpoint, "--seed", "3"]
    arguments += ["--max-seconds", "0.2", "--device", "cpu", "--quiet", "--out", str(out)]
    assert main([*arguments, *map(str, flags)]) == 0
    return out.read_bytes()


@pytest.mark.slow
def test_an_adapter_changes_the_song_and_is_named_in_its_json(tmp_path, tiny_checkpoint, adapter):
    plain = sing(tmp_path / "plain.wav", tiny_checkpoint())

    adapted = sing(tmp_path / "adapted.wav", tiny_checkpoint(), "--adapter", adapter)

    assert adapted != plain
    assert json.loads((tmp_path / "adapted.json").read_text())["adapter"] == str(adapter)
    assert json.loads((tmp_path / "plain.json").read_text())["adapter"] is None
    sing(tmp_path / "none.wav", tiny_checkpoint(), "--adapter", f"{adapter}:0")
    unchanged, of_base = (soundfile.read(tmp_path / f"{n}.wav")[0] for n in ("none", "plain"))
    np.testing.assert_allclose(unchanged, of_base, atol=1e-3)


def test_adapters_have_weights_after_a_colon(tmp_path):
    (tmp_path / "a,b:2").mkdir()

    assert named_adapters(None) is None
    assert named_adapters("one") == {"one": 1.0}
    assert named_adapters("one:0.5, me/two,three:-1") == {"one": 0.5, "me/two": 1.0, "three": -1.0}
    assert named_adapters("C:\\voices") == {"C:\\voices": 1.0}
    assert named_adapters(str(tmp_path / "a,b:2")) == {str(tmp_path / "a,b:2"): 1.0}
    several = [str(tmp_path / "a,b:2"), "one:0.5,me/two", "three"]
    assert named_adapters(several) == {several[0]: 1.0, "one": 0.5, "me/two": 1.0, "three": 1.0}


@pytest.mark.parametrize("weight", ["abc", "", "0.5x"])
def test_a_weight_that_is_no_number_is_named(weight):
    with pytest.raises(ValueError, match=f"adapter me/one is '{weight}': expected a number"):
        named_adapters(f"two:0.5,me/one:{weight}")


@pytest.mark.parametrize("command", ["generate", "serve"])
def test_adapters_may_be_given_one_by_one(command):
    options = options_of(build_parser(command).parse_args(f"{command} --adapter a".split()))
    several = options_of(
        build_parser(command).parse_args(f"{command} --adapter a --adapter b:0.5,c".split())
    )

    assert named_adapters(options.adapter) == {"a": 1.0}
    assert named_adapters(several.adapter) == {"a": 1.0, "b": 0.5, "c": 1.0}


def test_a_song_names_its_adapters_as_one_flag_has_them():
    assert GenerateOptions().adapters is None
    assert GenerateOptions(adapter=["a"]).adapters == "a"
    assert GenerateOptions(adapter=["a", "b:0.5,c"]).adapters == "a,b:0.5,c"


@pytest.mark.slow
def test_an_adapter_in_the_place_of_a_model_is_an_error_that_says_so(tmp_path, capsys):
    (tmp_path / "adapter_config.json").write_text("{}")

    assert main(["generate", "folk", "--model", str(tmp_path)]) == 2
    assert "is an adapter: expected a model; give it as --adapter" in capsys.readouterr().err


def test_a_folder_without_an_adapter_is_an_error_of_one_line(tmp_path, tiny_checkpoint, capsys):
    arguments = ["generate", "folk", "--model", tiny_checkpoint(), "--adapter", str(tmp_path)]

    assert main([*arguments, "--device", "cpu", "--quiet", "--out", str(tmp_path / "a.wav")]) == 2
    assert "cannot load the adapter" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["./nowhere", "a/b/c", "", "~/voice", "../voice"])
def test_a_path_that_does_not_exist_is_not_called_a_wrong_hub_id(name):
    message = f"no adapter '{name}': it is no folder here and no Hub id"

    with pytest.raises(ValueError, match=message):
        load_adapters(None, name)
