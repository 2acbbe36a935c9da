"""Reads the imports of the package from its sources and defines the layers that they respect."""

import ast
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "songgen_hf"
ROOT_MODULE = "songgen_hf"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("version", "import_hook"),
    ("optional", "files", "provenance"),
    ("modeling",),
    ("modeling.masked", "modeling.listening"),
    ("pipelines",),
    ("presets",),
    ("data.listening",),
    ("checkpoints",),
    ("data",),
    ("publishing",),
    ("training",),
    ("evaluation",),
    ("space",),
    ("serving",),
    ("cli",),
)
"""The layers, lowest first: a module imports modules of its own layer and of lower ones."""

REGISTRATION_MAY_IMPORT = (
    "version",
    "import_hook",
    "optional",
    "files",
    "modeling",
    "pipelines",
    "checkpoints",
)
ROOT_MAY_IMPORT = (*REGISTRATION_MAY_IMPORT, "registration")


@cache
def modules() -> dict[str, Path]:
    """Return the file of each module name within the package ("" for the package itself)."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    """Return the imports of a file as (module name within the package, number of dots).

    Imports inside functions and imports for type checkers count too.
    """
    known = modules()
    package = path.relative_to(PACKAGE).parent.parts
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (ROOT_MODULE, *package)[: len(package) + 2 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = []
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                names.append((inner if _inside(inner) in known else module, node.level))
        else:
            continue
        found += [
            (_inside(name), dots) for name, dots in names if name.split(".")[0] == ROOT_MODULE
        ]
    return found


def _inside(name: str) -> str:
    """Return a dotted name without the name of the package."""
    return name.partition(".")[2]


def layer_of(module: str) -> str | None:
    """Return the layer of a module; None if it is in no layer."""
    names = [name for layer in LAYERS for name in layer]
    fitting = [name for name in names if module == name or module.startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def may_import(module: str) -> set[str] | None:
    """Return the layers that a module may import; None for a module that is in no layer."""
    if module in ("", "registration"):
        return set(ROOT_MAY_IMPORT if module == "" else REGISTRATION_MAY_IMPORT) | {
            "modeling.masked"
        }
    if module == "__main__":
        return {"cli"}
    if (own := layer_of(module)) is None:
        return None
    allowed: set[str] = set()
    for layer in LAYERS:
        allowed |= set(layer)
        if own in layer:
            break
    return allowed


def import_graph() -> dict[str, set[str]]:
    """Return the modules that each module imports, without their parent packages."""
    return {name: {one for one, _ in imports(path)} for name, path in modules().items()}


def first_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return names that import each other in a cycle, with the first one repeated at the end.

    The list is empty if there is no cycle.
    """
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def folder_graph(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports between folders, with the modules at the root of the package as nodes."""
    files = modules()

    def folder(module: str) -> str:
        path = files.get(module)
        is_package = path is None or path.name == "__init__.py"
        return module if is_package or "." not in module else module.rpartition(".")[0]

    between: dict[str, set[str]] = {}
    for module, others in graph.items():
        own = between.setdefault(folder(module), set())
        own |= {folder(other) for other in others} - {folder(module)}
    return between
