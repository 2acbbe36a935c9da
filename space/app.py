"""Start the Space with `python app.py`. `songgen-hf space push` writes this file."""

try:
    import spaces  # noqa: F401  (must be imported before torch, which it patches)
except ImportError:
    pass

import os

import torch

from songgen_hf.space.app import build_demo
from songgen_hf.space.limits import Limits
from songgen_hf.space.loading import default_settings, load_pipelines

MODELS = []  # Hub ids; empty for the models of the package
ADAPTERS = []  # Hub ids of the LoRA adapters that visitors can choose

# On a CPU, two songs are generated at the same time with one thread each, because more threads for
# one song make small models slower. On a GPU, songs are generated one by one.
places = 1 if torch.cuda.is_available() else min(2, os.cpu_count() or 1)
torch.set_num_threads(1)

demo = build_demo(
    load_pipelines(MODELS),
    limits=Limits(concurrency=places),
    adapters=ADAPTERS,
    defaults=default_settings(MODELS),
)

if __name__ == "__main__":
    demo.launch()
