"""The Gradio Space: type four lines, hear them sung.

``build_demo(pipeline).launch()`` is the page; ``songgen-hf space run`` starts it on the package's
own models, ``songgen-hf space push`` publishes it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import build_demo
    from .limits import Limits
    from .loading import load_pipelines
    from .settings import Settings

_MODULES = {
    "Limits": "limits",
    "Settings": "settings",
    "build_demo": "app",
    "load_pipelines": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = ["Limits", "Settings", "build_demo", "load_pipelines"]
