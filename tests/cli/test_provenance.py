"""What songgen-hf generate writes says where it comes from."""

from songgen_hf.cli import main
from songgen_hf.provenance import read_provenance


def test_every_file_of_generate_says_where_it_comes_from(tmp_path, tiny_checkpoint):
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
        told = read_provenance(path)
        assert told == {key: whole[key] for key in whole if key != "created"}
        assert told["seed"] == 3 and told["revision"].startswith("sha256:")
