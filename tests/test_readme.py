"""README's promises: its tree is the real one, its example runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def readme_tree() -> dict[str, str]:
    """Paths in README's tree with their descriptions; folders end in a slash."""
    block = re.search(r"## Tree\n.*?```\n(.*?)```", README, re.S)
    assert block is not None
    entries, folders = {}, []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, description = line.strip().partition(" ")
        folders = folders[:depth]
        entries["".join(folders) + name] = description.strip()
        if name.endswith("/"):
            folders.append(name)
    return entries


def real_files() -> set[str]:
    """Python files of the package; in a clone, those that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "songgen_hf"], cwd=ROOT, capture_output=True, text=True
    )
    if (ROOT / ".git").exists() and listed.returncode == 0:
        paths = [ROOT / line for line in listed.stdout.splitlines() if line.endswith(".py")]
    else:
        paths = list((ROOT / "songgen_hf").rglob("*.py"))
    # A folder's own __init__.py is what its folder's line describes.
    return {
        str(path.relative_to(ROOT))
        for path in paths
        if path.name != "__init__.py" or path.parent == ROOT / "songgen_hf"
    }


def test_the_tree_names_every_file_of_the_package():
    listed = {path for path in readme_tree() if path.endswith(".py") and "/" in path}

    assert sorted(real_files() - listed) == [], "files without a line in README's tree"


def test_everything_in_the_tree_exists_and_is_described():
    for path, description in readme_tree().items():
        assert (ROOT / path).exists(), path
        assert description, f"{path} has no description"


def test_the_commands_in_the_readme_are_make_targets():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))

    named = set(re.findall(r"^make (\w+)", README, re.M))
    assert {"song", "test"} <= named <= targets


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    example = re.search(r"```python\n(.*?)```", README, re.S)
    assert example is not None
    assert len(example[1].splitlines()) <= 10

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{example[1]}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "song.wav").stat().st_size > 44


@pytest.mark.parametrize("page", ["model_card.md", "docs/songgen-mini.md"])
def test_pages_quote_the_report_that_was_measured(page):
    from songgen_hf.evaluation.protocol.report import insert_results, results_markdown

    report = json.loads((ROOT / "docs" / "songgen-mini.json").read_text(encoding="utf-8"))
    path = ROOT / page

    expected = insert_results(path, results_markdown(report))
    assert expected is not None and path.read_bytes() == expected, (
        f"evaluate again with --out docs/songgen-mini.json --page {page}"
    )
