"""Compares the installed packages with the lower bounds of setup.py, for ``make lowest``."""

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.version import Version


def above_lower_bounds(
    requirements: Iterable[str], installed: Callable[[str], str] = version
) -> list[str]:
    """Return a line for each installed package that is newer than its lower bound.

    The bound is then lower than what the other packages allow, and it is not tested.
    """
    found = set()
    for requirement in map(Requirement, requirements):
        bounds = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
        try:
            given = Version(installed(requirement.name))
        except PackageNotFoundError:
            continue
        if bounds and Version(given.public) != max(bounds):
            found.add(f"{requirement.name}>={max(bounds)}: installed is {given}")
    return sorted(found)


if __name__ == "__main__":
    lines = above_lower_bounds(requires("songgen-hf") or [])
    sys.stdout.write("\n".join(["packages above their lower bounds in setup.py:", *lines]) + "\n")
    sys.exit(any(not line.startswith("torch>=") for line in lines))
