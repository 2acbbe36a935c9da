"""Tests of two models on disk that share a codec: they load and can be saved completely."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor, pipeline

from songgen_hf.checkpoints import embedded as checkpoints
from songgen_hf.checkpoints.embedded import EMBEDDED_PATTERNS
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.publishing.export import export
from songgen_hf.publishing.export_sharing import export_changes, export_sharing_codec
from songgen_hf.publishing.hub import publish

from ..tools.tiny_checkpoint import tiny_processor, tiny_singer  # noqa: F401


@pytest.fixture(scope="module")
def singers(tiny_singer, tiny_processor):  # noqa: F811
    """Tiny models of both patterns with the same codec, and their processor."""
    first, second = (copy.deepcopy(tiny_singer(pattern)) for pattern in EMBEDDED_PATTERNS)
    second.audio_encoder.load_state_dict(first.audio_encoder.state_dict())
    second.conditioner.voice_encoder.load_state_dict(first.conditioner.voice_encoder.state_dict())
    return dict(
        zip(EMBEDDED_PATTERNS, ((first, tiny_processor), (second, tiny_processor)), strict=True)
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory, singers):
    """The folder with both models and their codec."""
    return export_sharing_codec(singers, tmp_path_factory.mktemp("shared") / "songgen-mini")


def weights_of(model) -> dict[str, torch.Tensor]:
    """Return copies of the weights of a model."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_weights(model, expected) -> None:
    found = model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def load(folder: Path) -> SongGenForConditionalGeneration:
    return SongGenForConditionalGeneration.from_pretrained(folder)


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("pattern", EMBEDDED_PATTERNS)
def test_each_exported_model_has_the_same_weights(shared, singers, pattern):
    for kind in (SongGenForConditionalGeneration, AutoModel):
        loaded, report = kind.from_pretrained(shared / pattern, output_loading_info=True)

        assert not any(report[f"{kind}_keys"] for kind in ("missing", "unexpected", "mismatched"))
        assert_same_weights(loaded, singers[pattern][0].state_dict())


@pytest.mark.slow
def test_the_codec_loads_by_itself(shared, singers):
    codec, report = XCodecModel.from_pretrained(shared / "codec", output_loading_info=True)

    assert not any(report[f"{kind}_keys"] for kind in ("missing", "unexpected", "mismatched"))
    assert_same_weights(codec, singers["mixed_pro"][0].audio_encoder.state_dict())
    assert type(AutoModel.from_pretrained(shared / "codec")) is XCodecModel


@pytest.mark.slow
def test_the_codec_is_stored_once_and_the_index_is_correct(shared):
    codec = load_file(shared / "codec" / "model.safetensors")

    common = load_file(shared / "shared" / "model.safetensors")

    assert all(key.startswith("audio_encoder.") for key in codec)
    assert not common.keys() & codec.keys()
    for pattern in EMBEDDED_PATTERNS:
        index = json.loads((shared / pattern / "model.safetensors.index.json").read_text())
        own = load_file(shared / pattern / "language_model.safetensors")
        assert not own.keys() & (codec.keys() | common.keys())
        assert not any(key.startswith("conditioner.voice_encoder.") for key in own)
        files = {
            "language_model.safetensors": own,
            "../codec/model.safetensors": codec,
            "../shared/model.safetensors": common,
        }
        for key, place in index["weight_map"].items():
            assert key in files[place]
            assert (shared / pattern / place).is_file()
        assert len(index["weight_map"]) == len(own) + len(codec) + len(common)


@pytest.mark.slow
def test_a_single_model_shares_only_its_codec(singers, tmp_path):
    folder = export_sharing_codec({"one": singers["mixed_pro"]}, tmp_path / "out")

    assert sorted(path.name for path in folder.iterdir()) == ["codec", "one"]
    loaded = SongGenForConditionalGeneration.from_pretrained(folder / "one")
    assert_same_weights(loaded, singers["mixed_pro"][0].state_dict())


@pytest.mark.slow
def test_a_checkpoint_saved_from_a_sharing_model_is_complete(shared, singers, tmp_path):
    model = SongGenForConditionalGeneration.from_pretrained(shared / "interleaving_A_V")
    processor = AutoProcessor.from_pretrained(shared / "interleaving_A_V")
    expected = singers["interleaving_A_V"][0].state_dict()

    model.save_pretrained(tmp_path / "saved")
    model.save_pretrained(tmp_path / "split", max_shard_size="50KB")
    model.save_pretrained(tmp_path / "original", save_original_format=True)
    export(model, processor, tmp_path / "exported")

    for name in ("saved", "split", "original", "exported"):
        assert ".." not in "".join(
            place
            for path in (tmp_path / name).glob("*.index.json")
            for place in json.loads(path.read_text())["weight_map"].values()
        )
        loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path / name)
        assert_same_weights(loaded, expected)


@pytest.mark.slow
def test_a_checkpoint_pushed_from_a_sharing_model_is_complete(shared, monkeypatch):
    pushed = {}

    def upload(folder, *_, **__):
        pushed.update({path.name: path.read_bytes() for path in Path(folder).iterdir()})

    monkeypatch.setattr("songgen_hf.publishing.hub.upload", upload)
    model = SongGenForConditionalGeneration.from_pretrained(shared / "mixed_pro")

    publish(model, "nobody/nothing")

    assert {"README.md", "config.json", "model.safetensors"} <= pushed.keys()
    assert not any(name.endswith("index.json") for name in pushed)


@pytest.mark.slow
def test_a_codec_saved_from_the_sharing_folder_has_its_own_key_names(shared, tmp_path):
    codec = XCodecModel.from_pretrained(shared / "codec")

    codec.save_pretrained(tmp_path)

    assert load_file(tmp_path / "model.safetensors").keys() == codec.state_dict().keys()


@pytest.mark.slow
def test_exported_models_generate_the_same_songs(shared, singers):
    for pattern, (model, processor) in singers.items():
        settings = {"seed": 3, "max_seconds": 0.2, "do_sample": True, "top_k": 20}
        expected = pipeline("text-to-song", model=model, processor=processor, device="cpu")(
            "folk", lyrics="la la", **settings
        )

        sing = pipeline("text-to-song", model=str(shared / pattern), device="cpu")

        assert np.array_equal(sing("folk", lyrics="la la", **settings)["audio"], expected["audio"])


@pytest.mark.slow
def test_half_precision_files_can_be_loaded_as_float32(singers, tmp_path):
    folder = export_sharing_codec(singers, tmp_path / "out", dtype="bfloat16", load_dtype="float32")

    expected = weights_of(singers["mixed_pro"][0])
    loaded = SongGenForConditionalGeneration.from_pretrained(folder / "mixed_pro")
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.float32}
    assert_same_weights(
        loaded,
        {
            name: tensor.bfloat16().to(tensor.dtype) if tensor.is_floating_point() else tensor
            for name, tensor in expected.items()
        },
    )
    assert XCodecModel.from_pretrained(folder / "codec").dtype == torch.float32
    stored = load_file(folder / "codec" / "model.safetensors").values()
    assert {tensor.dtype for tensor in stored if tensor.is_floating_point()} == {torch.bfloat16}


@pytest.mark.slow
@pytest.mark.parametrize("quantize", [None, "int8"])
def test_changed_weights_get_files_of_their_own(singers, tmp_path, quantize):
    precision = {"dtype": "bfloat16", "load_dtype": "float32", "quantize": quantize}
    export_sharing_codec(singers, tmp_path / "first", **precision)
    pattern = "mixed_pro"
    loaded, processor = load(tmp_path / "first" / pattern), singers[pattern][1]
    before = tmp_path / "first"
    for number, name in (("02", "decoder.lm_heads"), ("03", "conditioner.voice_projection")):
        with torch.no_grad():
            loaded.get_submodule(name).weight += 0.5
        after = tmp_path / number

        export_changes({pattern: (loaded, processor)}, before, after, **precision)

        files = {path.relative_to(before): path.read_bytes() for path in weight_files(before)}
        assert all((after / path).read_bytes() == content for path, content in files.items())
        (new,) = {path.relative_to(after) for path in weight_files(after)} - files.keys()
        assert new == Path(pattern) / f"language_model_{number}.safetensors"
        assert {key.rpartition(".")[0] for key in load_file(after / new)} == {name}
        again = load(after / pattern)
        export(loaded, processor, tmp_path / f"whole{number}", **precision)
        assert_same_weights(again, load(tmp_path / f"whole{number}").state_dict())
        unchanged = load(after / "interleaving_A_V").state_dict()
        assert_same_weights(load(before / "interleaving_A_V"), unchanged)
        before = after


@pytest.mark.slow
def test_changes_of_a_codec_and_of_unknown_models_are_refused(singers, shared, tmp_path):
    model, processor = singers["mixed_pro"]
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.audio_encoder.fc.bias += 1

    with pytest.raises(ValueError, match=r"and of mixed_pro differ in 1 weights.*anew"):
        export_changes({"mixed_pro": (other, processor)}, shared, tmp_path / "out")
    with pytest.raises(ValueError, match=r"has no parallel/model\.safetensors\.index\.json: name"):
        export_changes({"parallel": (model, processor)}, shared, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_models_with_different_codecs_are_refused(singers, tmp_path):
    other = copy.deepcopy(singers["interleaving_A_V"][0])
    with torch.no_grad():
        other.audio_encoder.fc.bias += 1

    with pytest.raises(ValueError, match=r"codecs of a and b differ in 1 of .*fc\.bias"):
        export_sharing_codec(
            {"a": singers["mixed_pro"], "b": (other, singers["mixed_pro"][1])}, tmp_path / "out"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [(), ("codec",), ("shared",)])
def test_folder_names_of_models_must_differ_from_those_of_common_weights(singers, tmp_path, names):
    with pytest.raises(ValueError, match="without 'codec'"):
        export_sharing_codec({name: singers["mixed_pro"] for name in names}, tmp_path / "out")


def test_short_names_stand_for_the_embedded_folders(shared, monkeypatch):
    monkeypatch.setattr(checkpoints, "EMBEDDED", shared)

    assert checkpoints.default_checkpoint() == str(shared / "interleaving_A_V")
    assert checkpoints.default_checkpoint("mixed_pro") == str(shared / "mixed_pro")
    assert checkpoints.find_checkpoint("songgen-mini") == str(shared / "interleaving_A_V")
    for part in (*EMBEDDED_PATTERNS, "codec"):
        assert checkpoints.find_checkpoint(f"songgen-mini/{part}") == str(shared / part)
    for name in ("owner/songgen-mini", "songgen-minimal", "some/where/else"):
        assert checkpoints.find_checkpoint(name) == name
