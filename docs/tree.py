"""Write docs/tree.md: one line for every file of the package and every entry of the repository.

    python docs/tree.py

The line of a module is the first sentence of its docstring; the line of a folder is that of its
``__init__.py``. What has no docstring is described in ``DESCRIPTIONS``.
"""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tree.md"
PACKAGE = "songgen_hf/"
HEAD = """\
# The source tree

Look here for the file that you want to read or change. Every module of the package and every other
entry of the repository has one line. The line of a module is the first sentence of its docstring,
that of a folder the docstring of its `__init__.py`; a folder of data has one line for its files.
`make tree` writes this page, and a test fails if it is out of date.
"""
DESCRIPTIONS = {
    "README.md": "What the package does, how to install it and how well it works.",
    "CHANGELOG.md": "Changes of every version.",
    "CONTRIBUTING.md": "Rules for changes, the layers of the package and where things are.",
    "LICENSE": "Apache-2.0.",
    "NOTICE": "Papers and projects that this package builds on, and their licenses.",
    "model_card.md": "The model card of songgen-mini, the model that comes with the package.",
    "setup.py": "Package metadata, requirements and extras.",
    "pyproject.toml": "Settings of ruff, mypy and pytest.",
    "constraints.txt": "Versions of all requirements that the tests ran with.",
    "Makefile": "Short commands: song, test, fast, quality, style, docs, figures, tree.",
    "Dockerfile": "An image for CPUs that holds the package and its model.",
    "mkdocs.yml": "Settings and navigation of the documentation site.",
    ".ci/": "`run` executes everything that a change has to pass.",
    "benchmarks/": "Scripts that measure speed, memory and the quality of the rendered corpus.",
    "docs/": "The pages of the documentation; `figures/` and `songs.py` make pictures and songs.",
    "notebooks/": "Three notebooks for Colab: a first song, edits, an adapter of your own songs.",
    "examples/": "Four short scripts: two tracks, streaming, continuation, a spectrogram.",
    "integrations/": "Nodes of ComfyUI over the pipelines.",
    "space/": "The files of a Gradio Space on the Hub, as `songgen-hf space push` writes them.",
    "tests/": "Tests in the folders of the package; `parity/` compares with the reference code.",
    PACKAGE + "checkpoints/recognizer-mini/": "The weights of the phoneme recognizer.",
    PACKAGE + "checkpoints/separator-mini/": "The separator, trained on rendered songs alone.",
    PACKAGE + "checkpoints/songgen-mini/": "The weights of songgen-mini: codec and three models.",
    PACKAGE + "data/preparation/report.css": "The style sheet of the report of prepared clips.",
    PACKAGE + "evaluation/experiments/definitions/": "The experiments of the package, as YAML.",
    PACKAGE + "evaluation/listening_test/page.css": "The style sheet of a listening test.",
    PACKAGE + "evaluation/listening_test/page.html": "The template of a listening test.",
    PACKAGE + "evaluation/listening_test/page.js": "The script of a listening test.",
    PACKAGE + "evaluation/codecs/protocols.json": "Published protocols of codecs, with figures.",
    PACKAGE + "evaluation/protocol/prompts.json": "The 100 prompts of the evaluation.",
    PACKAGE + "evaluation/songs/published/": "Protocols of papers: settings and figures, as YAML.",
    PACKAGE + "publishing/cards.md": "The template of model cards.",
    PACKAGE + "py.typed": "Marks the package as typed (PEP 561).",
    PACKAGE + "space/page.css": "The style sheet of the web page.",
    PACKAGE + "space/page.js": "The script of the web page.",
    PACKAGE + "space/player.js": "The player of the web page, also of songs in the making.",
    PACKAGE + "space/repository/": "Templates of the files of a Space on the Hub.",
    PACKAGE + "training/recipes/": "Options of the runs that made songgen-mini, as YAML.",
    PACKAGE + "training/stages/": "Options of the published training stages, as YAML.",
}
HIDDEN = (".gitignore", ".dockerignore")


def files() -> list[str]:
    """Paths of the repository's files: in a clone those that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if (ROOT / ".git").exists() and listed.returncode == 0:
        found = [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    else:
        paths = [path for path in ROOT.rglob("*") if path.is_file()]
        found = [path.relative_to(ROOT).as_posix() for path in paths]
    return sorted(path for path in found if "__pycache__" not in path and path not in HIDDEN)


def summary(path: Path) -> str:
    """The first sentence of a module's docstring.

    Raises:
        ValueError: if there is none.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = re.match(r".+?[.?](?= |$)", paragraph)
    if sentence is None:
        raise ValueError(f"{path.relative_to(ROOT)}: the docstring does not begin with a sentence")
    return sentence[0]


def entries(paths: list[str]) -> dict[str, str]:
    """Every entry of the tree with its line; folders end in a slash.

    Raises:
        ValueError: for a file that nothing describes.
    """
    found: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        above = ["/".join(parts[:depth]) + "/" for depth in range(1, len(parts))]
        described = next((entry for entry in [*above, path] if entry in DESCRIPTIONS), None)
        if described is not None:
            found[described] = DESCRIPTIONS[described]
        elif path.startswith(PACKAGE) and path.endswith(".py"):
            found[path.removesuffix("__init__.py")] = summary(ROOT / path)
        else:
            raise ValueError(f"docs/tree.py: no description of {path}")
    return found


def order(path: str) -> tuple[object, ...]:
    """Sort key: in every folder its files come before its folders."""
    parts = path.rstrip("/").split("/")
    last = len(parts) - 1
    return tuple((index < last or path.endswith("/"), part) for index, part in enumerate(parts))


def page() -> str:
    """The text of docs/tree.md."""
    lines = []
    found = entries(files())
    for path in sorted(found, key=order):
        depth = path.rstrip("/").count("/")
        name = path.rstrip("/").rpartition("/")[2] + ("/" if path.endswith("/") else "")
        lines.append(f"{'    ' * depth}- `{name}`: {found[path]}")
    return HEAD + "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
