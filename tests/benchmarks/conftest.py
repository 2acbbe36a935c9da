"""The benchmark scripts as modules."""

import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark(request):
    """The script of a test module: ``test_generate.py`` tests ``benchmarks/generate.py``."""
    name = Path(request.module.__file__).stem.removeprefix("test_")
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(BENCHMARKS)  # a script may import another one
        spec.loader.exec_module(module)
    return module
