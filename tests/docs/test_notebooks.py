"""The cells of the notebooks run offline, one after another, and hold no stored results.

Songs are cut to half a second, those of masked models to two steps.
"""

import json
import sys
import types
from pathlib import Path

import pytest

from ..tools.documentation.blocks import ROOT

LONGEST_SONG = 25  # frames
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells_of(path: Path, kind: str) -> list[str]:
    """The sources of the cells of one kind."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


@pytest.fixture
def shown(monkeypatch) -> list[object]:
    """What cells display, here where no Jupyter is installed."""
    shown: list[object] = []
    module = types.ModuleType("IPython.display")
    module.Audio = lambda samples, rate: (samples, rate)  # type: ignore[attr-defined]
    module.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_run(path, tmp_path, monkeypatch, shown, short_songs):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}

    for number, cell in enumerate(cells_of(path, "code")):
        exec(compile(cell, f"{path.name}, cell {number}", "exec"), namespace)

    assert shown
    for samples, rate in shown:
        assert rate == 16000 and samples.ndim == 1 and abs(samples).max() > 0.01


def test_every_notebook_is_on_the_page():
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")

    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert f"`notebooks/{path.name}`" in page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_results_and_no_lines_of_a_shell(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))

    assert all(not cell.get("outputs") for cell in notebook["cells"])
    assert all(cell.get("execution_count") is None for cell in notebook["cells"])
    for cell in cells_of(path, "code"):
        assert not any(line.startswith(("!", "%")) for line in cell.splitlines())
