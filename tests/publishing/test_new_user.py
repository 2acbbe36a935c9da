"""Tests of loading uploaded models in a new environment: process, empty cache, no token."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from songgen_hf import SongGenForConditionalGeneration
from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.publishing.export import export
from songgen_hf.publishing.hub import publish, push_adapter, push_songs, upload

from .test_hub import adapter, codes, model

__all__ = ["adapter", "codes", "model"]
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]
WANTED = {"max_seconds": 0.2, "seed": 3}

WITH_PACKAGE = """
import json, sys
import numpy as np
import songgen_hf
from datasets import load_dataset
from transformers import pipeline
from songgen_hf.provenance import provenance, write_song

wanted, revision = json.loads(sys.argv[1]), sys.argv[2]
sing = pipeline("text-to-song", model="me/x", revision=revision)
plain = sing("folk", **wanted)
record = provenance(sing.model, seed=wanted["seed"], options=wanted)
write_song("song.wav", plain["audio"], plain["sampling_rate"], record)
with_adapter = pipeline("text-to-song", model="me/x", adapter="me/anna")("folk", **wanted)
codec = songgen_hf.XCodecModel.from_pretrained("me/codec")
songs = load_dataset("me/codes", split="train")
try:
    pipeline("text-to-song", model="me/secret")
except OSError as error:
    refusal = str(error)
np.savez("heard.npz", plain=plain["audio"], adapter=with_adapter["audio"])
answer = {"record": record, "codes": songs[2]["codes"], "refusal": refusal,
          "codebooks": codec.config.num_quantizers}
open("answer.json", "w").write(json.dumps(answer))
"""
WITHOUT_PACKAGE = """
import importlib.util, json, sys
import numpy as np
assert importlib.util.find_spec("songgen_hf") is None
from transformers import pipeline

sing = pipeline("text-to-song", model="me/x", trust_remote_code=True)
np.savez("heard.npz", plain=sing("folk", **json.loads(sys.argv[1]))["audio"])
"""


def run_in_new_environment(program: str, server, folder: Path, *words: str, package: bool) -> None:
    """Run a program in a process that uses the stand-in and no settings of this process."""
    known = ("PATH", "HOME", "LANG", "OMP_NUM_THREADS", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in known if name in os.environ}
    environment |= {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    }
    isolated = []
    if package:
        environment["PYTHONPATH"] = str(ROOT)
    else:  # the packages of the environment, without the .pth file of an editable install
        paths = [path for path in sys.path if path.endswith("site-packages")]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        isolated = ["-S"]
    done = subprocess.run(
        [sys.executable, *isolated, "-c", program, json.dumps(WANTED), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_uploaded_models_work_in_a_new_environment(
    server, hub, model, adapter, codes, tiny_checkpoint, tiny_processor, tmp_path
):
    fresh = SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint()).eval()
    sing = TextToSongPipeline(model=fresh, processor=tiny_processor)
    first = publish(sing, "me/x").oid
    publish(sing, "me/secret", private=True)
    publish(fresh.audio_encoder, "me/codec")
    push_adapter(adapter, "me/anna", base_model="me/x")
    push_songs(codes, "me/codes")
    expected = sing("folk", **WANTED)["audio"]
    with torch.no_grad():
        fresh.decoder.lm_heads.weight.mul_(2)
    publish(sing, "me/x")  # the program loads the first version
    folder = tmp_path / "user"
    folder.mkdir()

    run_in_new_environment(WITH_PACKAGE, server, folder, first, package=True)

    heard = np.load(folder / "heard.npz")
    assert np.array_equal(heard["plain"], expected)
    assert not np.array_equal(heard["adapter"], expected)
    answer = json.loads((folder / "answer.json").read_text())
    assert (answer["record"]["model"], answer["record"]["revision"]) == ("me/x", first)
    assert answer["codes"] == np.full((4, 5), 2).tolist()
    assert answer["codebooks"] == fresh.config.num_codebooks
    assert "private repository" in answer["refusal"] and "token" in answer["refusal"]
    assert (folder / "home" / "hub" / "models--me--x").is_dir()


def test_uploaded_code_works_in_a_new_environment_without_the_package(
    server, hub, tiny_checkpoint, tiny_processor, tmp_path
):
    model = SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint()).eval()
    upload(export(model, tiny_processor, tmp_path / "x", remote_code=True), "me/x")
    expected = TextToSongPipeline(model=model, processor=tiny_processor)("folk", **WANTED)["audio"]
    folder = tmp_path / "user"
    folder.mkdir()

    run_in_new_environment(WITHOUT_PACKAGE, server, folder, package=False)

    assert np.array_equal(np.load(folder / "heard.npz")["plain"], expected)
