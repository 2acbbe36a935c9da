"""What is installed: Python, packages, the extras and the system's programs, for the doctor."""

import ctypes
import importlib
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTION = "songgen-hf"
PYTHONS = ((3, 11), (3, 13))
"""The oldest and the newest Python that the package says it runs on."""

# Import names where they differ from the distribution's.
MODULES = {"huggingface-hub": "huggingface_hub"}

GIVES = {
    "train": "songgen-hf train: models, LoRA adapters, codecs",
    "diffusers": "masked generation in few steps, as a diffusers pipeline",
    "space": "songgen-hf space: the web page, and publishing it",
    "lyrics": "lyrics in Chinese and Korean",
    "corpus": "songgen-hf corpus: songs to train on, rendered here",
    "prepare": "songgen-hf prepare: songs to codes",
    "ray": "songgen-hf prepare --runner ray: on many machines",
    "evaluate": "songgen-hf evaluate: judges, tables, pictures",
    "completion": "songgen-hf completion: the Tab key",
    "docs": "building the documentation",
    "dev": "everything, and the tests",
}
"""What each extra is for."""


def describe_python() -> dict[str, Any]:
    """The interpreter, and whether the package is meant for it."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "supported": PYTHONS[0] <= sys.version_info[:2],
        "tested": PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1],
    }


def describe_packages() -> dict[str, dict[str, Any]]:
    """Each package that is needed to sing: version, what is required, why it does not work."""
    found = {}
    for requirement in requirements():
        status = check_requirement(requirement)
        if status["problem"] is None:
            status["problem"] = import_problem(requirement.name)
        found[requirement.name] = status
    return found


def describe_extras() -> dict[str, dict[str, Any]]:
    """Each extra: what it is for, what of it is missing, and how to get it."""
    found = {}
    for extra in extras():
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
    """Programs and data that no Python package brings, and what they are needed for."""
    needs: dict[str, tuple[Callable[[], str], str, str]] = {
        "espeak-ng": (_espeak, "songgen-hf corpus", "apt-get install espeak-ng"),
        "fluidsynth": (_fluidsynth, "songgen-hf corpus", "apt-get install fluidsynth"),
        "soundfont": (_soundfont, "songgen-hf corpus", "apt-get install fluid-soundfont-gm"),
        "ffmpeg": (_ffmpeg, "WebM and M4A voices in songgen-hf space", "apt-get install ffmpeg"),
    }
    found = {}
    for name, (find, needed_for, install) in needs.items():
        try:
            place, problem = find(), None
        except (ImportError, OSError) as error:
            place, problem = None, " ".join(str(error).split())
        found[name] = {
            "found": place,
            "needed_for": needed_for,
            "install": install,
            "problem": problem,
        }
    return found


def requirements(extra: str | None = None) -> list[Any]:
    """The requirements that hold on this machine, of the package or of one of its extras.

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


def extras() -> list[str]:
    """Names of the package's extras."""
    return list(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or [])


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


def _espeak() -> str:
    from ...data.corpus.speech import ESPEAK

    return _library(ESPEAK)


def _fluidsynth() -> str:
    from ...data.corpus.synthesizer import FLUIDSYNTH

    return _library(FLUIDSYNTH)


def _library(name: str) -> str:
    ctypes.CDLL(name)
    return name


def _soundfont() -> str:
    from ...data.corpus.synthesizer import find_soundfont

    return str(Path(find_soundfont()))


def _ffmpeg() -> str:
    program = shutil.which("ffmpeg")
    if program is None:
        raise FileNotFoundError("no program ffmpeg on the PATH")
    return program


__all__ = [
    "DISTRIBUTION",
    "GIVES",
    "PYTHONS",
    "check_requirement",
    "describe_extras",
    "describe_packages",
    "describe_python",
    "describe_system",
    "extras",
    "import_problem",
    "requirements",
]
