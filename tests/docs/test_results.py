"""Pages that quote measured results quote the reports."""

import json
import re
from pathlib import Path

import pytest

from songgen_hf.evaluation.protocol.report import insert_results
from songgen_hf.evaluation.protocol.tables import masked_markdown, results_markdown

from ..tools.documentation.blocks import ROOT

QUOTED = {
    "model_card.md": ("songgen-mini", results_markdown),
    "docs/songgen-mini.md": ("songgen-mini", results_markdown),
    "docs/masked-results.md": ("masked", masked_markdown),
}


@pytest.mark.parametrize("page", QUOTED)
def test_a_page_quotes_the_report_that_was_measured(page):
    name, render = QUOTED[page]
    report = json.loads((ROOT / "docs" / f"{name}.json").read_text(encoding="utf-8"))
    path = Path(ROOT / page)

    expected = insert_results(path, render(report))
    assert expected is not None and path.read_bytes() == expected, (
        f"evaluate again with --out docs/{name}.json --page {page}"
    )


def test_the_main_rows_of_the_masked_models_are_among_all_rows():
    every = (ROOT / "docs" / "masked-results.md").read_text(encoding="utf-8").splitlines()
    page = (ROOT / "docs" / "masked.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| (?:mode|ar|masked) .*$", page, re.M)
    assert len(rows) == 10 and set(rows) <= set(every)
