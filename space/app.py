"""The Space: `songgen-hf space push` writes this file, `python app.py` starts it."""

try:
    import spaces  # noqa: F401  (before torch: ZeroGPU patches it)
except ImportError:
    pass

import os

import torch

from songgen_hf.space import Limits, build_demo, load_pipelines
from songgen_hf.space.loading import default_settings

MODELS = []  # Hub ids; none for the package's own
ADAPTERS = []  # Hub ids of LoRA adapters to offer

# Two songs at a time on a CPU, one thread each: threads that wait for each other cost more than
# they give. One at a time on a GPU.
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
