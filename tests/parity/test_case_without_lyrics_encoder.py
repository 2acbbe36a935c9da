"""The parity tests on a folder whose first case has no lyrics encoder, which is made here."""

import json
import shutil
from functools import partial

import pytest
from safetensors.torch import load_file, save_file

from .cases import case_names, golden_root
from .loading import load_case, weights_file
from .test_forward import (
    test_decoder_ids_made_from_labels_equal_decoder_ids_given as check_decoder_ids,
)
from .test_forward import (
    test_padded_lyrics_give_the_states_of_the_lyrics_alone as check_lyrics_states,
)
from .test_saving import test_saving_gives_the_recorded_checkpoint_again as check_saving

NAME = "0_without_lyrics_encoder"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A golden folder with a single case, which reads the embeddings of the lyrics."""
    source = golden_root() / "models" / case_names()[0]
    case = tmp_path / "models" / NAME
    (case / "model").mkdir(parents=True)
    weights = weights_file(source / "model")
    shutil.copy(weights, case / "model" / "model.safetensors")
    shutil.copy(weights.with_name("generation_config.json"), case / "model")
    for name, changes in (("config", {"add_prenet": False}), ("tiny_overrides", {})):
        values = json.loads((source / "model" / f"{name}.json").read_text()) | changes
        values.pop("weights_from", None)
        (case / "model" / f"{name}.json").write_text(json.dumps(values))
    record = json.loads((source / "golden.json").read_text())
    (case / "golden.json").write_text(json.dumps(record | {"generate": {}}))
    tensors = load_file(source / "golden.safetensors")
    states = load_file(weights)["embed_prompts.weight"][tensors["in.prompt_input_ids"].long()]
    length = int(tensors["in.prompt_attention_mask"][1].sum())
    tensors["lyrics.prompt_hidden_states"] = states
    tensors["lyrics.prompt_hidden_states_row1_unpadded"] = states[1:2, :length].clone()
    save_file(tensors, case / "golden.safetensors")
    monkeypatch.setenv("SONGGEN_GOLDEN", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_the_checks_of_a_case_pass_without_a_lyrics_encoder(folder, tmp_path):
    assert case_names() == [NAME]
    load = partial(load_case, folder)
    assert not load(NAME).model.config.use_lyrics_encoder

    check_saving(NAME, tmp_path / "saved")
    check_lyrics_states(load, NAME)
    check_decoder_ids(load, NAME)
