"""Names of checkpoints that are no folders and no Hub ids, for ``from_pretrained`` of the classes.

The package registers a function that finds the folders of its own checkpoints. Where these files
are the remote code of a checkpoint there is none, and names stay as they are.
"""

import os
from collections.abc import Callable
from typing import Any

_find: Callable[[str], str] | None = None


def register_names(find: Callable[[str], str]) -> None:
    """Register the function that returns the folder of a name, and other names unchanged."""
    global _find
    _find = find


def folder_of(name: Any) -> Any:
    """Return the folder of the name of a checkpoint, and any other argument unchanged."""
    return _find(name) if _find is not None and isinstance(name, str) else name


class NamedCheckpointMixin:
    """Lets ``from_pretrained`` take the names of checkpoints.

    It precedes the class of transformers among the base classes.
    """

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint.

        Args:
            pretrained_model_name_or_path: folder, Hub id, or the name of an embedded checkpoint
                such as "songgen-mini/mixed_pro".
            *args: arguments of ``from_pretrained`` of transformers.
            **kwargs: further arguments of ``from_pretrained`` of transformers.
        """
        name = folder_of(pretrained_model_name_or_path)
        return super().from_pretrained(name, *args, **kwargs)  # type: ignore[misc]


__all__ = ["NamedCheckpointMixin", "folder_of", "register_names"]
