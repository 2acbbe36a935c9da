"""Loads and saves the folder of a masked song model, which can share parts with a SongGen model."""

import json
import os
from pathlib import Path
from typing import Any, get_type_hints

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file

from ..modeling.checkpoint_files import HUB_OPTIONS, reading
from ..modeling.checkpoint_names import folder_of
from ..modeling.configuration_songgen import MASKED_MODEL_TYPE
from ..modeling.int8_layers import dequantize_state_dict
from ..modeling.masked.saving import PortableConfigMixin
from ..modeling.modeling_songgen import SongGenForConditionalGeneration
from ..modeling.processing_songgen import SongGenProcessor

MASKED_CONFIG = "config.json"
"""File beside ``model_index.json``, by whose ``model_type`` transformers recognizes a masked song
model. Its ``song_model`` is the path of the SongGen checkpoint that holds the ``SHARED_PARTS``."""
CONDITIONER_FILE = "conditioner.safetensors"
"""Weights of a conditioner of the masked model's own, in place of those of its ``song_model``."""
PIPELINE_MODULE = "pipeline"
PIPELINE_CODE = '''"""Names the class of this model for ``DiffusionPipeline`` of diffusers."""

from songgen_hf import MaskedSongPipeline

__all__ = ["MaskedSongPipeline"]
'''
SHARED_PARTS = ("conditioner", "codec", "processor")
PARTS = ("transformer", "scheduler", *SHARED_PARTS)


class MaskedFolderMixin(PortableConfigMixin):
    """Loads and saves a masked song model.

    It precedes ``DiffusionPipeline`` among the base classes of the pipeline.
    """

    config_name: str

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> Any:
        """Load a masked song model from a folder or a Hub repository.

        If the model shares parts with a SongGen checkpoint
        (``songgen_hf.publishing.export_masked``), they are loaded from there.

        Args:
            pretrained_model_name_or_path: folder, Hub id, or "songgen-mini/masked".
            **kwargs: arguments of ``from_pretrained`` of diffusers; ``dtype`` can also be a name,
                or "auto" for float32.

        Raises:
            ValueError: if it is not a masked song model, or if a file is damaged.
        """
        for key in {"dtype", "torch_dtype"} & kwargs.keys():
            if (dtype := checked_dtype(kwargs.pop(key))) is not None:
                kwargs[key] = dtype
        name = local_folder(pretrained_model_name_or_path, kwargs)
        with reading(name):
            if not (Path(name) / cls.config_name).is_file():
                raise ValueError(
                    f"{name} has no {cls.config_name}: it is not a masked song model; train one "
                    "with `songgen-hf train masked`"
                )
            if (source := shared_source(name)) is not None and any(
                part not in kwargs for part in SHARED_PARTS
            ):
                dtype = kwargs.get("dtype", kwargs.get("torch_dtype"))
                options: dict[str, Any] = {"dtype": dtype} if isinstance(dtype, torch.dtype) else {}
                song_model = SongGenForConditionalGeneration.from_pretrained(source, **options)
                if (own := Path(name) / CONDITIONER_FILE).is_file():
                    weights = load_file(own)
                    dequantize_state_dict(weights)
                    song_model.conditioner.load_state_dict(weights)
                parts = {
                    "conditioner": song_model.eval().conditioner,
                    "codec": song_model.audio_encoder,
                    "processor": SongGenProcessor.from_pretrained(source),
                }
                kwargs = {**parts, **kwargs}
            if "processor" not in kwargs:
                kwargs["processor"] = SongGenProcessor.from_pretrained(Path(name) / "processor")
            _check_variant(name, kwargs.get("variant"))
            return super().from_pretrained(name, **kwargs)  # type: ignore[misc]

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> None:
        """Save all parts for :meth:`from_pretrained` and for ``pipeline("text-to-song")``."""
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        config = {"model_type": MASKED_MODEL_TYPE, "architectures": [type(self).__name__]}
        # Written first, because diffusers can upload the folder at the end of save_pretrained.
        text = json.dumps(config, indent=2) + "\n"
        (Path(save_directory) / MASKED_CONFIG).write_text(text, encoding="utf-8")
        super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]

    def save_config(
        self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> None:
        """Save ``model_index.json``, and the file that it names for ``DiffusionPipeline``."""
        super().save_config(save_directory, *args, **kwargs)  # type: ignore[misc]
        code = Path(save_directory) / f"{PIPELINE_MODULE}.py"
        code.write_text(PIPELINE_CODE, encoding="utf-8")

    @classmethod
    def extract_init_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Return the arguments of the constructor.

        Raises:
            ValueError: if ``DiffusionPipeline`` loads a model that shares parts with another one.
        """
        # load_config of this class has replaced the list.
        loaded_by_diffusers = isinstance(config_dict.get("_class_name"), list)
        if loaded_by_diffusers and any(config_dict.get(p) == [None, None] for p in SHARED_PARTS):
            raise ValueError(
                "this masked song model shares its codec with a SongGen checkpoint: load it with "
                "MaskedSongPipeline.from_pretrained of songgen_hf"
            )
        return super().extract_init_dict(config_dict, **kwargs)  # type: ignore[misc]

    def to_json_string(self) -> str:
        """Return the configuration as JSON, with the module of the class that is saved beside it.

        Without it, ``DiffusionPipeline.from_pretrained`` looks for the class in diffusers.
        """
        config = json.loads(super().to_json_string())
        config["_class_name"] = [PIPELINE_MODULE, config["_class_name"]]
        return json.dumps(config, indent=2, sort_keys=True) + "\n"

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """Read ``model_index.json`` and replace the modules of the parts by their current ones.

        diffusers stores the module of every class, so a checkpoint could otherwise be loaded only
        with the module layout of the package that wrote it.
        """
        loaded = super().load_config(*args, **kwargs)  # type: ignore[misc]
        index = loaded[0] if isinstance(loaded, tuple) else loaded
        index["_class_name"] = cls.__name__  # type: ignore[attr-defined]
        for name, part in get_type_hints(cls).items():
            if name in PARTS and (index.get(name) or [None])[0] is not None:
                index[name] = [part.__module__, part.__name__]
        # from_pretrained loads it: diffusers looks for variants of weights in its folder, and
        # expects every name there to have an ending.
        index.pop("processor", None)
        return loaded


def checked_dtype(dtype: Any) -> Any:
    """Return a precision as diffusers takes it: by its name, diffusers would load float32.

    Raises:
        ValueError: for an unknown one.
    """
    if isinstance(dtype, dict) or dtype in (None, "auto"):
        return None if dtype == "auto" else dtype
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype):
        raise ValueError(f"dtype is {dtype!r}: expected one of torch, or its name (bfloat16)")
    return found


def _check_variant(folder: str, variant: str | None) -> None:
    """Raise ValueError for a variant without weights: diffusers would load others in silence."""
    if variant is not None and not any(Path(folder).glob(f"*/*.{variant}*")):
        raise ValueError(
            f"{folder} holds no weights of the variant {variant!r}: leave variant out, or save "
            f"with variant={variant!r} first"
        )


def shared_source(name: str | os.PathLike[str]) -> str | None:
    """Return the SongGen checkpoint that holds the shared parts of a folder; None if none does."""
    config = Path(name) / MASKED_CONFIG
    if not config.is_file():
        return None
    source = json.loads(config.read_text(encoding="utf-8")).get("song_model")
    return None if source is None else os.path.normpath(Path(name) / source)


def local_folder(name: str | os.PathLike[str], options: dict[str, Any]) -> str:
    """Return a folder itself, or the folder of the downloaded snapshot of a Hub repository.

    The snapshot is downloaded here, because diffusers does not download parts of other packages.

    Args:
        name: folder, Hub id or the name of an embedded checkpoint.
        options: arguments of ``from_pretrained``; those for the Hub are removed.
    Raises:
        ValueError: if the name is neither a folder nor a Hub id.
        OSError: if the repository cannot be downloaded.
    """
    name = folder_of(name)
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
    "CONDITIONER_FILE",
    "MASKED_CONFIG",
    "MASKED_MODEL_TYPE",
    "SHARED_PARTS",
    "MaskedFolderMixin",
    "checked_dtype",
    "local_folder",
    "shared_source",
]
