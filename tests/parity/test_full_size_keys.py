"""Tests of the names and shapes of full-size checkpoints in the reference's layout."""

import re

import pytest
import torch
from transformers.core_model_loading import revert_weight_conversion

from songgen_hf.modeling.checkpoint_mapping import SINUSOID_TABLE_KEY
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.presets.models import build_config

from .cases import golden_root, read_json

TABLE = "full_size_state_dict.json"
TIED_DUPLICATE = "text_encoder.encoder.embed_tokens.weight"  # tied to text_encoder.shared.weight


def layouts() -> dict[str, list[dict]]:
    """Return the recorded layouts; all but mixed_pro are recorded as differences from it."""
    if not (golden_root() / TABLE).is_file():
        return {}
    tables = read_json(TABLE)["layouts"]
    complete = next(table["entries"] for table in tables.values() if "entries" in table)
    plain = [e for e in complete if not e["key"].startswith("decoder.vocal_lm_heads")]
    entries = {}
    for name, table in tables.items():
        different = table.get("differences_from_mixed_pro", [])
        replaced = {entry["key"] for entry in different}
        same = [entry for entry in plain if entry["key"] not in replaced]
        entries[name] = table.get("entries", same + different)
    return entries


def unfold(entries: list[dict]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each name, with ranges of indices written out."""
    shapes = {}
    for entry in entries:
        for index in indices(entry["i"]) if "{i}" in entry["key"] else [None]:
            shapes[entry["key"].replace("{i}", str(index))] = tuple(entry["shape"])
    return shapes


def indices(ranges: str) -> list[int]:
    """Return the numbers of a text such as "0..3" or "0,2,5..7"."""
    numbers: list[int] = []
    for part in re.split(r"[,\s]+", ranges):
        first, _, last = part.partition("..")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


@pytest.mark.slow
@pytest.mark.parametrize("layout", list(layouts()))
def test_a_full_size_checkpoint_has_the_recorded_names_and_shapes(layout):
    pattern = layout.split()[0]
    config = build_config("full", pattern)
    config.decoder.add_vocal_loss = "add_vocal_loss=true" in layout
    with torch.device("meta"):
        model = SongGenForConditionalGeneration(config)
        weights = model.state_dict() | {SINUSOID_TABLE_KEY: model.sinusoid_table()}

    reverted = revert_weight_conversion(model, weights)

    ours = {name: tuple(tensor.shape) for name, tensor in reverted.items()}
    expected = unfold(layouts()[layout])
    ours.pop(TIED_DUPLICATE, None)
    expected.pop(TIED_DUPLICATE, None)
    assert sorted(set(expected) - set(ours)) == []
    assert sorted(set(ours) - set(expected)) == []
    assert {name: shape for name, shape in ours.items() if shape != expected[name]} == {}
