"""Fixtures of the parity tests: the golden folder, reference checkpoints in our classes."""

from pathlib import Path

import pytest

from .cases import golden_root


@pytest.fixture(scope="session")
def golden() -> Path:
    """Recorded reference results: ``SONGGEN_GOLDEN``, else the small set in tests/golden."""
    return golden_root()


@pytest.fixture(scope="session")
def golden_case(golden: Path):
    """Factory ``golden_case(name)`` -> GoldenCase; each is loaded once and read-only."""
    from .loading import load_case

    loaded = {}

    def load(name: str):
        if name not in loaded:
            loaded[name] = load_case(golden, name)
        return loaded[name]

    return load
