"""The imports of the package, read from its sources, and the layers they have to respect."""

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "songgen_hf"
ROOT_MODULE = "songgen_hf"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("version",),
    ("optional", "files", "provenance"),
    ("modeling",),
    ("modeling.masked",),
    ("pipelines",),
    ("presets",),
    ("checkpoints",),
    ("data",),
    ("training",),
    ("evaluation",),
    ("publishing",),
    ("space",),
    ("cli",),
)
"""Lowest first: a module imports its own layer and those before it."""

REGISTRATION_MAY_IMPORT = ("version", "optional", "files", "modeling", "pipelines", "checkpoints")
ROOT_MAY_IMPORT = (*REGISTRATION_MAY_IMPORT, "registration")


def modules() -> dict[str, Path]:
    """Module name within the package ("" for the package itself) -> its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> list[tuple[str, int]]:
    """What a file imports of the package, as (module name within the package, number of dots).

    Imports inside functions count, and those for type checkers too: a reader meets them all.
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
    """A dotted name without the package's own."""
    return name.partition(".")[2]


def layer_of(module: str) -> str | None:
    """The layer that holds a module; None if no layer does."""
    names = [name for layer in LAYERS for name in layer]
    fitting = [name for name in names if module == name or module.startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def may_import(module: str) -> set[str] | None:
    """The layers that a module may import; None for a module that is in no layer."""
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
    # The command line registers the models through the package itself.
    return allowed | ({""} if own == "cli" else set())


def import_graph() -> dict[str, set[str]]:
    """Module -> the modules it imports, without the packages that Python passes through."""
    return {name: {one for one, _ in imports(path)} for name, path in modules().items()}


def first_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Names that import each other in a circle, the first one repeated last; empty if none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def folder_graph(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between folders; the modules at the root of the package stand for themselves."""
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
