"""Reading the songs of a rendered corpus."""

import io

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from songgen_hf.data.corpus.rows import read_songs


@pytest.fixture
def folder(tmp_path):
    """Two files of ten and twelve songs, whose samples are their numbers."""

    def sound(number):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.full(50, number / 100), 16000, format="FLAC")
        return {"bytes": buffer.getvalue(), "path": None}

    songs = [{"vocal": sound(number), "lyrics": f"song {number}"} for number in range(22)]
    for name, part in (("b.parquet", songs[10:]), ("a.parquet", songs[:10])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("first", "count"), [(0, None), (0, 3), (4, 1), (9, 2), (10, 12), (13, None), (20, 9), (30, 1)]
)
def test_the_wanted_songs_are_read_across_files(folder, first, count):
    rows = list(read_songs(folder, ("vocal", "lyrics"), first=first, count=count))

    wanted = range(22)[first : None if count is None else first + count]
    assert [row["lyrics"] for row in rows] == [f"song {number}" for number in wanted]
    for row, number in zip(rows, wanted, strict=True):
        np.testing.assert_allclose(row["vocal"], number / 100, atol=1e-4)


def test_no_files_are_no_songs(tmp_path):
    assert not list(read_songs(tmp_path / "none-*.parquet", ("vocal",)))
