"""The masked pipeline on a GPU."""

import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra diffusers")

pytestmark = pytest.mark.gpu


def test_masked_songs_are_those_of_the_cpu(tiny_masked, device):
    request = {"lyrics": "la la", "seed": 1, "seconds": 0.4, "num_inference_steps": 4}
    expected = tiny_masked()("folk", **request, progress=False)["codes"]

    pipe = tiny_masked().to(device)
    song = pipe("folk", **request, progress=False)
    again = pipe("folk", **request, progress=False)
    pipe.to("cpu")

    codes, expected = torch.as_tensor(song["codes"]), torch.as_tensor(expected)
    assert torch.equal(codes, torch.as_tensor(again["codes"]))
    assert codes.shape == expected.shape
    # One code that rounds to another leads to others after it.
    assert (codes == expected).float().mean() > (0.99 if device.type == "cpu" else 0.5)
