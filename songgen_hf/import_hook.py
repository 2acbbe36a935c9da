"""Calls functions when modules of another package have been imported, and not before.

A function is called at the end of the outermost import, when no module is incomplete: it can
import what it needs even if its module was imported in the middle of another one.
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class ImportHook(MetaPathFinder):
    """Finder that lets the other finders work and calls functions after imports.

    Args:
        actions: functions by the name of the module after which each is called, once. If one
            raises an exception, the import fails, and the next import calls it again.
        packages: names of the packages whose modules can be incomplete when a module of
            ``actions`` is imported. They must not include a package that is being imported.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]], *, packages: Sequence[str]):
        self.actions = dict(actions)
        self.packages = tuple(packages)
        self.local = threading.local()

    def install(self) -> None:
        """Call the functions of the modules that are imported already, and wait for the others."""
        self.call_actions()
        if self.actions and self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that the other finders return, whose loader reports to this object."""
        if fullname.partition(".")[0] not in self.packages:
            return None
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(fullname, path, target)
            if found is not None:
                if found.loader is not None:
                    self._follow(found.loader)
                return found
        return None

    def _follow(self, loader: Any) -> None:
        """Call the functions after the loader has executed its module."""
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            if "exec_module" in vars(loader):
                del loader.exec_module
            depth = getattr(self.local, "depth", 0)
            self.local.depth = depth + 1
            try:
                execute(module)
            finally:
                self.local.depth = depth
            if depth == 0:
                self.call_actions()

        loader.exec_module = exec_module

    def call_actions(self) -> None:
        """Call the functions of the modules that are imported."""
        for name in [name for name in self.actions if name in sys.modules]:
            # Removed first: an action can import modules, and threads can import at the same time.
            if (action := self.actions.pop(name, None)) is None:
                continue
            try:
                action()
            except BaseException:
                self.actions[name] = action
                raise
        if not self.actions and self in sys.meta_path:
            sys.meta_path.remove(self)


__all__ = ["ImportHook"]
