"""README is short, its example too, and its numbers are those of the report."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODELS = ("interleaving_A_V", "mixed_pro")
MEASURES = {
    "gender as requested": "gender",
    "lead instrument family as requested": "instrument",
    "tempo within 8 % of the requested one": "tempo",
    "closer to its reference voice than to another": "voice_match",
}


def read_json(path: str) -> dict:
    """A JSON file of the repository."""
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def percent(share: float) -> str:
    """A share from 0 to 1 as the page writes it."""
    return f"{100 * share:.1f} %"


def distance(value: float) -> str:
    """A Frechet distance as the page writes it."""
    return f"{value:.2f}"


def test_readme_is_short():
    assert len(README.encode()) <= 9000


def test_the_commands_in_the_readme_are_make_targets():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))

    named = set(re.findall(r"^make (\w+)", README, re.M))
    assert {"song", "test"} <= named <= targets


def test_the_python_example_is_short():
    example = re.search(r"```python\n(.*?)```", README, re.S)

    assert example is not None
    assert len(example[1].splitlines()) <= 10  # tests/docs runs it


def test_the_numbers_of_readme_are_those_of_the_report():
    report = read_json("docs/songgen-mini.json")
    measured = [report["checkpoints"][name] for name in MODELS]
    rows = {(row["checkpoint"], row["kind"]): row["scores"] for row in report["rows"][::-1]}
    coded, untrained = ([rows[name, kind] for name in MODELS] for kind in ("codec", "untrained"))

    def row(label, values, through_codec, form):
        cells = [*map(form, values), ", ".join(map(form, through_codec))]
        return f"| {label} | {' | '.join(cells)} |"

    per = [coded[0]["per"], coded[1]["per_mixture"]]
    expected = [row("phoneme error rate", [one["per"] for one in measured], per, percent)]
    for label, key in MEASURES.items():
        values = [[scores[key] for scores in column] for column in (measured, coded)]
        expected.append(row(label, *values, percent))
    start = ", ".join(distance(scores["fad"]) for scores in untrained)
    values = [[scores["fad"] for scores in column] for column in (measured, coded)]
    expected.append(
        row(f"Fréchet distance of codec features (untrained: {start})", *values, distance)
    )

    assert [line for line in expected if line not in README] == []
    assert report["protocol"]["command"] in README
