"""Loads miniature reference checkpoints into the classes of the package.

The reference hard-codes the sizes of its lyrics, voice and audio encoders. Those of a miniature are
stored in ``tiny_overrides.json``, from which this module creates the three sub-configs.
"""

import atexit
import json
import lzma
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import HubertConfig

from songgen_hf.modeling.checkpoint_mapping import REFERENCE_GENERATE_KEYS
from songgen_hf.modeling.configuration_songgen import SongGenConfig
from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration

from .cases import case_record, read_tensors, widen

LYRICS_SIZES = {
    "output_size": "output_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "num_blocks": "num_hidden_layers",
}


@dataclass(frozen=True)
class GoldenCase:
    """A recorded case: its model in evaluation mode, its metadata and its tensors."""

    name: str
    model: SongGenForConditionalGeneration
    record: dict
    tensors: dict[str, torch.Tensor]


def load_case(root: Path, name: str, *, attn_implementation: str = "eager") -> GoldenCase:
    """Load the checkpoint and the recordings of ``models/<name>``."""
    record = case_record(name)
    tensors = read_tensors(f"models/{name}/golden.safetensors")
    model = load_model(root / "models" / name / "model", attn_implementation=attn_implementation)
    return GoldenCase(name, model, record, tensors)


def load_model(
    folder: Path, *, attn_implementation: str = "eager"
) -> SongGenForConditionalGeneration:
    """Load a miniature in the reference's layout, in float32 and evaluation mode."""
    weights = weights_file(folder)
    model = SongGenForConditionalGeneration.from_pretrained(
        weights.parent,
        config=miniature_config(folder),
        dtype=torch.float32,
        attn_implementation=attn_implementation,
    )
    return model.eval()


def weights_file(folder: Path) -> Path:
    """Return the weights of a miniature, which can be compressed or those of another one."""
    overrides = json.loads((folder / "tiny_overrides.json").read_text())
    weights = (folder / overrides.get("weights_from", "model.safetensors")).resolve()
    return weights if weights.is_file() else unpacked(weights)


@cache
def unpacked(weights: Path) -> Path:
    """Unpack weights that are stored as ``.xz`` into a folder that is deleted after the tests."""
    packed = weights.with_name(weights.name + ".xz")
    if not packed.is_file():
        pytest.skip(f"the golden folder has no {weights.parent.parent.name}/model/{weights.name}")
    folder = tempfile.mkdtemp(prefix="songgen-golden-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copy(weights.with_name("generation_config.json"), folder)
    Path(folder, weights.name).write_bytes(lzma.decompress(packed.read_bytes()))
    return Path(folder, weights.name)


def miniature_config(folder: Path) -> SongGenConfig:
    """Read a config.json of the reference and add the sizes that it lacks."""
    fields = json.loads((folder / "config.json").read_text())
    overrides = json.loads((folder / "tiny_overrides.json").read_text())
    lyrics = {LYRICS_SIZES[name]: value for name, value in overrides["lyrics_encoder"].items()}
    if "vocab_size" in fields:
        lyrics["vocab_size"] = fields["vocab_size"]
    fields["lyrics_encoder"] = lyrics
    fields["voice_encoder"] = hubert_fields(overrides["mert"])
    fields["audio_encoder"] = XCodecConfig.from_reference_sizes(overrides["xcodec"]).to_dict()
    return SongGenConfig.from_dict(fields)


def hubert_fields(sizes: dict) -> dict:
    """Return the sizes of a MERT or HuBERT that HuBERT has; the others have no effect."""
    known = HubertConfig().to_dict()
    return {"model_type": "hubert"} | {
        name: value for name, value in sizes.items() if name in known
    }


def forward_inputs(case: GoldenCase, variant: str) -> dict[str, torch.Tensor]:
    """Return the arguments of a recorded forward call under the names of the package."""
    own = {
        name: case.tensors[f"{variant}.in.{name}"]
        for name in case.record["forward"][variant]["inputs"]
        if f"{variant}.in.{name}" in case.tensors
    }
    if "ref_voice_values" in own:  # recorded with a mask of ones unless there is one
        own.setdefault("ref_voice_attention_mask", torch.ones_like(own["ref_voice_values"]).long())
    inputs = {
        name: own[name] if name in own else case.tensors[f"in.{name}"]
        for name in case.record["forward"][variant]["inputs"]
    }
    return {REFERENCE_GENERATE_KEYS.get(name, name): tensor for name, tensor in inputs.items()}


def generation_inputs(case: GoldenCase, run: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a recorded generation under the names of the package.

    Prompts have the shape [B, tracks, K, S].
    """
    inputs = {
        REFERENCE_GENERATE_KEYS.get(name, name): resolve(case.tensors, reference)
        for name, reference in case.record["generate"][run].get("tensor_kwargs", {}).items()
    }
    num_codebooks = case.model.config.decoder.num_codebooks
    if "decoder_input_ids" in inputs:
        codes = inputs.pop("decoder_input_ids")
        inputs["audio_prompt_codes"] = codes.reshape(-1, 1, num_codebooks, codes.shape[-1])
    if "acc_input_ids" in inputs:
        tracks = inputs.pop("acc_input_ids"), inputs.pop("vocal_input_ids")
        inputs["audio_prompt_codes"] = torch.stack(tracks, dim=1)
    return inputs


def resolve(tensors: dict[str, torch.Tensor], reference: str) -> torch.Tensor:
    """Return the recorded tensor ``name``, or its rows from a to b for ``name[a:b]``."""
    match = re.fullmatch(r"(?P<name>[^\[]+)(\[(?P<first>\d+):(?P<last>\d+)\])?", reference)
    if match is None:
        raise ValueError(
            f"cannot read the tensor reference {reference!r}; expected name or name[a:b]"
        )
    tensor = widen(tensors[match["name"]])
    return tensor if match["first"] is None else tensor[int(match["first"]) : int(match["last"])]
