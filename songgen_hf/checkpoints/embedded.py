"""Finds the checkpoints that are part of the package, among them the default model.

The folder ``songgen-mini/`` beside this file holds a folder for each track pattern and one codec
for all of them (:mod:`~songgen_hf.publishing.export_sharing`); ``separator-mini/`` holds a network
that separates vocal and accompaniment. If the installed package lacks it, the default model is the
mini preset with seeded random weights, which is created once in the cache. Its config contains
``"trained": false``, and the pipelines warn about it.
"""

import hashlib
import logging
from pathlib import Path
from typing import Any

from ..files import new_directory
from ..version import __version__

logger = logging.getLogger(__name__)

EMBEDDED_NAME = "songgen-mini"
EMBEDDED = Path(__file__).parent / EMBEDDED_NAME
EMBEDDED_PATTERNS = ("interleaving_A_V", "mixed_pro")
"""Track patterns of the embedded models; the first one is that of the default model."""
CODEC_FOLDER = "codec"
MASKED_FOLDER = "masked"
MASKED_CHECKPOINT = f"{EMBEDDED_NAME}/{MASKED_FOLDER}"
SEPARATOR_NAME = "separator-mini"
"""The network that separates vocal and accompaniment, trained on rendered songs alone."""
RECOGNIZER_NAME = "recognizer-mini"
"""The network that recognizes phonemes, trained on rendered songs alone."""
UNTRAINED_SEED = 0
_REMEDIES = {
    SEPARATOR_NAME: (
        "separator",
        "train one with `songgen-hf train separator`, and pass its folder",
    ),
    RECOGNIZER_NAME: (
        "phoneme recognizer",
        "train one with `songgen-hf evaluate judges`, and pass its folder",
    ),
}


def default_checkpoint(track_pattern: str = EMBEDDED_PATTERNS[0]) -> str:
    """Return the directory of an embedded model, or of an untrained one in its place.

    Untrained models are created in the folder ``songgen-hf`` of the cache of Hugging Face
    (environment variable ``HF_HOME``).

    Args:
        track_pattern: one of ``EMBEDDED_PATTERNS``.
    Raises:
        ValueError: for another pattern.
    """
    if track_pattern not in EMBEDDED_PATTERNS:
        raise ValueError(
            f"no checkpoint of track pattern {track_pattern!r} comes with the package: expected "
            f"{' or '.join(EMBEDDED_PATTERNS)}; write others with `songgen-hf init`"
        )
    embedded = EMBEDDED / track_pattern
    if (embedded / "config.json").is_file():
        return str(embedded)
    from huggingface_hub.constants import HF_HOME

    suffix = "" if track_pattern == EMBEDDED_PATTERNS[0] else f"-{track_pattern}"
    name = f"mini-untrained-{__version__}-{_source_digest()}{suffix}"
    directory = Path(HF_HOME) / "songgen-hf" / name
    if not (directory / "config.json").is_file():
        logger.info("creating the untrained mini checkpoint in %s", directory)
        try:
            write_untrained(
                directory, preset="mini", seed=UNTRAINED_SEED, track_pattern=track_pattern
            )
        except OSError:
            # Another process may have created the directory at the same time.
            if not (directory / "config.json").is_file():
                raise
    return str(directory)


def find_checkpoint(name: str) -> str:
    """Return the directory of an embedded checkpoint; any other name is returned unchanged.

    The names of embedded checkpoints are ``songgen-mini`` (the default model),
    ``songgen-mini/mixed_pro``, ``songgen-mini/interleaving_A_V``, ``songgen-mini/masked``,
    ``songgen-mini/codec``, ``separator-mini`` and ``recognizer-mini``. A directory of that name in
    the working directory has precedence.

    Raises:
        ValueError: for another name that begins with ``songgen-mini/``, or if the codec, the
            masked model, the separator or the phoneme recognizer is not embedded.
    """
    if name in _REMEDIES and not Path(name).is_dir():
        if not ((folder := EMBEDDED.parent / name) / "config.json").is_file():
            what, remedy = _REMEDIES[name]
            raise ValueError(
                f"no {what} comes with this installation: {name} does not exist; {remedy}"
            )
        return str(folder)
    family, _, part = name.partition("/")
    if family != EMBEDDED_NAME or Path(name).is_dir():
        return name
    if part == MASKED_FOLDER:
        if not (EMBEDDED / MASKED_FOLDER / "model_index.json").is_file():
            raise ValueError(
                f"no masked model comes with this installation: {name} does not exist; train one "
                "with `songgen-hf train masked`, or pass model=... (--model) with the folder of one"
            )
        return str(EMBEDDED / MASKED_FOLDER)
    if part not in ("", *EMBEDDED_PATTERNS, CODEC_FOLDER):
        raise ValueError(
            f"no checkpoint {part!r} comes with the package: expected "
            f"{', '.join(EMBEDDED_PATTERNS)}, {MASKED_FOLDER} or {CODEC_FOLDER}; write others with "
            "`songgen-hf init`"
        )
    if part != CODEC_FOLDER:
        return default_checkpoint(part) if part else default_checkpoint()
    if not (EMBEDDED / CODEC_FOLDER / "config.json").is_file():
        raise ValueError(
            f"no codec comes with this installation: {name} does not exist; name the directory of "
            "a codec, or of a song model, which holds one"
        )
    return str(EMBEDDED / CODEC_FOLDER)


def write_untrained(directory: Path | str, *, preset: str, seed: int, **options: Any) -> None:
    """Write a preset with seeded random weights and its processor, marked as untrained.

    Args:
        directory: new or empty directory; it is written completely or not at all.
        preset: one of ``songgen_hf.presets.models.PRESETS``.
        seed: seed of the random weights.
        options: further arguments of ``presets.models.build``, such as ``track_pattern``.
    Raises:
        FileExistsError: if the directory contains files.
        ValueError: for an unknown preset or pattern.
    """
    from ..presets.models import build

    with new_directory(directory) as temporary:
        model, processor = build(preset, seed=seed, **options)
        model.config.trained = False
        model.save_pretrained(temporary, save_original_format=False)
        processor.save_pretrained(temporary)


def _source_digest() -> str:
    """Return a short hash of the code on which the weights depend, for the name of a checkpoint."""
    package = Path(__file__).parents[1]
    sources = sorted((package / "presets").glob("*.py"))
    digest = hashlib.sha256()
    for path in [*sources, *sorted((package / "modeling").glob("*.py"))]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


__all__ = [
    "CODEC_FOLDER",
    "EMBEDDED_NAME",
    "EMBEDDED_PATTERNS",
    "MASKED_CHECKPOINT",
    "MASKED_FOLDER",
    "RECOGNIZER_NAME",
    "SEPARATOR_NAME",
    "default_checkpoint",
    "find_checkpoint",
    "write_untrained",
]
