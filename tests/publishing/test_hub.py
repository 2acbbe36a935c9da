"""Tests of uploading models, codecs, adapters and songs to the Hub and loading them again."""

import json
import re

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, pipeline

from songgen_hf import SongGenForConditionalGeneration, XCodecModel
from songgen_hf.cli import main
from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.provenance import provenance, read_provenance
from songgen_hf.publishing.hub import publish, push_adapter, push_songs, upload_files

from ..tools.hub_stand_in import card_data

# huggingface_hub 2.4 uploads large files in a way that is deprecated in its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
SHORT = ["--max-seconds", "0.2", "--device", "cpu", "--quiet"]


@pytest.fixture
def model(tiny_checkpoint):
    """A tiny model, loaded from its folder."""
    return SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint()).eval()


def weights_equal(one, two) -> bool:
    """Whether two models have the same weights, bit for bit."""
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


@pytest.mark.slow
def test_a_pipeline_is_uploaded_in_one_commit_and_loads_again(hub, model, tiny_processor):
    sing = TextToSongPipeline(model=model, processor=tiny_processor)

    commit = publish(sing, "me/x", commit_message="first")
    back = pipeline("text-to-song", model="me/x")

    assert hub.repositories["model", "me/x"].messages == ["initial commit", "first"]
    assert commit.oid == hub.repositories["model", "me/x"].refs["main"]
    assert weights_equal(back.model, model)
    wanted = {"max_seconds": 0.2, "seed": 3}
    assert np.array_equal(back("folk", **wanted)["audio"], sing("folk", **wanted)["audio"])
    assert provenance(back.model, seed=3, options={})["revision"] == commit.oid


@pytest.mark.slow
def test_the_uploaded_card_has_valid_metadata(hub, model):
    publish(model, "me/x", tags=["mine"])

    card = hub.files("me/x")["README.md"]
    data = card_data(card)
    assert data["pipeline_tag"] == "text-to-audio" and data["library_name"] == "transformers"
    assert {"text-to-song", "ai-generated", "mine"} <= set(data["tags"])
    assert b'model="me/x"' in card and b"Out of scope" in card
    assert "model-index" not in data and "license" not in data  # not known


@pytest.mark.slow
def test_a_model_a_processor_and_a_codec_can_be_uploaded_separately(hub, model, tiny_processor):
    publish(model, "me/x")
    card = hub.files("me/x")["README.md"]
    tiny_processor.push_to_hub("me/x")
    publish(model.audio_encoder, "me/codec")

    assert hub.files("me/x")["README.md"] == card
    assert weights_equal(SongGenForConditionalGeneration.from_pretrained("me/x"), model)
    processor = AutoProcessor.from_pretrained("me/x")
    assert processor.tokenizer("folk").input_ids == tiny_processor.tokenizer("folk").input_ids
    assert weights_equal(XCodecModel.from_pretrained("me/codec"), model.audio_encoder)
    assert b"An audio codec" in hub.files("me/codec")["README.md"]


@pytest.mark.slow
def test_saving_with_push_to_hub_saves_and_uploads(hub, model, tmp_path):
    model.save_pretrained(tmp_path / "x", push_to_hub=True, repo_id="me/x")

    assert (tmp_path / "x" / "README.md").read_bytes() == hub.files("me/x")["README.md"]
    assert (tmp_path / "x" / "model.safetensors").read_bytes() == hub.files("me/x")[
        "model.safetensors"
    ]


@pytest.mark.slow
def test_the_commit_of_a_single_file_deletes_old_shards(hub, model):
    publish(model, "me/x", max_shard_size="20KB")
    assert "model.safetensors.index.json" in hub.files("me/x")

    publish(model, "me/x")

    weights = [name for name in hub.files("me/x") if "model" in name]
    assert weights == ["model.safetensors"]
    assert len(hub.repositories["model", "me/x"].messages) == 3


@pytest.mark.slow
def test_an_edited_card_is_kept_and_others_are_replaced(hub, model, caplog):
    publish(model, "me/x")
    written = hub.files("me/x")["README.md"]
    publish(model, "me/x", tags=["new"])
    assert hub.files("me/x")["README.md"] != written

    edited = hub.files("me/x")["README.md"].replace(b"## Data", b"## My data")
    upload_files({"README.md": edited}, "me/x", replaced=())
    publish(model, "me/x", tags=["newer"])

    assert hub.files("me/x")["README.md"] == edited
    assert "was edited on the Hub and is not replaced" in caplog.text


@pytest.mark.slow
def test_a_model_can_be_loaded_from_a_revision_and_uploaded_to_a_branch(hub, model):
    first = publish(model, "me/x").oid
    with torch.no_grad():
        model.decoder.lm_heads.weight.add_(1)
    second = publish(model, "me/x", revision="louder")

    pinned = SongGenForConditionalGeneration.from_pretrained("me/x", revision=first)
    louder = SongGenForConditionalGeneration.from_pretrained("me/x", revision="louder")

    assert torch.equal(pinned.decoder.lm_heads.weight + 1, louder.decoder.lm_heads.weight)
    assert provenance(pinned, seed=1, options={})["revision"] == first
    assert provenance(louder, seed=1, options={})["revision"] == second.oid
    assert hub.repositories["model", "me/x"].refs["main"] == first


def cut_after(calls: int, what: str):
    """Return a hook that closes the connection within the body of matching requests.

    Requests before number ``calls`` are served.
    """
    seen = []

    def before(handler) -> bool:
        if not re.search(what, f"{handler.command} {handler.path}"):
            return False
        seen.append(handler.path)
        if len(seen) < calls:
            return False
        handler.rfile.read(min(100, int(handler.headers.get("Content-Length") or 0)))
        handler.close_connection = True
        handler.connection.close()
        return True

    return before


@pytest.mark.slow
@pytest.mark.parametrize("what", ["PUT /lfs-upload", "POST .*/commit/"])
def test_an_interrupted_first_upload_leaves_no_model(hub, model, what):
    hub.before = cut_after(1, what)

    with pytest.raises(OSError):
        publish(model, "me/x")

    hub.before = None
    assert list(hub.files("me/x")) == [".gitattributes"]
    with pytest.raises((OSError, ValueError)):
        SongGenForConditionalGeneration.from_pretrained("me/x")


@pytest.mark.slow
def test_an_interrupted_upload_leaves_the_previous_version_unchanged(hub, model):
    publish(model, "me/x", max_shard_size="20KB")
    before = dict(hub.files("me/x"))
    with torch.no_grad():
        model.decoder.lm_heads.weight.add_(1)
    hub.before = cut_after(1, "PUT /lfs-upload")

    with pytest.raises(OSError, match="was interrupted .*: nothing was published; push"):
        publish(model, "me/x", max_shard_size="20KB")

    hub.before = None
    assert hub.files("me/x") == before
    again = SongGenForConditionalGeneration.from_pretrained("me/x")
    assert torch.equal(again.decoder.lm_heads.weight + 1, model.decoder.lm_heads.weight)


@pytest.mark.slow
def test_the_command_publishes_a_private_model_with_its_code(
    hub, tiny_checkpoint, tmp_path, monkeypatch, capsys
):
    words = ["export", tiny_checkpoint(), "--push-to-hub", "me/x", "--private", "--remote-code"]

    assert main([*words, "--license", "mit", "--json"]) == 0

    printed = json.loads(capsys.readouterr().out)
    repository = hub.repositories["model", "me/x"]
    assert repository.private and len(repository.messages) == 2
    assert printed["published"]["revision"] == repository.refs["main"]
    assert {"modeling_songgen.py", "text_to_song.py", "README.md"} <= set(hub.files("me/x"))
    assert card_data(hub.files("me/x")["README.md"])["license"] == "mit"

    out = tmp_path / "song.wav"
    assert main(["generate", "folk", "--model", "me/x", *SHORT, "--out", str(out)]) == 0
    record = read_provenance(out)
    assert (record["model"], record["licence"]) == ("me/x", "mit")
    assert record["revision"] == repository.refs["main"]


@pytest.mark.slow
def test_a_private_model_without_a_token_is_refused_in_one_line(
    hub, model, tiny_processor, tmp_path, monkeypatch, capsys
):
    publish(TextToSongPipeline(model=model, processor=tiny_processor), "me/x", private=True)
    monkeypatch.setenv("HF_TOKEN", "")
    out = tmp_path / "song.wav"

    with pytest.raises(OSError, match="(?s)private repository.*token"):
        SongGenForConditionalGeneration.from_pretrained("me/x")
    assert main(["generate", "folk", "--model", "me/x", *SHORT, "--out", str(out)]) == 2

    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("songgen-hf generate: error: ") and "token" in error
    assert not out.exists()


@pytest.mark.slow
def test_a_private_upload_to_a_public_repository_is_refused(hub, model):
    publish(model, "me/x")
    before = dict(hub.files("me/x"))
    with torch.no_grad():
        model.decoder.lm_heads.weight.add_(1)

    with pytest.raises(ValueError, match="me/x exists already and is public"):
        publish(model, "me/x", private=True)

    assert hub.files("me/x") == before and len(hub.large) == 1


@pytest.mark.slow
def test_exports_that_cannot_be_published_are_refused(hub, tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    songs, mixed = str(tmp_path / "songs"), tiny_checkpoint()
    for words, message in [
        ([mixed], "got one folder, expected a model and a folder to write"),
        ([mixed, "out", "--private"], "--private and --base-model are for the Hub"),
        ([mixed, "out", "--share-codec", "--push-to-hub", "me/x"], "one model a repository"),
        ([mixed, "--push-to-hub", "me/x", "--base-model", "me/y"], "--base-model is for adapters"),
        ([songs, "out"], "is published as it is: expected --push-to-hub and no folder"),
        ([songs, "--push-to-hub", "me/x", "--dtype", "bfloat16"], "--dtype is for models"),
        ([mixed, "--push-to-hub", "you/x"], "403"),
    ]:
        assert main(["export", *words]) == 2

        assert message in capsys.readouterr().err
    assert list(hub.repositories) == []


@pytest.fixture
def adapter(tmp_path, model, tiny_processor):
    """The folder of an adapter with random weights as after training, including local paths."""
    from songgen_hf.training.language_model.lora import LoraOptions, add_lora

    folder = tmp_path / "anna"
    adapted = add_lora(model, LoraOptions(lora_rank=2), tiny_processor)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=torch.Generator().manual_seed(1))
    adapted.save_pretrained(folder)
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "optimizer.pt").write_bytes(b"state")
    return folder


@pytest.mark.slow
def test_an_adapter_is_uploaded_without_the_model_and_without_local_paths(
    hub, adapter, tiny_checkpoint, tiny_processor
):
    push_adapter(adapter, "me/anna", base_model="me/x", license="cc-by-4.0")
    sing = TextToSongPipeline(
        model=SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint()),
        processor=tiny_processor,
        adapter="me/anna",
    )
    here = TextToSongPipeline(
        model=SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint()),
        processor=tiny_processor,
        adapter=str(adapter),
    )

    files = hub.files("me/anna")
    expected = [".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors"]
    assert sorted(files) == expected
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "me/x"
    assert str(adapter.parent).encode() not in b"".join(files.values())
    data = card_data(files["README.md"])
    assert (data["base_model"], data["library_name"]) == ("me/x", "peft")
    wanted = {"max_seconds": 0.2, "seed": 3}
    assert np.array_equal(sing("a", **wanted)["audio"], here("a", **wanted)["audio"])
    record = provenance(sing.model, seed=3, options={}, adapters="me/anna")
    assert record["adapters"][0]["revision"] == hub.repositories["model", "me/anna"].refs["main"]


@pytest.mark.slow
def test_a_published_adapter_says_what_it_was_trained_on(hub, adapter):
    (adapter / "card.json").write_text('{"data": "Two songs.", "licence": "cc0-1.0"}')
    push_adapter(adapter, "me/anna", base_model="me/x")

    card = hub.files("me/anna")["README.md"]
    assert "## Data\n\nTwo songs.\n" in card.decode() and 'adapter="me/anna"' in card.decode()
    assert (card_data(card)["license"], card_data(card)["base_model"]) == ("cc0-1.0", "me/x")


@pytest.mark.slow
def test_the_adapter_of_a_local_model_names_no_path(hub, adapter, caplog):
    assert "More Information Needed" not in (adapter / "README.md").read_text()
    assert main(["export", str(adapter), "--push-to-hub", "me/anna"]) == 0

    config = json.loads(hub.files("me/anna")["adapter_config.json"])
    assert "/" not in config["base_model_name_or_path"]
    assert "base_model" not in card_data(hub.files("me/anna")["README.md"])
    assert "name its Hub id" in caplog.text


@pytest.fixture
def codes(tmp_path):
    """A folder of prepared codes with two splits."""
    from songgen_hf.data.preparation.codes import write_rows
    from songgen_hf.files import encode_json

    pyarrow = pytest.importorskip("pyarrow")
    folder = tmp_path / "codes"
    rows = [
        {"id": str(i), "codes": np.full((4, 5), i, np.int16), "num_frames": 5, "captions": ["a"]}
        for i in range(6)
    ]
    for split, chosen in {"train": rows[:4], "test": rows[4:]}.items():
        write_rows(chosen, folder / f"{split}-00000-of-00001.parquet", pyarrow.schema([]))
    facts = {"source": str(tmp_path), "model": "me/codec", "codec_weights": "abc", "seed": 0}
    (folder / "codes.json").write_bytes(encode_json(facts))
    (folder / ".train-00000-of-00001.parquet.x.partial").write_bytes(b"half")
    return folder


@pytest.mark.slow
def test_training_reads_uploaded_codes_as_a_dataset(hub, codes, tmp_path, monkeypatch):
    import datasets

    from songgen_hf.training.language_model.dataset import read_songs

    cache = tmp_path / "datasets-cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)

    push_songs(codes, "me/codes", license="apache-2.0")

    files = hub.files("me/codes", "dataset")
    assert not [name for name in files if "partial" in name]
    assert str(tmp_path).encode() not in b"".join(files.values())
    assert card_data(files["README.md"])["license"] == "apache-2.0"
    train, test = read_songs("me/codes", "train"), read_songs("me/codes", "test")
    assert (len(train), len(test)) == (4, 2)
    assert test[1]["codes"] == np.full((4, 5), 5).tolist()
