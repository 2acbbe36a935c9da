"""Tests of uploading masked song models to the Hub and loading them again."""

import numpy as np
import pytest
from transformers import pipeline

pytest.importorskip("diffusers", reason="needs the extra diffusers")

from songgen_hf.pipelines.masked_song import MaskedSongPipeline
from songgen_hf.provenance import provenance
from songgen_hf.publishing.hub import publish

from ..tools.hub_stand_in import card_data
from ..tools.tiny_checkpoint import tiny_masked

__all__ = ["tiny_masked"]

# huggingface_hub 2.4 uploads large files in a way that is deprecated in its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.mark.slow
def test_a_masked_model_is_uploaded_in_one_commit_and_loads_again(hub, tiny_masked):
    sing = tiny_masked()

    commit = publish(sing, "me/masked", commit_message="first")
    back = MaskedSongPipeline.from_pretrained("me/masked")
    same = pipeline("text-to-song", model="me/masked", device="cpu")

    assert hub.repositories["model", "me/masked"].messages == ["initial commit", "first"]
    data = card_data(hub.files("me/masked")["README.md"])
    assert data["library_name"] == "diffusers" and data["pipeline_tag"] == "text-to-audio"
    wanted = {"lyrics": "la", "seed": 3, "seconds": 0.2, "num_inference_steps": 2}
    song = sing("folk", **wanted)
    for other in (back, same):
        assert np.array_equal(other("folk", progress=False, **wanted)["codes"], song["codes"])
    record = provenance(back, seed=3, options={})
    assert (record["model"], record["revision"]) == ("me/masked", commit.oid)
