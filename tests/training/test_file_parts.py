from pathlib import Path

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


def test_a_file_is_whole_as_soon_as_it_is_there(tmp_path, monkeypatch):
    path = tmp_path / "optimizer.pt"
    path.write_bytes(bytes(250))
    split_files(tmp_path, 100)
    parts = sorted(file.name for file in tmp_path.iterdir())
    read, found = Path.read_bytes, []

    def watched(part):
        found.append(path.exists())
        return read(part)

    monkeypatch.setattr(Path, "read_bytes", watched)
    with joined_files(tmp_path):
        assert path.stat().st_size == 250

    assert found == [False] * 3
    assert sorted(file.name for file in tmp_path.iterdir()) == parts
