"""The files that songgen-hf generate writes hold their provenance."""

import pytest

from songgen_hf.cli import main
from songgen_hf.provenance import read_provenance


@pytest.mark.slow
def test_every_file_of_generate_has_its_provenance(tmp_path, tiny_checkpoint):
    status = main(
        ["generate", "folk", "--lyrics", "la la", "--model", tiny_checkpoint("parallel_std")]
        + ["--seed", "3", "--stems", "--max-seconds", "0.2", "--device", "cpu", "--quiet"]
        + ["--out", str(tmp_path / "song.flac")]
    )

    assert status == 0
    whole = read_provenance(tmp_path / "song.json")
    assert whole["created"] and whole["options"]["lyrics"] == "la la"
    sounds = sorted(tmp_path.glob("*.flac"))
    assert len(sounds) == 3
    for path in sounds:
        record = read_provenance(path)
        assert record == {key: whole[key] for key in whole if key != "created"}
        assert record["seed"] == 3 and record["revision"].startswith("sha256:")
