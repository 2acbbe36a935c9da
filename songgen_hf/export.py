"""Checkpoints for the Hub: native key names, safetensors and, if asked for, the code itself.

With the code, ``AutoConfig``, ``AutoModel``, ``AutoModelForTextToWaveform``, ``AutoProcessor`` and
``pipeline("text-to-song")`` load the directory with ``trust_remote_code=True`` where this package
is not installed.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .files import encode_json, new_directory

if TYPE_CHECKING:
    from .modeling.modeling_songgen import SongGenForConditionalGeneration
    from .modeling.processing_songgen import SongGenProcessor

TASK = "text-to-song"
PIPELINE_MODULE = "text_to_song"


def export(
    model: "SongGenForConditionalGeneration",
    processor: "SongGenProcessor",
    directory: Path | str,
    *,
    remote_code: bool = False,
) -> Path:
    """Write a checkpoint that the Auto classes load.

    Args:
        model: what to write; it is left as ``save_pretrained`` leaves it.
        processor: its processor.
        directory: new or empty; it appears whole or not at all.
        remote_code: also write the code, for machines without this package. With the package, the
            Auto classes keep using the installed code; ``pipeline`` asks for ``trust_remote_code``.
    Returns:
        ``directory``.
    Raises:
        FileExistsError: if the directory holds files.
    """
    with new_directory(directory) as temporary:
        model.save_pretrained(temporary, save_original_format=False)
        processor.save_pretrained(temporary)
        if remote_code:
            _add_code(model, processor, temporary)
    return Path(directory)


def _add_code(
    model: "SongGenForConditionalGeneration", processor: "SongGenProcessor", directory: Path
) -> None:
    """Copy the source files and name their classes in the two config files."""
    from transformers.dynamic_module_utils import get_relative_import_files

    from .pipelines import text_to_song

    sources = {Path(str(text_to_song.__file__))}
    for part in (model.config, model, processor):
        source = Path(str(sys.modules[type(part).__module__].__file__))
        sources |= {source, *map(Path, get_relative_import_files(source))}
    for source in sources:
        shutil.copyfile(source, directory / source.name)

    model_class = _reference(model)
    _update_json(
        directory / "config.json",
        auto_map={
            "AutoConfig": _reference(model.config),
            "AutoModel": model_class,
            "AutoModelForTextToWaveform": model_class,
            "AutoProcessor": _reference(processor),
        },
        custom_pipelines={
            TASK: {
                "impl": f"{PIPELINE_MODULE}.{text_to_song.TextToSongPipeline.__name__}",
                "pt": ["AutoModelForTextToWaveform"],
                "type": "multimodal",
            }
        },
    )
    _update_json(
        directory / "processor_config.json", auto_map={"AutoProcessor": _reference(processor)}
    )


def _reference(part: object) -> str:
    """``module.Class`` as the Hub's dynamic modules name it."""
    return f"{type(part).__module__.rpartition('.')[2]}.{type(part).__name__}"


def _update_json(path: Path, **values: object) -> None:
    """Set keys of a JSON file."""
    path.write_bytes(encode_json({**json.loads(path.read_text(encoding="utf-8")), **values}))


__all__ = ["export"]
