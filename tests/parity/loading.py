"""Loads miniature reference checkpoints into our classes.

The reference hard-codes the sizes of its lyrics, voice and audio encoders; ``tiny_overrides.json``
tells the miniature's, and this module writes them as the three sub-configs.
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
    """One recorded case: its model in evaluation mode, metadata and tensors."""

    name: str
    model: SongGenForConditionalGeneration
    record: dict
    tensors: dict[str, torch.Tensor]


def load_case(root: Path, name: str, *, attn_implementation: str = "eager") -> GoldenCase:
    """Load checkpoint and recordings of ``models/<name>``."""
    record = case_record(name)
    tensors = read_tensors(f"models/{name}/golden.safetensors")
    model = load_model(root / "models" / name / "model", attn_implementation=attn_implementation)
    return GoldenCase(name, model, record, tensors)


def load_model(
    folder: Path, *, attn_implementation: str = "eager"
) -> SongGenForConditionalGeneration:
    """A reference-layout miniature through ``from_pretrained``, in float32 and evaluation mode."""
    weights = weights_file(folder)
    model = SongGenForConditionalGeneration.from_pretrained(
        weights.parent,
        config=miniature_config(folder),
        dtype=torch.float32,
        attn_implementation=attn_implementation,
    )
    return model.eval()


def weights_file(folder: Path) -> Path:
    """The weights of a miniature, which may be another one's or packed."""
    overrides = json.loads((folder / "tiny_overrides.json").read_text())
    weights = (folder / overrides.get("weights_from", "model.safetensors")).resolve()
    return weights if weights.is_file() else unpacked(weights)


@cache
def unpacked(weights: Path) -> Path:
    """Weights that are stored as ``.xz``, unpacked into a folder that goes when the tests end."""
    packed = weights.with_name(weights.name + ".xz")
    if not packed.is_file():
        pytest.skip(f"the golden folder has no {weights.parent.parent.name}/model/{weights.name}")
    folder = tempfile.mkdtemp(prefix="songgen-golden-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copy(weights.with_name("generation_config.json"), folder)
    Path(folder, weights.name).write_bytes(lzma.decompress(packed.read_bytes()))
    return Path(folder, weights.name)


def miniature_config(folder: Path) -> SongGenConfig:
    """The reference's config.json completed by the sizes it cannot express."""
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
    """Those entries of a MERT or HuBERT size table that HuBERT knows; the others have no effect."""
    known = HubertConfig().to_dict()
    return {"model_type": "hubert"} | {
        name: value for name, value in sizes.items() if name in known
    }


def forward_inputs(case: GoldenCase, variant: str) -> dict[str, torch.Tensor]:
    """Arguments of one recorded forward call under our names."""
    own = {
        name: case.tensors[f"{variant}.in.{name}"]
        for name in case.record["forward"][variant]["inputs"]
        if f"{variant}.in.{name}" in case.tensors
    }
    if "ref_voice_values" in own:  # recorded with a mask of ones unless it brings its own
        own.setdefault("ref_voice_attention_mask", torch.ones_like(own["ref_voice_values"]).long())
    inputs = {
        name: own[name] if name in own else case.tensors[f"in.{name}"]
        for name in case.record["forward"][variant]["inputs"]
    }
    return {REFERENCE_GENERATE_KEYS.get(name, name): tensor for name, tensor in inputs.items()}


def generation_inputs(case: GoldenCase, run: str) -> dict[str, torch.Tensor]:
    """Tensor arguments of one generation run under our names; prompts as [B, tracks, K, S]."""
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
    """``name`` or ``name[a:b]`` (rows a to b) among the recorded tensors."""
    match = re.fullmatch(r"(?P<name>[^\[]+)(\[(?P<first>\d+):(?P<last>\d+)\])?", reference)
    if match is None:
        raise ValueError(
            f"cannot read the tensor reference {reference!r}; expected name or name[a:b]"
        )
    tensor = widen(tensors[match["name"]])
    return tensor if match["first"] is None else tensor[int(match["first"]) : int(match["last"])]
