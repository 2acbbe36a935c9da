"""README is short, its example runs and its numbers are those of the report."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


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
