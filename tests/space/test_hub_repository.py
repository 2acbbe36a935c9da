"""The files of a Space repository: equal to the folder ``space/``, complete and valid."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from songgen_hf.space.hub_repository import NAMES, push_space, requirements, space_files
from songgen_hf.space.settings import FIELDS

ROOT = Path(__file__).parents[2]
API = "".join((ROOT / "songgen_hf/space" / name).read_text() for name in ("api.py", "api_edits.py"))


def front_matter(text: str) -> dict:
    """The YAML front matter of a README."""
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_space_contains_the_files_that_push_writes(name):
    assert (ROOT / "space" / name).read_bytes() == space_files()[name], (
        "update it with: songgen-hf space files space"
    )


def test_the_folder_space_contains_no_other_files():
    assert {path.name for path in (ROOT / "space").iterdir()} - {"__pycache__"} == set(NAMES)


def test_the_card_of_a_space_names_every_argument_and_endpoint():
    card = space_files()["README.md"].decode()
    endpoints = set(re.findall(r"def (\w+)_endpoint", API))

    missing = [name for name in (*FIELDS, "voice") if f"`{name}`" not in card]
    assert len(endpoints) == 13 and missing == []
    names = {"continue": "continue_song", "over": "sing_over"}
    assert [one for one in endpoints if f"`/{names.get(one, one)}`" not in card] == []


def test_a_pushed_space_contains_the_package_and_its_checkpoints():
    files = space_files(whole=True)

    assert set(NAMES) < set(files)
    for needed in ("__init__.py", "space/app.py", "space/page.css", "pipelines/text_to_song.py"):
        assert f"songgen_hf/{needed}" in files
    assert any(name.endswith("mixed_pro/config.json") for name in files)
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in files)


def test_a_space_with_other_models_contains_no_checkpoint_of_the_package():
    files = space_files(models=["me/my-model"], adapters=["me/my-voice"], whole=True)

    folders = {name.split("/")[2] for name in files if name.count("/") > 2 and "checkp" in name}
    # For reference voices, and for the best of several takes.
    assert folders == {"separator-mini", "recognizer-mini"}
    assert {"ffmpeg", "espeak-ng"} == set(files["packages.txt"].decode().split())
    app = ast.parse(files["app.py"])
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in app.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
    }
    assert constants == {"MODELS": ["me/my-model"], "ADAPTERS": ["me/my-voice"]}
    assert front_matter(files["README.md"].decode())["models"] == ["me/my-model"]


def test_a_space_with_a_requirement_does_not_contain_the_package():
    files = space_files(requirement="songgen-hf[space]==0.1.0", whole=True)

    assert set(files) == set(NAMES)
    assert files["requirements.txt"] == b"songgen-hf[space]==0.1.0\n"


@pytest.mark.parametrize("name", ["./my-model", "/models/x", "a/b/c", "model"])
def test_a_model_in_a_local_folder_is_refused(name):
    with pytest.raises(ValueError, match="push it first"):
        space_files(models=[name])


def test_the_front_matter_is_valid_for_the_hub():
    head = front_matter(space_files(hardware="zero-a10g")["README.md"].decode())

    assert (head["sdk"], head["app_file"], head["license"]) == ("gradio", "app.py", "apache-2.0")
    assert re.fullmatch(r"\d+\.\d+\.\d+", head["sdk_version"])
    assert len(head["short_description"]) <= 60
    assert head["colorFrom"] in HUB_COLORS and head["colorTo"] in HUB_COLORS
    assert head["suggested_hardware"] == "zero-a10g"


HUB_COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def test_the_requirements_are_those_of_the_package():
    lines = requirements()

    names = {re.match(r"[\w-]+", line)[0] for line in lines}
    assert {"torch", "transformers", "peft", "pillow", "soundfile", "diffusers"} <= names
    assert names.isdisjoint({"gradio", "pytest", "playwright", "datasets"})
    assert not any("==" in line for line in lines)


def test_the_app_imports_spaces_before_torch():
    source = space_files()["app.py"].decode()

    assert source.index("import spaces") < source.index("import torch")
    compile(source, "app.py", "exec")


def test_a_repository_without_an_owner_is_refused():
    with pytest.raises(ValueError, match="owner/name: got 'songgen'"):
        push_space("songgen")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of huggingface_hub
def test_a_push_is_one_commit_that_also_deletes_old_files(hub):
    url = push_space("me/songs", models=["me/my-model"], private=True)
    first = hub.files("me/songs", "space")
    commits = len(hub.repositories["space", "me/songs"].commits)
    push_space("me/songs", requirement="songgen-hf[space]==0.1.0")

    repository = hub.repositories["space", "me/songs"]
    assert url.endswith("/spaces/me/songs") and repository.private
    assert first["app.py"] == space_files(models=["me/my-model"])["app.py"]
    assert "songgen_hf/space/page.css" in first
    assert len(repository.commits) == commits + 1
    latest = hub.files("me/songs", "space")
    assert {name for name in latest if name != ".gitattributes"} == set(NAMES)
