"""Tests of the Dockerfile, whose instructions are run in a virtual environment of their own.

It has what torch and the package require already, but for ``FETCHED``, because unpacking takes
minutes; pip finds it installed, compares it with constraints.txt and installs the rest.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution, files, requires
from pathlib import Path

import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from songgen_hf.data.listening.espeak import DEBIAN_PACKAGES

ROOT = Path(__file__).parents[1]
INSTRUCTIONS = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}
PRESENT = ("torch", "songgen-hf", "pip")
"""Distributions that are there with all that they require."""
FETCHED = ("songgen-hf", "num2words", "soxr")
"""What pip has to install itself, beside the extra for completion."""
NOWHERE = "http://127.0.0.1:9"
"""Address without a server; as a proxy it cuts a process off the network."""


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the name and the rest of every instruction, with comments removed and lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = lines.replace("\\\n", " ")
    return [
        (name, rest)
        for name, _, rest in (line.partition(" ") for line in joined.split("\n") if line)
    ]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def values(name: str) -> list[str]:
    """Return the rest of each instruction of a name."""
    return [rest for instruction, rest in DOCKERFILE if instruction == name]


def ignored(path: str) -> bool:
    """Whether .dockerignore excludes a path; the last pattern that fits it or a folder decides."""
    parts = path.split("/")
    folders = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            names = parts if pattern.startswith("**/") else folders
            if any(fnmatch.fnmatch(name, pattern.removeprefix("**/")) for name in names):
                out = not line.startswith("!")
    return out


def present() -> set[Path]:
    """What of this environment's packages is there before pip installs the rest."""
    waiting, seen = [canonicalize_name(name) for name in PRESENT], set()
    found = set()
    while waiting:
        if (name := waiting.pop()) in seen:
            continue
        seen.add(name)
        needed = [Requirement(one) for one in requires(name) or ()]
        waiting += [
            canonicalize_name(one.name)
            for one in needed
            if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
        if name not in FETCHED:
            parts = {path.parts[0] for path in files(name) or () if ".." not in path.parts}
            folder = Path(str(distribution(name).locate_file("")))
            found |= {folder / part for part in parts - {"__pycache__"}}
    return {path for path in found if path.exists()}


class Build:
    """Runs the instructions of the Dockerfile in a folder with a virtual environment.

    Args:
        folder: folder in place of the root of the image.
        arguments: arguments of ``docker build --build-arg``.
    """

    def __init__(self, folder: Path, arguments: dict[str, str]) -> None:
        self.folder, self.given = folder, arguments
        new_venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
        subprocess.run(new_venv, check=True)
        (new,) = (folder / "venv").glob("lib/python*/site-packages")
        for source in present():
            (new / source.name).symlink_to(source)
        kept = {
            name: value
            for name, value in os.environ.items()
            if re.match("PIP_|SSL_|.*_proxy$|.*_PROXY$", name)
        }
        path = f"{folder / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        self.environment = {**kept, "PATH": path, "HOME": os.environ["HOME"]}
        self.variables: dict[str, str] = {}
        self.directory = folder

    def run(self) -> None:
        """Run every instruction in order."""
        for name, rest in DOCKERFILE:
            getattr(self, f"do_{name.lower()}")(rest)

    def expand(self, text: str) -> str:
        """Replace the variables in an instruction as docker does."""
        known = self.environment | self.variables
        return re.sub(r"\$\{(\w+)\}", lambda match: known[match[1]], text)

    def inside(self, path: str) -> Path:
        """Return the path that stands for a path of the image."""
        return Path(path) if path.startswith(str(self.folder)) else self.folder / path.strip("/")

    def do_from(self, rest: str) -> None:
        assert re.fullmatch(r"python:3\.\d+-slim", rest)

    def do_arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self.variables[name] = self.given.get(name, default)

    def do_env(self, rest: str) -> None:
        for word in shlex.split(rest):
            name, _, value = word.partition("=")
            if name in ("HOME", "PIP_NO_CACHE_DIR"):
                continue  # the settings and the cache of pip are used
            self.environment[name] = str(self.inside(value)) if value.startswith("/") else value

    def do_workdir(self, rest: str) -> None:
        self.directory = self.inside(self.expand(rest))
        self.directory.mkdir(parents=True, exist_ok=True)

    def do_copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in sources:
            assert not ignored(source), f"{source} is not sent to docker"
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source,
                    self.directory / target,
                    ignore=shutil.ignore_patterns("__pycache__"),
                )
            else:
                shutil.copy(ROOT / source, self.directory / target)

    def do_run(self, rest: str) -> None:
        if rest.startswith("apt-get "):
            return  # it would change the system of whoever runs the tests
        done = subprocess.run(
            ["sh", "-e", "-c", rest],
            cwd=self.directory,
            env=self.environment | self.variables,
            capture_output=True,
            encoding="utf-8",
            timeout=900,
        )
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def do_user(self, rest: str) -> None:
        assert rest.split(":")[0].isdecimal() and int(rest.split(":")[0]) > 0

    def do_entrypoint(self, rest: str) -> None:
        self.entrypoint = json.loads(rest)

    def do_cmd(self, rest: str) -> None:
        assert json.loads(rest) == ["--help"]

    def container(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the entry point without a network, as ``docker run --network none``."""
        environment = {
            name: value
            for name, value in self.environment.items()
            if not name.lower().endswith("_proxy")
        }
        return subprocess.run(
            [*self.entrypoint, *arguments],
            cwd=self.directory,
            env=environment | {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )


@pytest.fixture(scope="module")
def image() -> Iterator[Build]:
    """The image of the Dockerfile, built without docker."""
    with tempfile.TemporaryDirectory(prefix="songgen-image-") as folder:
        # Without TORCH_INDEX, pip installs PyTorch from its default index.
        build = Build(Path(folder), {"TORCH_INDEX": "", "SONGS": f"{folder}/songs"})
        build.run()
        yield build


def test_the_dockerfile_uses_supported_instructions_only():
    assert {name for name, _ in DOCKERFILE} == INSTRUCTIONS


def test_the_image_sets_an_unprivileged_user_before_its_entry_point():
    names = [name for name, _ in DOCKERFILE]

    assert names.index("USER") < names.index("ENTRYPOINT")
    assert values("USER") == ["1000:1000"]
    assert values("ENTRYPOINT") == ['["songgen-hf"]']


def test_all_files_in_the_build_context_are_copied():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8")
    if tracked.returncode:
        pytest.skip("not a clone")
    sent = {path.split("/")[0] for path in tracked.stdout.splitlines() if not ignored(path)}

    copied = {source for rest in values("COPY") for source in rest.split()[:-1]}
    assert sent == copied


def test_the_image_has_a_python_that_the_package_is_tested_with():
    from songgen_hf.cli.doctor.installation import PYTHONS

    version = re.search(r"3\.(\d+)", values("FROM")[0])
    assert PYTHONS[0][1] <= int(version[1]) <= PYTHONS[1][1]


def test_the_image_has_the_library_that_pronounces_lyrics_for_best_of():
    (packages,) = (rest for rest in values("RUN") if rest.startswith("apt-get "))

    assert DEBIAN_PACKAGES.split()[0] == "espeak-ng" and " espeak-ng " in packages


def test_folders_of_compiled_files_are_not_in_the_build_context():
    assert ignored("songgen_hf/cli/__pycache__/x.pyc") and ignored("tests/README.md")
    assert not ignored("songgen_hf/cli/generate/__init__.py")


def test_the_documented_commands_mount_a_folder_and_keep_the_owner():
    page = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")

    runs = re.findall(r"^docker run .*", page, re.M)
    assert runs and all(
        "--user" in line and "/songs" in line for line in runs if "generate" in line
    )


@pytest.mark.network
@pytest.mark.slow
def test_the_built_image_generates_a_song_without_a_network(image):
    done = image.container(
        "generate", "a calm folk song", "--lyrics", "the river runs", "--seed", "7",
        "--max-seconds", "1", "--quiet", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    song = json.loads(done.stdout)["songs"][0]
    assert song["seed"] == 7
    assert soundfile.info(image.directory / "song.wav").duration == song["duration"]


@pytest.mark.network
@pytest.mark.slow
def test_the_image_has_the_required_packages_only(image):
    done = image.container("doctor", "--json")

    facts = json.loads(done.stdout)
    assert done.returncode == 0 and facts["works"]
    assert {name for name, extra in facts["extras"].items() if extra["complete"]} == {"completion"}
    assert list((image.folder / "build").glob("*.egg-info")) == []
