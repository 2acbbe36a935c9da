import pytest

from songgen_hf.training.file_parts import joined_files, split_files


def test_large_files_are_split_and_joined(tmp_path):
    content = bytes(range(250))
    (tmp_path / "optimizer.pt").write_bytes(content)
    (tmp_path / "small").write_bytes(b"x")

    split_files(tmp_path, 100)

    names = [f"optimizer.pt.part-0000{number}-of-00003" for number in range(3)]
    assert sorted(file.name for file in tmp_path.iterdir()) == [*names, "small"]
    with joined_files(tmp_path):
        assert (tmp_path / "optimizer.pt").read_bytes() == content
    assert not (tmp_path / "optimizer.pt").exists()
    (tmp_path / names[1]).unlink()
    with pytest.raises(ValueError, match="part-00001-of-00003 is missing: copy the whole"):
        with joined_files(tmp_path):
            pass
