"""Writes the files of a Space repository and pushes them to the Hub in one commit.

The folder ``space/`` of the source tree contains the same small files, and a test compares them. A
pushed Space also contains the package, so that it runs exactly this version, released or not.
"""

import re
import tempfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from ..checkpoints.embedded import EMBEDDED_NAME, RECOGNIZER_NAME, SEPARATOR_NAME
from ..files import write_files
from ..optional import require
from .adapters import is_hub_id
from .limits import Limits

PACKAGE = Path(__file__).parents[1]
TEMPLATES = Path(__file__).with_name("repository")
NAMES = ("app.py", "README.md", "requirements.txt", "packages.txt")
_LEFT_OUT = {"__pycache__", ".DS_Store"}
_EXTRAS = ("space", "diffusers")


def space_files(
    *,
    models: Sequence[str] = (),
    adapters: Sequence[str] = (),
    requirement: str | None = None,
    hardware: str | None = None,
    whole: bool = False,
) -> dict[str, bytes]:
    """The content of each file of a Space repository, by its path.

    Args:
        models: Hub ids or short names, at most one for each mode; none for the package's own.
        adapters: Hub ids of the adapters that the Space offers.
        requirement: pip requirement that installs this package; None if the package is part of
            the repository.
        hardware: hardware that the Hub suggests to users who duplicate the Space.
        whole: whether to include the package; ignored if there is a ``requirement``.
    Raises:
        ValueError: for a model or adapter in a local folder, which a Space cannot load.
    """
    for name in (*models, *adapters):
        if name.split("/")[0] != EMBEDDED_NAME and not is_hub_id(name):
            raise ValueError(
                f"a Space loads models and adapters from the Hub: got {name!r}, expected "
                "owner/name; push it first"
            )
    fill = {
        "models": repr(list(models)),
        "adapters": repr(list(adapters)),
        "front_matter": _front_matter(models, hardware),
        "seconds": f"{Limits.seconds:g}",
        "megabytes": str(Limits.upload_bytes // 2**20),
    }
    files = {}
    for name in ("app.py", "README.md", "packages.txt"):
        text = (TEMPLATES / f"{name}.template").read_text(encoding="utf-8")
        for key, value in fill.items():
            text = text.replace(f"@{key}@", value)
        files[name] = text.encode()
    lines = [requirement] if requirement else requirements()
    files["requirements.txt"] = "".join(f"{line}\n" for line in lines).encode()
    if whole and requirement is None:
        used = not models or any(name.split("/")[0] == EMBEDDED_NAME for name in models)
        files |= _package_files(with_checkpoint=used)
    return files


def push_space(
    repository: str,
    *,
    models: Sequence[str] = (),
    adapters: Sequence[str] = (),
    requirement: str | None = None,
    hardware: str | None = None,
    private: bool | None = None,
    message: str = "Publish the songgen Space",
    token: str | None = None,
) -> str:
    """Create the Space if it does not exist and upload its files in one commit.

    The same commit deletes files of earlier pushes that are no longer needed.

    Args:
        repository: Hub id (owner/name) of the Space.
        models: as for :func:`space_files`.
        adapters: as for :func:`space_files`.
        requirement: as for :func:`space_files`.
        hardware: hardware of a new Space.
        private: whether a new Space is visible to its owner only.
        message: commit message.
        token: access token of the Hub; None for that of the user who is logged in.
    Returns:
        Address of the Space.
    Raises:
        ValueError: if the repository is not a Hub id, or for a local model.
        OSError: if the Hub cannot be reached or rejects the upload.
    """
    from huggingface_hub import HfApi

    if not is_hub_id(repository):
        raise ValueError(f"the name of a Space has the form owner/name: got {repository!r}")
    files = space_files(
        models=models, adapters=adapters, requirement=requirement, hardware=hardware, whole=True
    )
    api = HfApi(token=token)
    url = api.create_repo(
        repository,
        repo_type="space",
        space_sdk="gradio",
        private=private,
        exist_ok=True,
        space_hardware=hardware,  # type: ignore[arg-type]
    )
    with tempfile.TemporaryDirectory() as folder:
        write_files({Path(folder, name): content for name, content in files.items()})
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type="space",
            commit_message=message,
            delete_patterns=[*NAMES, f"{PACKAGE.name}/*"],
        )
    return str(url)


def requirements() -> list[str]:
    """The requirements of the package in a Space, according to its metadata."""
    lines = set()
    for line in metadata.requires("songgen-hf") or []:
        needed, _, condition = line.partition(";")
        extra = re.search(r"extra\s*==\s*[\"'](\w+)[\"']", condition)
        if extra is None or extra[1] in _EXTRAS:
            lines.add(needed.strip())
    # The version of gradio is set by sdk_version in the README of the Space.
    return sorted(line for line in lines if not line.startswith("gradio"))


def _front_matter(models: Sequence[str], hardware: str | None) -> str:
    """The YAML front matter of the README of the Space."""
    require("gradio", "space")
    version = metadata.version("gradio")
    ids = [name for name in models if name.split("/")[0] != EMBEDDED_NAME]
    lines = [
        "title: songgen",
        "emoji: 🎶",
        "colorFrom: green",
        "colorTo: yellow",
        "sdk: gradio",
        f"sdk_version: {version}",
        'python_version: "3.11"',
        "app_file: app.py",
        "pinned: false",
        "license: apache-2.0",
        "short_description: Write four lines. Hear them sung.",
        "tags:",
        "- text-to-song",
        "- text-to-audio",
        "- music",
    ]
    if ids:
        lines += ["models:", *(f"- {name}" for name in ids)]
    if hardware:
        lines.append(f"suggested_hardware: {hardware}")
    return "\n".join(["---", *lines, "---"])


def _package_files(*, with_checkpoint: bool) -> dict[str, bytes]:
    """The files of the package, by their paths in the repository."""
    files = {}
    for path in sorted(_walk(PACKAGE)):
        name = path.relative_to(PACKAGE).as_posix()
        folder = (
            name.split("/")[1] if name.count("/") > 1 and name.startswith("checkpoints/") else ""
        )
        used = {"", SEPARATOR_NAME, RECOGNIZER_NAME, *([EMBEDDED_NAME] if with_checkpoint else [])}
        if folder in used:
            files[f"{PACKAGE.name}/{name}"] = path.read_bytes()
    return files


def _walk(folder: Path) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.name in _LEFT_OUT or path.suffix == ".pyc":
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


__all__ = ["NAMES", "push_space", "requirements", "space_files"]
