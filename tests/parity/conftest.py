"""Fixtures of the parity tests: the golden folder, and reference checkpoints as models."""

from pathlib import Path

import pytest

from .cases import golden_root


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of recorded results: ``SONGGEN_GOLDEN``, or the small set in tests/golden."""
    return golden_root()


@pytest.fixture(scope="session")
def golden_case(golden: Path):
    """Factory ``golden_case(name)`` of cases that are loaded once and stay unchanged."""
    from .loading import load_case

    loaded = {}

    def load(name: str):
        if name not in loaded:
            loaded[name] = load_case(golden, name)
        return loaded[name]

    return load
