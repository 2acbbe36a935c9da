"""Tests that a loaded checkpoint, saved in the reference's layout, is the recorded one again."""

import pytest
import torch
from safetensors.torch import load_file

from .cases import case_names, golden_root, widen
from .loading import load_model, weights_file

TIED_DUPLICATE = "text_encoder.encoder.embed_tokens.weight"


@pytest.mark.slow
@pytest.mark.parametrize("name", case_names())
def test_saving_gives_the_recorded_checkpoint_again(name, tmp_path):
    folder = golden_root() / "models" / name / "model"
    recorded = load_file(weights_file(folder))
    model = load_model(folder)

    model.save_pretrained(tmp_path, save_original_format=True)

    saved = load_file(tmp_path / "model.safetensors")
    assert set(saved) - {TIED_DUPLICATE} == set(recorded) - {TIED_DUPLICATE}
    for key in set(recorded) - {TIED_DUPLICATE}:
        # Positions are computed by formula; they are recorded in half precision.
        tolerance = 1e-3 if "embed_positions" in key else 1e-5
        ours, theirs = saved[key], widen(recorded[key])
        if key.endswith(("weight_v", "weight.original1")):  # weight norm fixes its direction only
            ours, theirs = direction(ours, key), direction(theirs, key)
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance, msg=key)


def direction(weight: torch.Tensor, key: str) -> torch.Tensor:
    """Divide a weight by its norm over all axes but the first, or but the last in HuBERT."""
    axes = (1, 2) if key.endswith("weight_v") else (0, 1)
    return weight / weight.norm(dim=axes, keepdim=True)
