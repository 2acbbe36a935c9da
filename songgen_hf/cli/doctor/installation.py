"""What is installed: Python, the required packages, the extras and programs of the system."""

import ctypes
import importlib
import platform
import shutil
import sys
from importlib import metadata
from typing import Any

DISTRIBUTION = "songgen-hf"
PYTHONS = ((3, 11), (3, 13))
"""The oldest and the newest Python that the package supports."""

# Import names that differ from the name of the distribution.
MODULES = {"huggingface-hub": "huggingface_hub"}

GIVES = {
    "train": "songgen-hf train: models, LoRA adapters, codecs",
    "diffusers": "masked generation in few steps, as a diffusers pipeline",
    "space": "songgen-hf space: the web page, and publishing it",
    "serve": "songgen-hf serve: a service with REST endpoints and a WebSocket",
    "mcp": "songgen-hf space run --mcp: assistants sing by the Model Context Protocol",
    "lyrics": "lyrics in Chinese and Korean",
    "corpus": "songgen-hf corpus: songs to train on, rendered here",
    "prepare": "songgen-hf prepare: recordings to clips, songs to codes",
    "ray": "songgen-hf prepare --runner ray: on many machines",
    "separate": "Demucs models, which separate vocal and accompaniment",
    "evaluate": "songgen-hf evaluate: judges, tables, pictures",
    "completion": "songgen-hf completion: shell completion",
    "docs": "building the documentation",
    "dev": "everything, and the tests",
}
"""What each extra is for."""

SYSTEM = {
    "espeak-ng": ("songgen-hf corpus", "espeak-ng"),
    "fluidsynth": ("songgen-hf corpus", "fluidsynth"),
    "soundfont": ("songgen-hf corpus", "fluid-soundfont-gm"),
    "ffmpeg": ("WebM and M4A voices in songgen-hf space", "ffmpeg"),
}
"""Programs and data that no Python package installs: what for, and the Debian package."""


def describe_python() -> dict[str, Any]:
    """The version of Python, and whether the package supports and tests it."""
    return {
        "version": platform.python_version(),
        "supported": PYTHONS[0] <= sys.version_info[:2],
        "tested": PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1],
    }


def describe_packages() -> dict[str, dict[str, Any]]:
    """Each required package: its version, the required one, and why it does not work."""
    found = {}
    for requirement in requirements():
        status = check_requirement(requirement)
        if status["problem"] is None:
            status["problem"] = import_problem(requirement.name)
        found[requirement.name] = status
    return found


def describe_extras() -> dict[str, dict[str, Any]]:
    """Each extra: what it is for, which of its packages are missing, and how to install it."""
    found = {}
    for extra in metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []:
        missing = {
            requirement.name: problem
            for requirement in requirements(extra)
            if (problem := check_requirement(requirement)["problem"])
        }
        found[extra] = {
            "gives": GIVES.get(extra, ""),
            "complete": not missing,
            "missing": missing,
            "install": f"pip install '{DISTRIBUTION}[{extra}]'",
        }
    return found


def describe_system() -> dict[str, dict[str, Any]]:
    """Programs and data that no Python package installs, and what they are needed for."""
    found = {}
    for name, (needed_for, package) in SYSTEM.items():
        place = problem = None
        try:
            place = find_program(name)
        except (ImportError, OSError) as error:
            problem = " ".join(str(error).split())
        found[name] = {
            "found": place,
            "needed_for": needed_for,
            "install": f"apt-get install {package}",
            "problem": problem,
        }
    return found


def find_program(name: str) -> str:
    """The place of an entry of ``SYSTEM``, or the name of the library that can be loaded.

    Raises:
        OSError, ImportError: if it is missing.
    """
    if name == "ffmpeg":
        if (program := shutil.which(name)) is None:
            raise FileNotFoundError("no program ffmpeg on the PATH")
        return program
    from ...data.corpus.synthesizer import FLUIDSYNTH, find_soundfont
    from ...data.listening.espeak import ESPEAK

    if name == "soundfont":
        return find_soundfont()
    library = ESPEAK if name == "espeak-ng" else FLUIDSYNTH
    ctypes.CDLL(library)
    return library


def requirements(extra: str | None = None) -> list[Any]:
    """The requirements of the package, or of one of its extras, that apply to this machine.

    Raises:
        importlib.metadata.PackageNotFoundError: if the package was not installed with pip.
    """
    from packaging.requirements import Requirement

    found = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or []]
    plain = [
        entry for entry in found if entry.marker is None or entry.marker.evaluate({"extra": ""})
    ]
    if extra is None:
        return plain
    return [
        entry
        for entry in found
        if entry not in plain and entry.marker and entry.marker.evaluate({"extra": extra})
    ]


def check_requirement(requirement: Any) -> dict[str, Any]:
    """The installed version of a requirement, and what is wrong with it."""
    required = str(requirement.specifier)
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return {"version": None, "required": required, "problem": "not installed"}
    fits = requirement.specifier.contains(version, prereleases=True)
    problem = None if fits else f"{version} is installed, {required} is needed"
    return {"version": version, "required": required, "problem": problem}


def import_problem(distribution: str) -> str | None:
    """Why an installed package cannot be imported, if it cannot."""
    try:
        importlib.import_module(MODULES.get(distribution, distribution))
    except Exception as error:  # a broken package can raise anything
        return f"cannot be imported: {' '.join(str(error).split()) or type(error).__name__}"
    return None
