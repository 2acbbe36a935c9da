"""docs/tree.md is what docs/tree.py writes, and it has a line for everything."""

import runpy

import pytest

from ..tools.documentation.blocks import ROOT


@pytest.fixture(scope="module")
def tree():
    """The functions of the script that writes the page."""
    return runpy.run_path(str(ROOT / "docs" / "tree.py"), run_name="tree")


@pytest.mark.slow
def test_the_page_is_what_the_script_writes(tree):
    written = (ROOT / "docs" / "tree.md").read_text(encoding="utf-8")

    assert written == tree["page"](), "the tree has changed: run make tree"


def test_every_description_belongs_to_something_that_exists(tree):
    missing = [path for path in tree["DESCRIPTIONS"] if not (ROOT / path).exists()]

    assert missing == []


def test_a_file_without_a_description_is_reported(tree):
    with pytest.raises(ValueError, match="no description of notes.txt"):
        tree["entries"](["notes.txt"])


def test_files_come_before_folders_and_every_folder_is_followed_by_its_files(tree):
    paths = ["a/b/c.py", "a/z.py", "b.py", "a/"]

    assert sorted(paths, key=tree["order"]) == ["b.py", "a/", "a/z.py", "a/b/c.py"]
