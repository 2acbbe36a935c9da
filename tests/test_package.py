"""Tests of the package as a whole: public names, layers, requirements and optional packages."""

import re
import tomllib
from pathlib import Path

import pytest

import songgen_hf
from songgen_hf.optional import require

from .tools.layers import (
    first_cycle,
    folder_graph,
    import_graph,
    imports,
    layer_of,
    may_import,
    modules,
)

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "songgen_hf"


def sources() -> list[Path]:
    """Return the Python files of the package."""
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.slow
def test_every_module_is_in_a_layer_and_imports_no_higher_one():
    for module, path in modules().items():
        allowed = may_import(module)

        assert allowed is not None, f"{module} is in no layer: add it to LAYERS"
        for name, _ in imports(path):
            layer = name if name in ("", "registration") else layer_of(name)
            assert layer in allowed, f"{module} may not import {name}"


def test_no_modules_and_no_folders_import_each_other_in_a_cycle():
    graph = import_graph()

    assert first_cycle(graph) == []
    assert first_cycle(folder_graph(graph)) == []


def test_first_cycle_finds_a_cycle():
    assert set(first_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert first_cycle({"a": {"a"}}) == ["a", "a"]
    assert first_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_only_the_package_itself_imports_registration():
    importing = {name for name, others in import_graph().items() if "registration" in others}

    assert importing == {""}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "modeling").glob("*.py")), ids=lambda path: path.name
)
def test_modeling_files_can_be_remote_code(path):
    assert all(dots == 1 and name.count(".") == 1 for name, dots in imports(path))
    # transformers finds relative imports by this expression, in docstrings too.
    text = path.read_text(encoding="utf-8")
    for module in re.findall(r"^\s*from\s+\.(\S+)\s+import", text, flags=re.MULTILINE):
        assert (PACKAGE / "modeling" / f"{module}.py").is_file(), f"from .{module} import"


def test_the_modeling_folder_holds_exactly_the_files_of_remote_code():
    from songgen_hf import SongGenForConditionalGeneration, SongGenProcessor
    from songgen_hf.publishing.export import code_files

    travelling = code_files(SongGenForConditionalGeneration, SongGenProcessor)

    folders = {path.parent.name for path in travelling}
    assert folders == {"modeling", "pipelines"}
    kept = {path.name for path in (PACKAGE / "modeling").glob("*.py")} - {"__init__.py"}
    assert {path.name for path in travelling if path.parent.name == "modeling"} == kept


def test_pipeline_files_for_the_hub_import_only_files_beside_them():
    for name in (
        "text_to_song", "song_requests", "song_edges", "swapped_tracks", "adapters", "progress",
        "best_of", "best_lines", "codes_stream", "song", "song_picture", "lyrics_files",
        "timestamps", "tracks_in_place", "word_times",
    ):  # fmt: skip
        path = PACKAGE / "pipelines" / f"{name}.py"

        assert all(dots == 1 and one.startswith("pipelines.") for one, dots in imports(path))


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


def test_the_version_is_the_next_or_last_one_of_the_changelog():
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


def test_a_missing_optional_package_is_reported_with_its_pip_command():
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
