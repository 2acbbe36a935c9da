"""Tests that wheels and source archives contain the embedded checkpoints."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from setuptools import Distribution, find_packages
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parents[2]
CHECKPOINTS = "songgen_hf/checkpoints"
FILES = (
    "songgen-mini/codec/config.json",
    "songgen-mini/codec/model.safetensors",
    "songgen-mini/mixed_pro/config.json",
    "songgen-mini/mixed_pro/language_model.safetensors",
    "songgen-mini/mixed_pro/model.safetensors.index.json",
    "songgen-mini/mixed_pro/lyrics_tokenizer/tokenizer.json",
    "songgen-mini/interleaving_A_V/config.json",
    "separator-mini/config.json",
    "separator-mini/model.safetensors",
)


@pytest.fixture
def project(tmp_path):
    """The project without its sources, with a checkpoint of empty files in the package."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    package = tmp_path / "songgen_hf"
    for folder in (package, package / "checkpoints"):
        folder.mkdir()
        shutil.copyfile(ROOT / folder.relative_to(tmp_path) / "__init__.py", folder / "__init__.py")
    shutil.copyfile(ROOT / "songgen_hf" / "version.py", package / "version.py")
    for name in FILES:
        path = tmp_path / CHECKPOINTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    cache = package / "checkpoints" / "__pycache__"
    cache.mkdir()
    (cache / "__init__.pyc").write_text("")
    return tmp_path


def patterns() -> list[str]:
    """Return the patterns of ``package_data`` in setup.py."""
    found = re.search(
        r'package_data=\{\s*"songgen_hf": (\[.*?\])', (ROOT / "setup.py").read_text(), re.S
    )
    assert found is not None
    return re.findall(r'"([^"]+)"', found[1])


def test_every_folder_of_sources_is_a_package_that_setup_finds():
    folders = {path.parent for path in (ROOT / "songgen_hf").rglob("*.py")}

    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert names <= set(find_packages(str(ROOT), include=["songgen_hf", "songgen_hf.*"]))


def test_a_wheel_holds_every_file_of_the_checkpoints_and_no_bytecode(project, monkeypatch):
    monkeypatch.chdir(project)
    distribution = Distribution(
        {"packages": ["songgen_hf"], "package_data": {"songgen_hf": patterns()}}
    )
    command = build_py(distribution)
    command.finalize_options()

    files = {
        str(Path(folder, name).as_posix())
        for _, folder, _, names in command.data_files
        for name in names
    }
    assert {f"{CHECKPOINTS.removeprefix('songgen_hf/')}/{name}" for name in FILES} == {
        name.removeprefix("songgen_hf/") for name in files
    }


@pytest.mark.slow
def test_a_source_archive_holds_every_file_of_the_checkpoints(project):
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "sdist", "--formats=tar"],
        cwd=project,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    with tarfile.open(next((project / "dist").glob("*.tar"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"{CHECKPOINTS}/{name}" for name in FILES} <= names
