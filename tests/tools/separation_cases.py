"""A tiny separator with random weights, and sounds for it."""

import numpy as np
import torch

from songgen_hf.modeling.listening.separator import SeparatorConfig, VocalSeparator

TINY_SIZES = {"hidden_size": 8, "dilations": (1, 3)}


def tiny_separator(seed: int = 0) -> VocalSeparator:
    """An untrained separator; the global random generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        separator = VocalSeparator(SeparatorConfig(level_frames=10, **TINY_SIZES)).eval()
        with torch.no_grad():
            separator.direct.fill_(0.5)
            separator.head.weight.mul_(5)
    return separator


def noise(length: int, seed: int = 0) -> np.ndarray:
    """Noise whose level changes, float32 [length]."""
    rng = np.random.default_rng(seed)
    level = 0.05 + 0.15 * np.abs(np.sin(np.arange(length) / 3000))
    return (level * rng.standard_normal(length)).astype(np.float32)
