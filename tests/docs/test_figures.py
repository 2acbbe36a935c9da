"""The figures of the documentation show what the classes of the package compute.

A figure is current if its data are current and if it was drawn from them by the present drawing
code; a digest of both is in the figure itself. ``make figures`` draws the figures again.
"""

import importlib
import json
import re
import runpy
import sys

import numpy as np
import pytest

from ..tools.documentation.blocks import ROOT

pytest.importorskip("matplotlib")

FOLDER = ROOT / "docs" / "figures"
IMAGES = ROOT / "docs" / "img" / "figures"
FIGURES = ("overview", "delay", "patterns", "end_gate", "guidance", "codec", "metric_card")
REMEDY = "draw it again: make figures"


@pytest.fixture(scope="module")
def drawing():
    """The functions of the drawing command, with its modules importable by name."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield runpy.run_path(str(FOLDER / "__main__.py"), run_name="drawing")
    finally:
        sys.path.remove(str(FOLDER))
        for name in [*FIGURES, "palette", "checkpoint"]:
            sys.modules.pop(name, None)


def stored(name: str) -> dict:
    """The data from which a figure was drawn."""
    return json.loads((IMAGES / f"{name}.json").read_text(encoding="utf-8"))


def test_every_figure_is_listed_here(drawing):
    assert drawing["FIGURES"] == FIGURES
    assert {path.stem for path in IMAGES.glob("*.json")} == set(FIGURES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["delay", "patterns", "end_gate", "overview", "metric_card"])
def test_the_data_of_a_figure_are_those_of_the_classes(name, drawing):
    now = json.loads(json.dumps(importlib.import_module(name).data()))

    assert now == stored(name), REMEDY


@pytest.mark.slow
def test_the_data_of_the_guidance_figure_are_those_of_the_embedded_model(drawing):
    now, then = importlib.import_module("guidance").data(), stored("guidance")

    same = ("checkpoint", "text", "lyrics", "seed", "step")
    assert {name: now[name] for name in same} == {name: then[name] for name in same}, REMEDY
    assert now["chances"].keys() == then["chances"].keys()
    shared = [code for code in then["codes"] if code in now["codes"]]
    assert len(shared) >= len(then["codes"]) - 2, REMEDY
    for scale in then["chances"]:
        before = dict(zip(then["codes"], then["chances"][scale], strict=True))
        after = dict(zip(now["codes"], now["chances"][scale], strict=True))
        # Probabilities of two machines differ in their last digits, and rarely by a code.
        assert [after[c] for c in shared] == pytest.approx([before[c] for c in shared], abs=0.02)


@pytest.mark.slow
def test_the_data_of_the_codec_figure_are_those_of_the_embedded_codec(drawing):
    now, then = importlib.import_module("codec").data(), stored("codec")

    same = ("checkpoint", "codebook_size", "frame_rate", "residual")
    assert {name: now[name] for name in same} == {name: then[name] for name in same}, REMEDY
    codes = np.array(now["codes"]) == np.array(then["codes"])
    assert codes.mean() > 0.97, REMEDY  # ties between codes fall differently on other machines
    for name, mel in then["mels"].items():
        difference = np.abs(np.array(now["mels"][name]) - np.array(mel))
        assert difference.mean() < 0.5, REMEDY


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("palette", ["light", "dark"])
def test_a_figure_was_drawn_from_its_data_by_this_code(name, palette, drawing):
    picture = (IMAGES / f"{name}-{palette}.svg").read_text(encoding="utf-8")

    noted = re.search(r"content ([0-9a-f]{16})", picture)
    assert noted is not None and noted[1] == drawing["content_digest"](name, stored(name)), REMEDY


def test_changed_data_change_the_digest(drawing):
    data = stored("delay")
    changed = {**data, "codes": data["codes"][::-1]}

    digest = drawing["content_digest"]
    assert digest("delay", changed) != digest("delay", data)


def test_every_figure_is_on_a_page_with_an_alternative_text():
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")]
    for name in FIGURES:
        for palette in ("light", "dark"):
            shown = rf"!\[([^\]]+)\]\([./]*img/figures/{name}-{palette}\.svg#only-{palette}\)"
            words = [match[1] for page in pages for match in re.finditer(shown, page)]
            assert words and all(len(text) > 40 for text in words), (name, palette)
