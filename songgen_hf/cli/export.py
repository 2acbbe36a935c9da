"""Write a model or a codec for the Hub, or several models in one folder that share their codec.

With ``--push-to-hub`` it is also published, in one commit with its card. Adapters, corpora and
prepared codes are published as they are.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .flags import flag_of, option
from .loading import QUANTIZATIONS, RevisionOptions
from .output import CommandResult

if TYPE_CHECKING:
    from ..modeling.processing_songgen import SongGenProcessor

STORED = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class ExportOptions(RevisionOptions):
    """Options of ``songgen-hf export``."""

    models: list[str] = option(
        help="directory or Hub id of a song model or a codec; to publish, also the folder of an "
        "adapter, a corpus or prepared codes",
        positional=True,
        metavar="model",
    )
    out: Path | None = option(
        None,
        "folder to write, new or empty; the last argument, not needed with --push-to-hub",
        positional=True,
    )
    push_to_hub: str | None = option(None, "repository to publish in", metavar="OWNER/NAME")
    private: bool = option(False, "make a new repository private")
    license: str | None = option(
        None,
        "license in the card, as the Hub names it: apache-2.0, mit, ...",
        flags=("--licence",),
    )
    base_model: str | None = option(None, "Hub id of the model that an adapter was trained on")
    dtype: str | None = option(
        None, "precision of the files (default: that of the model)", choices=STORED
    )
    quantize: str | None = option(
        None,
        "store matrices with 8 bits a weight, in a quarter of the space of float32; a song model "
        "then also computes with them",
        choices=QUANTIZATIONS,
    )
    load_dtype: str | None = option(
        None,
        "precision in which the model is loaded unless another is asked for (default: that of the "
        "files); with --quantize, the model computes with floats",
        choices=STORED,
    )
    remote_code: bool = option(
        False, "add the code, for machines without this package (trust_remote_code=True)"
    )
    share_codec: bool = option(
        False,
        "write one folder for each model, named by its track pattern, and one for the codec that "
        "they were all trained with",
    )
    earlier: Path | None = option(
        None,
        "folder that --share-codec wrote: it is copied with the weights of these models that have "
        "changed in files of their own, so that version control keeps only these",
        metavar="FOLDER",
    )
    beside: Path | None = option(
        None,
        "folder of the SongGen checkpoint that a masked model was trained on: its codec is not "
        "written again, nor its conditioner, unless it has been trained further",
        metavar="SONG_MODEL",
    )
    text_encoder: str | None = option(
        None,
        "for a folder of audiocraft (AudioGen, MusicGen): folder or Hub id of its T5 (default: the "
        "one that it names)",
        metavar="T5",
    )


OPTIONS = ExportOptions


def run(options: ExportOptions) -> CommandResult:
    """Load, write and publish, and report where the files are and how large."""
    from ..checkpoints.audiocraft import is_audiocraft

    repository = options.push_to_hub
    models, out = folders_of(options)
    if options.earlier and not options.share_codec:
        raise ValueError("--earlier is for models that share their codec: add --share-codec")
    if len(models) > 1 and not options.share_codec:
        raise ValueError(
            f"got {len(models)} models for one folder: export them one by one, or together with "
            "--share-codec"
        )
    if options.remote_code and options.share_codec:
        raise ValueError("--remote-code is for one model in one folder: leave --share-codec out")
    if repository and options.share_codec:
        raise ValueError("the Hub takes one model a repository: leave --share-codec out")
    if repository and options.beside:
        raise ValueError("the Hub takes whole models: leave --beside out")
    if (options.private or options.base_model) and not repository:
        raise ValueError("--private and --base-model are for the Hub: name a --push-to-hub")
    if is_audiocraft(models[0]):
        return write_audiocraft(models, out, options)
    if options.text_encoder:
        raise ValueError(
            f"--text-encoder is for a folder of audiocraft: got {models[0]} without state_dict.bin"
        )
    if (push := pusher_of(models[0])) is not None:
        return publish_folder(push, models[0], out, options)
    if options.base_model:
        raise ValueError("--base-model is for adapters: got a model")
    if out is None:
        with tempfile.TemporaryDirectory() as temporary:
            return write(models, Path(temporary) / str(repository).rpartition("/")[2], options)
    return write(models, out, options)


def folders_of(options: ExportOptions) -> tuple[list[str], Path | None]:
    """The models and the folder to write: the last argument, unless it is the only one."""
    names = [*options.models, *([str(options.out)] if options.out else [])]
    if len(names) == 1 and options.push_to_hub:
        return names, None
    if len(names) == 1:
        raise ValueError(
            "got one folder, expected a model and a folder to write: name it, or a repository with "
            "--push-to-hub"
        )
    return names[:-1], Path(names[-1])


def pusher_of(name: str) -> Any:
    """The function that publishes the folder of an adapter or of songs; None for models."""
    from ..publishing.hub import push_adapter, push_songs

    folder = Path(name)
    if (folder / "adapter_config.json").is_file():
        return push_adapter
    if not (folder / "config.json").is_file() and any(folder.rglob("*.parquet")):
        return push_songs
    return None


def publish_folder(push: Any, name: str, out: Path | None, options: ExportOptions) -> CommandResult:
    """Publish the folder of an adapter or of songs as it is."""
    from ..publishing.hub import push_adapter

    if not options.push_to_hub or out is not None:
        raise ValueError(
            f"{name} is an adapter or a folder of songs, which is published as it is: expected "
            "--push-to-hub and no folder to write"
        )
    given = ("remote_code", "share_codec", "dtype", "quantize", "load_dtype", "revision")
    if clash := [flag for flag in given if getattr(options, flag)]:
        raise ValueError(f"{flag_of(clash[0])} is for models: leave it out")
    settings: dict[str, Any] = {"license": options.license, "private": options.private or None}
    if push is push_adapter:
        settings["base_model"] = options.base_model
    elif options.base_model:
        raise ValueError("--base-model is for adapters: got songs")
    commit = push(name, options.push_to_hub, **settings)
    return CommandResult({"published": commit_facts(commit)}, str(commit.commit_url))


def write_audiocraft(models: list[str], out: Path | None, options: ExportOptions) -> CommandResult:
    """Write an AudioGen or MusicGen of audiocraft for the Musicgen classes of transformers."""
    from ..checkpoints.audiocraft import export_audiocraft

    given = ("push_to_hub", "license", "quantize", "load_dtype", "remote_code", "share_codec")
    if clash := [flag for flag in (*given, "beside", "revision") if getattr(options, flag)]:
        raise ValueError(
            f"{flag_of(clash[0])} is for models of this package: leave it out for a "
            "folder of audiocraft"
        )
    if len(models) > 1 or out is None:
        raise ValueError(f"got {len(models)} models, expected one folder of audiocraft")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty: name a new folder")
    export_audiocraft(models[0], out, text_encoder=options.text_encoder, dtype=options.dtype)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return CommandResult({"exported": out, "bytes": size}, f"{out}: {size / 1e6:.1f} MB")


def write(models: list[str], out: Path, options: ExportOptions) -> CommandResult:
    """Load models, write them, and publish them with ``--push-to-hub``."""
    from ..publishing.export import export, export_codec
    from ..publishing.export_masked import export_masked
    from ..publishing.export_sharing import export_changes, export_sharing_codec
    from ..publishing.hub import publish

    precision = {
        "dtype": options.dtype,
        "load_dtype": options.load_dtype,
        "quantize": options.quantize,
    }
    license = {"license": options.license}
    loaded = [load(name, options.revision) for name in models]
    model, processor = loaded[0]
    is_masked = getattr(model, "mode", None) == "masked"
    if options.beside and not is_masked:
        raise ValueError("--beside is for masked models: leave it out")
    if options.earlier:
        export_changes(by_track_pattern(loaded), options.earlier, out, **precision)
    elif options.share_codec:
        export_sharing_codec(by_track_pattern(loaded), out, **precision)
    elif is_masked:
        if options.remote_code or options.load_dtype:
            raise ValueError(
                "masked models need this package and load as float32 unless asked for another "
                "precision: leave --remote-code and --load-dtype out"
            )
        stored = {"dtype": options.dtype, "quantize": options.quantize}
        export_masked(model, out, beside=options.beside, **stored, **license)
    elif processor is not None:
        export(model, processor, out, remote_code=options.remote_code, **precision, **license)
    elif options.remote_code:
        raise ValueError("--remote-code is for song models: got a codec; leave it out")
    elif options.quantize:
        raise ValueError("--quantize is for song models: got a codec; leave it out")
    else:
        export_codec(model, out, dtype=options.dtype, load_dtype=options.load_dtype, **license)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    facts: dict[str, Any] = {
        "exported": out,
        "bytes": size,
        "files": [path.relative_to(out).as_posix() for path in files],
    }
    if not options.push_to_hub:
        return CommandResult(facts, f"{out}: {size / 1e6:.1f} MB")
    commit = publish(model, options.push_to_hub, folder=out, private=options.private or None)
    facts["published"] = commit_facts(commit)
    return CommandResult(facts, f"{commit.commit_url}: {size / 1e6:.1f} MB")


def commit_facts(commit: Any) -> dict[str, Any]:
    """The repository, revision and address of a commit on the Hub."""
    return {"repository": commit.repo_url.repo_id, "revision": commit.oid, "url": commit.commit_url}


def load(name: str, revision: str | None = None) -> tuple[Any, "SongGenProcessor | None"]:
    """Load a song model with its processor, or a codec or a masked model with None."""
    from transformers import AutoConfig, AutoProcessor

    from ..checkpoints.loading import resolve_checkpoint
    from ..modeling.configuration_songgen import MASKED_MODEL_TYPE
    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.modeling_xcodec import XCodecModel
    from ..pipelines.masked_loading import MaskedSongLoader

    checkpoint = resolve_checkpoint(name)
    model_type = AutoConfig.from_pretrained(checkpoint, revision=revision).model_type
    if model_type == MASKED_MODEL_TYPE:
        return MaskedSongLoader.from_pretrained(checkpoint, revision=revision), None
    if model_type != "songgen":
        return XCodecModel.from_pretrained(checkpoint, revision=revision).eval(), None
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint, revision=revision)
    return model.eval(), AutoProcessor.from_pretrained(checkpoint, revision=revision)


def by_track_pattern(
    loaded: "list[tuple[Any, SongGenProcessor | None]]",
) -> "dict[str, tuple[Any, SongGenProcessor]]":
    """Models with their processors, by the track pattern that names their folder.

    Raises:
        ValueError: for two models of one pattern, or a codec.
    """
    found: dict[str, tuple[Any, SongGenProcessor]] = {}
    for model, processor in loaded:
        if processor is None:
            raise ValueError(
                "--share-codec is for song models, which bring their codec: got one, or a masked "
                "model, which goes --beside its song model"
            )
        pattern = model.config.decoder.track_pattern
        if pattern in found:
            raise ValueError(
                f"two of the models have the track pattern {pattern}, which names their folder: "
                "give models of different patterns"
            )
        found[pattern] = model, processor
    return found
