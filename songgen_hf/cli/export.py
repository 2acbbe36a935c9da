"""Write a model or a codec for the Hub, or several models in one folder that share their codec.

With ``--push-to-hub`` it is published too, in one commit with its card; so are adapters and songs.
"""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints.loading import resolve_checkpoint
from .output import CommandResult

if TYPE_CHECKING:
    from ..modeling.processing_songgen import SongGenProcessor

HELP = "write a checkpoint for the Hub, smaller if asked for; publish it"
STORED = ("float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf export``."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="model",
        help="directory or Hub id of a song model or a codec; to publish also the folder of an "
        "adapter, a corpus or prepared codes",
    )
    parser.add_argument(
        "out",
        type=Path,
        nargs="?",
        help="folder to write, new or empty, as the last word; not needed with --push-to-hub",
    )
    parser.add_argument("--push-to-hub", metavar="OWNER/NAME", help="repository to publish in")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument(
        "--license", "--licence", help="for the card, as the Hub names it: apache-2.0, mit, ..."
    )
    parser.add_argument("--base-model", help="Hub id of the model that an adapter is for")
    parser.add_argument(
        "--dtype", choices=STORED, help="precision of the files (default: the model's)"
    )
    parser.add_argument(
        "--load-dtype",
        choices=STORED,
        help="precision that loading gives unless asked for another (default: that of the files)",
    )
    parser.add_argument(
        "--remote-code",
        action="store_true",
        help="add the code, for machines without this package (trust_remote_code=True)",
    )
    parser.add_argument(
        "--share-codec",
        action="store_true",
        help="write one folder for each model, named by its track pattern, and one for the codec "
        "that they were all trained with",
    )
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="SONG_MODEL",
        help="folder of the SongGen checkpoint that a masked model was trained on: its conditioner "
        "and codec are not written again",
    )
    parser.add_argument("--revision", help="branch, tag or commit of a Hub checkpoint")


def run(arguments: argparse.Namespace) -> CommandResult:
    """Load, write, publish if asked for, and say where and how large it is."""
    repository = arguments.push_to_hub
    models, out = folders_of(arguments)
    if len(models) > 1 and not arguments.share_codec:
        raise ValueError(
            f"got {len(models)} models for one folder: export them one by one, or together with "
            "--share-codec"
        )
    if arguments.remote_code and arguments.share_codec:
        raise ValueError("--remote-code is for one model in one folder: leave --share-codec out")
    if repository and arguments.share_codec:
        raise ValueError("the Hub takes one model a repository: leave --share-codec out")
    if repository and arguments.beside:
        raise ValueError("the Hub takes whole models: leave --beside out")
    if (arguments.private or arguments.base_model) and not repository:
        raise ValueError("--private and --base-model are for the Hub: name a --push-to-hub")
    if (push := pusher_of(models[0])) is not None:
        return publish_folder(push, models[0], out, arguments)
    if arguments.base_model:
        raise ValueError("--base-model is for adapters: got a model")
    if out is None:
        with tempfile.TemporaryDirectory() as temporary:
            return write(models, Path(temporary) / repository.rpartition("/")[2], arguments)
    return write(models, out, arguments)


def folders_of(arguments: argparse.Namespace) -> tuple[list[str], Path | None]:
    """The models, and the folder to write: the last word, unless it is the only one."""
    words = [*arguments.models, *([arguments.out] if arguments.out else [])]
    if len(words) == 1 and arguments.push_to_hub:
        return words, None
    if len(words) == 1:
        raise ValueError(
            "got one folder, expected a model and a folder to write: name it, or a repository with "
            "--push-to-hub"
        )
    return [str(word) for word in words[:-1]], Path(words[-1])


def pusher_of(name: str) -> Any:
    """The function that publishes a folder as it is: an adapter or songs; None for models."""
    from ..publishing.hub import push_adapter, push_songs

    folder = Path(name)
    if (folder / "adapter_config.json").is_file():
        return push_adapter
    if not (folder / "config.json").is_file() and any(folder.rglob("*.parquet")):
        return push_songs
    return None


def publish_folder(
    push: Any, name: str, out: Path | None, arguments: argparse.Namespace
) -> CommandResult:
    """Publish an adapter or songs, which need no writing."""
    from ..publishing.hub import push_adapter

    if not arguments.push_to_hub or out is not None:
        raise ValueError(
            f"{name} is an adapter or a folder of songs, which is published as it is: expected "
            "--push-to-hub and no folder to write"
        )
    given = ("remote_code", "share_codec", "dtype", "load_dtype", "revision")
    if clash := [flag for flag in given if getattr(arguments, flag)]:
        raise ValueError(f"--{clash[0].replace('_', '-')} is for models: leave it out")
    options: dict[str, Any] = {"license": arguments.license, "private": arguments.private or None}
    if push is push_adapter:
        options["base_model"] = arguments.base_model
    elif arguments.base_model:
        raise ValueError("--base-model is for adapters: got songs")
    commit = push(name, arguments.push_to_hub, **options)
    return CommandResult({"published": commit_facts(commit)}, str(commit.commit_url))


def write(models: list[str], out: Path, arguments: argparse.Namespace) -> CommandResult:
    """Load models, write them, and publish them if that is asked for."""
    from ..publishing.export import export, export_codec, export_sharing_codec
    from ..publishing.export_masked import export_masked
    from ..publishing.hub import publish

    precision = {"dtype": arguments.dtype, "load_dtype": arguments.load_dtype}
    license = {"license": arguments.license}
    loaded = [load(name, arguments.revision) for name in models]
    model, processor = loaded[0]
    is_masked = getattr(model, "mode", None) == "masked"
    if arguments.beside and not is_masked:
        raise ValueError("--beside is for masked models: leave it out")
    if arguments.share_codec:
        export_sharing_codec(by_track_pattern(loaded), out, **precision)
    elif is_masked:
        if arguments.remote_code or arguments.load_dtype:
            raise ValueError(
                "masked models need this package and load as float32 unless asked for another "
                "precision: leave --remote-code and --load-dtype out"
            )
        export_masked(model, out, beside=arguments.beside, dtype=arguments.dtype, **license)
    elif processor is not None:
        export(model, processor, out, remote_code=arguments.remote_code, **precision, **license)
    elif arguments.remote_code:
        raise ValueError("--remote-code is for song models: got a codec; leave it out")
    else:
        export_codec(model, out, **precision, **license)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    facts: dict[str, Any] = {
        "exported": out,
        "bytes": size,
        "files": [path.relative_to(out).as_posix() for path in files],
    }
    if not arguments.push_to_hub:
        return CommandResult(facts, f"{out}: {size / 1e6:.1f} MB")
    commit = publish(model, arguments.push_to_hub, folder=out, private=arguments.private or None)
    facts["published"] = commit_facts(commit)
    return CommandResult(facts, f"{commit.commit_url}: {size / 1e6:.1f} MB")


def commit_facts(commit: Any) -> dict[str, Any]:
    """What programs ask of a commit on the Hub."""
    return {"repository": commit.repo_url.repo_id, "revision": commit.oid, "url": commit.commit_url}


def load(name: str, revision: str | None = None) -> tuple[Any, "SongGenProcessor | None"]:
    """A song model and its processor; or a codec or a masked model, and None."""
    from transformers import AutoConfig, AutoProcessor

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
    """Models with their processors by the pattern that names their folder.

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
