"""Songs of a listening test, from folders and tables."""

import pytest

from songgen_hf.evaluation.listening_test.songs import find_songs


@pytest.fixture
def two(tmp_path):
    """Two folders that share two names; songs are not read here."""
    for name in ("a/1.wav", "a/2.flac", "a/3.ogg", "a/notes.txt", "b/1.mp3", "b/2.WAV", "b/.9.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "a", tmp_path / "b"


def test_folders_are_paired_by_name_whatever_the_format(two):
    found = find_songs(two)

    assert found.systems == ("a", "b") and found.unpaired == 1
    assert {name: [path.name for path in paths] for name, paths in found.items.items()} == {
        "1": ["1.wav", "1.mp3"],
        "2": ["2.flac", "2.WAV"],
    }


def test_a_table_pairs_any_names(two, tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("\ufeffbase, tuned\na/1.wav,b/2.WAV\n\na/3.ogg,b/1.mp3\n", encoding="utf-8")

    found = find_songs([table])

    assert found.systems == ("base", "tuned") and list(found.items) == ["line 2", "line 4"]
    assert [path.name for path in found.items["line 4"]] == ["3.ogg", "1.mp3"]
    tabs = tmp_path / "pairs.tsv"
    tabs.write_text("x\ty\na/1.wav\tb/1.mp3\n", encoding="utf-8")
    assert find_songs([tabs], ["p", "q"]).systems == ("p", "q")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("a,b\n", ValueError, "has no songs"),
        ("a,b\na/1.wav\n", ValueError, "line 2 of .* has 1 cells, its header 2"),
        ("a,b\na/1.wav,b/7.wav\n", FileNotFoundError, "line 2 of .*7.wav, which is no file"),
        ("a,a\na/1.wav,b/1.mp3\n", ValueError, "called 'a', 'a': give different names"),
    ],
)
def test_tables_that_do_not_fit_are_errors(two, tmp_path, text, error, message):
    (tmp_path / "pairs.csv").write_text(text, encoding="utf-8")

    with pytest.raises(error, match=message):
        find_songs([tmp_path / "pairs.csv"])


def test_folders_that_do_not_fit_are_errors(two, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "x.wav").touch()

    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        find_songs([two[0], tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match=r"no\.csv does not exist"):
        find_songs([tmp_path / "no.csv"])
    with pytest.raises(ValueError, match="empty holds no songs"):
        find_songs([two[0], tmp_path / "empty"])
    with pytest.raises(ValueError, match="have no file name in common"):
        find_songs([two[0], tmp_path / "c"])
    with pytest.raises(ValueError, match="got 1 names for 2 systems"):
        find_songs(two, ["x"])
    (two[0] / "1.mp3").touch()
    with pytest.raises(ValueError, match="differ in their endings only: keep one"):
        find_songs(two)
