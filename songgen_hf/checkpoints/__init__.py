"""The checkpoint that is sung from when none is named.

``songgen-mini/`` beside this file, if the installed package holds one; else the mini preset with
seeded random weights, made once in the cache and marked ``"trained": false`` in its config, which
every way to sing reports.
"""

import hashlib
import logging
from pathlib import Path

from .. import __version__
from ..files import new_directory

logger = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parent / "songgen-mini"
UNTRAINED_SEED = 0


def default_checkpoint() -> str:
    """Directory of the default checkpoint, made in the cache if need be.

    The cache is ``songgen-hf`` in Hugging Face's cache folder (environment variable ``HF_HOME``).
    """
    if (EMBEDDED / "config.json").is_file():
        return str(EMBEDDED)
    from huggingface_hub.constants import HF_HOME

    directory = Path(HF_HOME) / "songgen-hf" / f"mini-untrained-{__version__}-{_source_digest()}"
    if not (directory / "config.json").is_file():
        logger.info("making the untrained mini checkpoint in %s", directory)
        try:
            write_untrained(directory, preset="mini", seed=UNTRAINED_SEED)
        except OSError:
            if not (directory / "config.json").is_file():  # else another process was faster
                raise
    return str(directory)


def write_untrained(directory: Path | str, *, preset: str, seed: int, **options: str) -> None:
    """Write a preset with seeded random weights and its processor, marked as untrained.

    Args:
        directory: new or empty; it appears whole or not at all.
        preset: one of ``songgen_hf.presets.PRESETS``.
        seed: where the random weights start.
        options: further arguments of ``songgen_hf.presets.build``, such as ``track_pattern``.
    Raises:
        FileExistsError: if the directory holds files.
        ValueError: for an unknown preset or pattern.
    """
    from ..presets import build

    with new_directory(directory) as temporary:
        model, processor = build(preset, seed=seed, **options)
        model.config.trained = False
        model.save_pretrained(temporary, save_original_format=False)
        processor.save_pretrained(temporary)


def _source_digest() -> str:
    """Short hash of the code that decides the weights: a change makes a new checkpoint."""
    package = Path(__file__).parents[1]
    sources = [package / "presets.py", package / "tokenizers_mini.py"]
    digest = hashlib.sha256()
    for path in [*sources, *sorted((package / "modeling").glob("*.py"))]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


__all__ = ["default_checkpoint", "write_untrained"]
