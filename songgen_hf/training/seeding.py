"""Random number generation that follows a seed and leaves the caller's generators unchanged."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generators within the block, and restore their state after it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def seed_from(text: int | str) -> int:
    """A seed of 63 bits that follows from a text, such as ``"2333/discriminator"``."""
    return random.Random(str(text)).getrandbits(63)


__all__ = ["seed_from", "seeded"]
