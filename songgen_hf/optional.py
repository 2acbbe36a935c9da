"""Import of the packages that only some features need."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package or say how to install it.

    Args:
        module: name to import, for example ``"diffusers"``.
        extra: the extra of this package that brings it, for example ``"train"``.
    Returns:
        The imported module.
    Raises:
        ImportError: if ``module`` is not installed; an import that fails inside an installed
            ``module`` is passed on unchanged.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise ImportError(
            f"{module} is not installed. Install it with: pip install 'songgen-hf[{extra}]'"
        ) from error
