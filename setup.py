"""Package metadata. Tools are configured in pyproject.toml; constraints.txt has tested versions."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"', (ROOT / "songgen_hf" / "version.py").read_text(), re.M
).group(1)

EXTRAS = {
    "train": [
        "accelerate>=1.10",
        "datasets>=5.1",
        "peft>=0.21",
        "pyyaml>=6",
        "tensorboard>=2.16.2",
    ],
    "diffusers": ["diffusers>=0.42"],
    "space": ["gradio>=6.29.1", "peft>=0.21", "pillow>=10"],
    # The endpoints, the server, its WebSockets, uploaded forms, and the metrics.
    "serve": [
        "fastapi>=0.115",
        "prometheus-client>=0.20",
        "python-multipart>=0.0.20",
        "uvicorn>=0.35",
        "websockets>=14",
    ],
    # gradio knows with which versions of mcp its server of the Model Context Protocol works.
    "mcp": ["gradio[mcp]>=6.29.1"],
    "lyrics": ["pypinyin>=0.50", "hangul-romanize>=0.1"],
    "corpus": [
        "datasets>=5.1",
        "pyloudnorm>=0.1.1",
        "pyworld>=0.3.4",
        "scipy>=1.13",
        # pyworld imports pkg_resources, which later setuptools no longer bring.
        "setuptools<82",
        "tqdm>=4.66.3",
    ],
    # silero-vad requires torch and packaging alone; its network is a file that torch reads.
    "prepare": ["datasets>=5.1", "pyarrow>=24", "pyloudnorm>=0.1.1", "silero-vad>=6.2.3"],
    "ray": ["ray[data,serve]>=2.40"],
    "separate": ["demucs>=4.1"],
    "docs": [
        "matplotlib>=3.8",
        "mkdocs>=1.6",
        "mkdocs-material>=9.6",
        "mkdocstrings[python]>=1.0",
        # Its options are those that mkdocs.yml names.
        "mkdocstrings-python>=2.0",
    ],
    "evaluate": [
        "matplotlib>=3.8",
        "pillow>=10",
        "pyarrow>=24",
        "pyloudnorm>=0.1.1",
        "scipy>=1.13",
    ],
    "completion": ["shtab>=1.13"],
}
EXTRAS["dev"] = sorted(
    {
        *EXTRAS["train"],
        *EXTRAS["diffusers"],
        *EXTRAS["lyrics"],
        *EXTRAS["corpus"],
        *EXTRAS["prepare"],
        *EXTRAS["ray"],
        *EXTRAS["separate"],
        *EXTRAS["docs"],
        *EXTRAS["evaluate"],
        *EXTRAS["completion"],
        *EXTRAS["space"],
        *EXTRAS["serve"],
        *EXTRAS["mcp"],
        "axe-playwright-python>=0.1.4",
        "mypy>=1.15",
        "playwright>=1.50",
        "pytest>=8",
        "pytest-xdist>=3.6",
        "ruff>=0.9",
        "vermin>=1.9",
    }
)

setup(
    name="songgen-hf",
    version=VERSION,
    description="SongGen, the text-to-song model, native to Hugging Face transformers",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11",
    packages=find_packages(include=["songgen_hf", "songgen_hf.*"]),
    package_data={
        "songgen_hf": [
            "py.typed",
            "checkpoints/recognizer-mini/**",
            "checkpoints/separator-mini/**",
            "checkpoints/songgen-mini/**",
            "data/preparation/*.css",
            "evaluation/experiments/definitions/*.yaml",
            "evaluation/listening_test/*.css",
            "evaluation/listening_test/*.html",
            "evaluation/listening_test/*.js",
            "evaluation/codecs/*.json",
            "evaluation/protocol/*.json",
            "evaluation/songs/published/*.yaml",
            "publishing/cards.md",
            "space/*.css",
            "space/*.js",
            "space/repository/*.template",
            "training/*/*.yaml",
        ]
    },
    install_requires=[
        # torch.optim.Muon, which training can use, came with 2.9.
        "torch>=2.9",
        "transformers>=5.23",
        "numpy>=2.0",
        "soundfile>=0.12",
        "soxr>=0.5",
        "huggingface-hub>=2.0",
        "safetensors>=0.8",
        "tokenizers>=0.23.3",
        "num2words>=0.5.13",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["songgen-hf=songgen_hf.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Sound Synthesis",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
