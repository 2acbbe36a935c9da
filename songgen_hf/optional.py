"""Imports packages that only some features need."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        module: name of the module, for example ``"diffusers"``.
        extra: extra of this package that installs it, for example ``"train"``.
    Returns:
        The imported module.
    Raises:
        ImportError: if the package is not installed, with the command that installs it. An error
            that an installed module raises during its import is not changed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise ImportError(
            f"{module} is not installed. Install it with: pip install 'songgen-hf[{extra}]'"
        ) from error
