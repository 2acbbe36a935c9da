"""The folder of a masked song model: its files, and the parts that it shares with another."""

import json
import os
from pathlib import Path
from typing import Any, get_type_hints

import torch
from huggingface_hub import snapshot_download

from ..modeling.configuration_songgen import MASKED_MODEL_TYPE
from ..modeling.masked.saving import PortableConfigMixin
from ..modeling.modeling_songgen import SongGenForConditionalGeneration
from ..modeling.processing_songgen import SongGenProcessor

MARK = "config.json"
"""Beside ``model_index.json``. Its ``model_type`` tells transformers that this is a masked song
model; ``song_model`` names the SongGen checkpoint whose parts it shares, see ``SHARED_PARTS``."""
SHARED_PARTS = ("conditioner", "codec", "processor")
PARTS = ("transformer", "scheduler", *SHARED_PARTS)
HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only", "force_download")


class MaskedFolderMixin(PortableConfigMixin):
    """Loading and saving of a masked song model; precedes ``DiffusionPipeline``."""

    config_name: str

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> Any:
        """Load a folder or a Hub repository; options as in diffusers.

        A folder whose parts lie in a SongGen checkpoint beside it
        (``songgen_hf.publishing.export.export_masked``) takes them from there.

        Raises:
            ValueError: if it is no masked song model.
        """
        name = local_folder(pretrained_model_name_or_path, kwargs)
        if not (Path(name) / cls.config_name).is_file():
            raise ValueError(
                f"{name} has no {cls.config_name}: it is no masked song model; train one with "
                "`songgen-hf train masked`"
            )
        if (source := shared_source(name)) is not None and any(
            part not in kwargs for part in SHARED_PARTS
        ):
            dtype = kwargs.get("dtype", kwargs.get("torch_dtype"))
            options: dict[str, Any] = {"dtype": dtype} if isinstance(dtype, torch.dtype) else {}
            song_model = SongGenForConditionalGeneration.from_pretrained(source, **options).eval()
            parts = {
                "conditioner": song_model.conditioner,
                "codec": song_model.audio_encoder,
                "processor": SongGenProcessor.from_pretrained(source),
            }
            kwargs = {**parts, **kwargs}
        return super().from_pretrained(name, **kwargs)  # type: ignore[misc]

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> None:
        """Save all parts, for :meth:`from_pretrained` and for ``pipeline("text-to-song")``."""
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        mark = {"model_type": MASKED_MODEL_TYPE, "architectures": [type(self).__name__]}
        # First, so that what publishes the folder finds it.
        text = json.dumps(mark, indent=2) + "\n"
        (Path(save_directory) / MARK).write_text(text, encoding="utf-8")
        super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """The content of ``model_index.json``, with the classes of the parts as they are today.

        diffusers stores the module of every class, which would tie a checkpoint to the layout of
        the package that wrote it.
        """
        loaded = super().load_config(*args, **kwargs)  # type: ignore[misc]
        index = loaded[0] if isinstance(loaded, tuple) else loaded
        for name, part in get_type_hints(cls).items():
            if name in PARTS and (index.get(name) or [None])[0] is not None:
                index[name] = [part.__module__, part.__name__]
        return loaded


def shared_source(name: str | os.PathLike[str]) -> str | None:
    """The SongGen checkpoint that a folder takes its shared parts from; None if it has its own."""
    mark = Path(name) / MARK
    if not mark.is_file():
        return None
    source = json.loads(mark.read_text(encoding="utf-8")).get("song_model")
    return None if source is None else os.path.normpath(Path(name) / source)


def local_folder(name: str | os.PathLike[str], options: dict[str, Any]) -> str:
    """The folder of that name, or the snapshot of a Hub repository.

    diffusers itself refuses to download parts of packages that it does not know.

    Args:
        name: folder or Hub id.
        options: of ``from_pretrained``; those about the Hub are taken out.
    Raises:
        ValueError: if it is neither.
        OSError: if it cannot be had.
    """
    given = {key: options.pop(key) for key in HUB_OPTIONS if key in options}
    if Path(name).is_dir():
        return str(name)
    if str(name).count("/") != 1:
        raise ValueError(
            f"no masked song model {str(name)!r}: it is neither a folder here nor a Hub id "
            "(owner/name); train one with `songgen-hf train masked`"
        )
    wanted = ["*.json", "README.md", *(f"{part}/*" for part in PARTS)]
    return snapshot_download(str(name), allow_patterns=wanted, **given)


__all__ = [
    "HUB_OPTIONS",
    "MARK",
    "MASKED_MODEL_TYPE",
    "SHARED_PARTS",
    "MaskedFolderMixin",
    "local_folder",
    "shared_source",
]
