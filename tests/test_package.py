"""The package as a whole: its names, its layers, its README and its optional parts."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import songgen_hf
from songgen_hf.optional import require

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "songgen_hf"

BASE = {"optional", "files"}
MODELS = {"modeling", "presets", "tokenizers_mini"}
DOORS = {"pipelines", "checkpoints", "registration", "export"}
# What each layer may import of this package, besides itself. What is not listed here may import
# everything.
MAY_IMPORT = {
    "modeling": set(),
    "optional": set(),
    "files": set(),
    "tokenizers_mini": {"modeling"},
    "presets": {"modeling", "tokenizers_mini"} | BASE,
    "pipelines": {"modeling"},
    "checkpoints": MODELS | BASE | {"__init__"},
    "export": {"modeling", "pipelines", "model_card"} | BASE,
    "registration": {"modeling", "pipelines", "checkpoints", "model_card", "hub"},
    "__init__": MODELS | DOORS | BASE,
    "data": MODELS | DOORS | BASE,
    "training": MODELS | DOORS | BASE | {"data", "provenance"},
    "evaluation": MODELS | DOORS | BASE | {"data", "training", "provenance"},
}


def sources() -> list[Path]:
    """Python files of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def layer(path: Path) -> str:
    """First part of a module's name within the package: modeling, cli, export, ..."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def own_imports(path: Path) -> list[tuple[str, int]]:
    """Modules of this package that a file imports, absolute, with the dots it used."""
    package = ("songgen_hf", *path.relative_to(PACKAGE).parent.parts)
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [(module, node.level)]
            if module in ("songgen_hf", ".".join(package)) and not node.module:
                names = [(f"{module}.{alias.name}", node.level) for alias in node.names]
        else:
            continue
        found += [name for name in names if name[0].split(".")[0] == "songgen_hf"]
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own = layer(path)
    if own not in MAY_IMPORT:
        return

    for name, _ in own_imports(path):
        part = (name.split(".") + ["__init__"])[1]
        part = "__init__" if part.startswith("__") else part
        assert part in MAY_IMPORT[own] | {own}, f"{own} may not import {name}"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "modeling").glob("*.py")), ids=lambda path: path.name
)
def test_modeling_files_can_travel_to_the_hub(path):
    text = path.read_text(encoding="utf-8")

    assert all(dots == 1 and name.count(".") == 2 for name, dots in own_imports(path))
    # transformers finds relative imports by this expression, in docstrings too.
    for module in re.findall(r"^\s*from\s+\.(\S+)\s+import", text, flags=re.MULTILINE):
        assert (PACKAGE / "modeling" / f"{module}.py").is_file(), f"from .{module} import"


def test_the_pipeline_file_can_travel_to_the_hub():
    assert own_imports(PACKAGE / "pipelines" / "text_to_song.py") == []


def test_every_public_name_exists():
    for name in songgen_hf.__all__:
        assert getattr(songgen_hf, name) is not None
        assert name in dir(songgen_hf)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'sing'"):
        songgen_hf.sing  # noqa: B018


def test_registering_twice_changes_nothing():
    songgen_hf.register()
    songgen_hf.register()


def test_the_version_is_the_changelogs_next_or_last():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.fullmatch(r"\d+\.\d+\.\d+", songgen_hf.__version__)
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, flags=re.MULTILINE)
    assert not released or released[0] == songgen_hf.__version__


def test_requirements_have_lower_bounds_only_and_tested_versions():
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    required = re.findall(r'"([A-Za-z0-9_-]+)(?:\[\w+\])?(>=[\d.]+)"', text)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    tested = {line.split("==")[0].replace("_", "-") for line in pins.splitlines() if "==" in line}

    bounded = re.findall(r'"([A-Za-z0-9_-]+)(?:\[\w+\])?[>=\d.,]*(?:==|<=|<|~=)[\d.]+"', text)
    assert bounded == ["setuptools"], "the one exception, with its reason beside it"
    needed = {name for name, _ in required[: text.count(">=")]}
    assert {"torch", "transformers", "numpy", "num2words"} <= needed & tested


def test_a_missing_optional_package_comes_with_its_pip_line():
    with pytest.raises(ImportError, match=r"pip install 'songgen-hf\[train\]'"):
        require("package_that_nobody_has", "train")


def test_an_installed_optional_package_is_returned():
    assert require("json.decoder", "train").JSONDecoder


def test_an_error_inside_an_optional_package_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import its_missing_dependency")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="its_missing_dependency"):
        require("half_installed", "train")


def test_every_extra_named_in_the_sources_exists():
    extras = set(re.findall(r'^    "(\w+)": \[', (ROOT / "setup.py").read_text(), re.M)) | {"dev"}

    for path in sources():
        for extra in re.findall(r"\brequire\(\s*\"[\w.]+\",\s*\"(\w+)\"", path.read_text()):
            assert extra in extras, f"{path.name} names the extra {extra}"


def test_tools_are_configured_strictly():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    pytest_options = tools["pytest"]["ini_options"]

    assert pytest_options["filterwarnings"][0] == "error"
    assert "--strict-markers" in pytest_options["addopts"]
    assert pytest_options["xfail_strict"]
