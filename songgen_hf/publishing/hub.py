"""Publishing on the Hub: models, codecs, adapters and songs, each in one commit.

Files are uploaded first and then appear together: an upload that breaks off half-way leaves what
was there before, and a new repository empty. Weights and songs of an earlier version that are not
part of the new one go in the same commit, since libraries would read old and new together.
"""

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..files import encode_json
from .cards import CARD, is_replaceable, render_adapter_card, write_card

logger = logging.getLogger(__name__)

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*", "card.json")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def publish(
    part: Any,
    repo_id: str,
    *,
    folder: Path | str | None = None,
    max_shard_size: int | str = "50GB",
    tags: list[str] | None = None,
    **options: Any,
) -> Any:
    """Save a model, a codec or a pipeline and upload it with its card.

    Args:
        part: what has ``save_pretrained``.
        repo_id: owner/name.
        folder: where it has been saved; None to save it here.
        max_shard_size: of a weight file.
        tags: of the card, besides the usual ones.
        options: of :func:`upload_files`.
    Returns:
        What :func:`upload_files` returns.
    """
    if folder is not None:
        return upload(folder, repo_id, **options)
    with tempfile.TemporaryDirectory() as temporary:
        part.save_pretrained(temporary, max_shard_size=max_shard_size)
        write_card(getattr(part, "model", part), temporary, repository=repo_id, tags=tags)
        return upload(temporary, repo_id, **options)


def upload(folder: Path | str, repo_id: str, **options: Any) -> Any:
    """Upload a folder with all its sub-folders; options and results of :func:`upload_files`.

    Raises:
        FileNotFoundError: if there is no such folder, or nothing in it.
    """
    folder = Path(folder)
    contents: dict[str, Path | bytes] = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not contents:
        raise FileNotFoundError(
            f"{folder} holds nothing to upload: give the folder of a checkpoint"
        )
    return upload_files(contents, repo_id, **options)


def upload_files(
    contents: Mapping[str, Path | bytes],
    repo_id: str,
    *,
    repo_type: str = "model",
    replaced: Sequence[str] = WEIGHTS,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    commit_message: str | None = None,
    commit_description: str | None = None,
    **settings: Any,
) -> Any:
    """Upload files in one commit; a card on the Hub that somebody has edited stays.

    Args:
        contents: path in the repository -> file or bytes.
        repo_id: owner/name; made if there is none.
        repo_type: model, dataset or space.
        replaced: patterns of what is removed from the repository unless it is uploaded again.
        private: of a new repository, and demanded of an old one; None for the owner's default.
        token: None for the one that is logged in.
        revision: branch; made if there is none.
        create_pr: propose the commit instead of making it.
        commit_message: its first line.
        commit_description: the rest.
        settings: of a new repository, such as ``space_sdk``.
    Returns:
        ``huggingface_hub.CommitInfo``: the commit's address, its ``oid`` and more.
    Raises:
        ValueError: if a private repository is asked for and it is a public one.
        OSError: if the Hub cannot be reached or refuses.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    from ..version import __version__

    with _upload_errors(repo_id):
        api = HfApi(token=token, library_name="songgen-hf", library_version=__version__)
        repo_id = api.create_repo(
            repo_id, repo_type=repo_type, private=private, exist_ok=True, **settings
        ).repo_id
        if private and not api.repo_info(repo_id, repo_type=repo_type).private:
            raise ValueError(
                f"{repo_id} is there already and public, expected a private repository: choose "
                "another name, or make it private on the Hub first"
            )
        if revision is not None and not revision.startswith("refs/pr"):
            api.create_branch(repo_id, repo_type=repo_type, branch=revision, exist_ok=True)
        if CARD in contents and _has_edited_card(api, repo_id, repo_type, revision):
            logger.warning(
                "the card of %s was edited on the Hub and stays as it is; see that what it says of "
                "results is about the new weights",
                repo_id,
            )
            contents = {path: content for path, content in contents.items() if path != CARD}
        there = api.list_repo_files(repo_id, repo_type=repo_type, revision=revision)
        gone = [
            path
            for path in there
            if path not in contents and any(fnmatch(path, pattern) for pattern in replaced)
        ]
        return api.create_commit(
            repo_id,
            [
                *(CommitOperationDelete(path) for path in gone),
                *(CommitOperationAdd(path, content) for path, content in contents.items()),
            ],
            repo_type=repo_type,
            revision=revision,
            create_pr=create_pr,
            commit_message=commit_message or f"Upload with songgen-hf {__version__}",
            commit_description=commit_description,
        )


@contextmanager
def _upload_errors(repo_id: str) -> Iterator[None]:
    """Within the block, a connection that breaks is an OSError of one line."""
    try:
        yield
    except (OSError, ValueError, TypeError):
        raise
    except Exception as error:  # RuntimeError for large files, the HTTP library's own for others
        raise OSError(
            f"the upload to {repo_id} broke off ({error.__cause__ or error}): nothing was "
            "published; push again"
        ) from error


def _has_edited_card(api: Any, repo_id: str, repo_type: str, revision: str | None) -> bool:
    """Whether the repository has a card with words of its own."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = api.hf_hub_download(repo_id, CARD, repo_type=repo_type, revision=revision)
    except EntryNotFoundError:
        return False
    return not is_replaceable(Path(path).read_text(encoding="utf-8"))


def push_adapter(
    folder: Path | str,
    repo_id: str,
    *,
    base_model: str | None = None,
    license: str | None = None,
    **options: Any,
) -> Any:
    """Upload an adapter and its card, without checkpoints, logs and paths of this machine.

    Args:
        folder: as ``songgen-hf train lora`` wrote it.
        repo_id: owner/name.
        base_model: Hub id of the model that it is for; by default what the adapter says, if it is
            a Hub id.
        license: of the adapter, as the Hub names licenses.
        options: of :func:`upload_files`.
    Raises:
        ValueError: if the folder holds no adapter.
    """
    from ..provenance import identity

    folder = Path(folder)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ValueError(
            f"{folder} has no {ADAPTER_CONFIG}: give a folder that songgen-hf train lora wrote"
        )
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    trained_on = config.get("base_model_name_or_path") or ""
    is_local = not trained_on or Path(trained_on).exists() or Path(trained_on).is_absolute()
    base = base_model or (None if is_local else trained_on)
    if base is None and trained_on:
        logger.warning(
            "the model that this adapter is for lies on this machine only: name its Hub id, so "
            "that others find it"
        )
        trained_on = identity(trained_on)[0] or Path(trained_on).name
    config["base_model_name_or_path"] = base or trained_on
    contents: dict[str, Path | bytes] = {
        ADAPTER_CONFIG: encode_json(config),
        ADAPTER_WEIGHTS: folder / ADAPTER_WEIGHTS,
        CARD: folder / CARD,
    }
    card = folder / CARD
    if not card.is_file() or is_replaceable(card.read_text(encoding="utf-8")):
        text = render_adapter_card(config, repository=repo_id, base=base, license=license)
        contents[CARD] = text.encode()
    return upload_files(contents, repo_id, **options)


def push_songs(
    folder: Path | str, repo_id: str, *, license: str | None = None, **options: Any
) -> Any:
    """Upload a rendered corpus or prepared codes as a dataset, with its card.

    Args:
        folder: as ``songgen-hf corpus`` or ``songgen-hf prepare codes`` wrote it.
        repo_id: owner/name.
        license: of the songs; for codes, which have no card of their own.
        options: of :func:`upload_files`.
    Raises:
        ValueError: if the folder holds no parquet files.
    """
    from ..data.preparation.codes import DESCRIPTION_FILE
    from ..data.preparation.codes_card import portable_description, render_codes_card

    folder = Path(folder)
    songs = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    if not songs:
        raise ValueError(
            f"{folder} holds no parquet files: give a folder that songgen-hf corpus or songgen-hf "
            "prepare codes wrote"
        )
    contents: dict[str, Path | bytes] = {name: folder / name for name in songs}
    description: dict[str, Any] = {}
    if (folder / DESCRIPTION_FILE).is_file():
        description = portable_description(folder / DESCRIPTION_FILE)
        contents[DESCRIPTION_FILE] = encode_json(description)
    if (folder / CARD).is_file():
        contents[CARD] = folder / CARD
    else:
        text = render_codes_card(description, songs, name=repo_id, license=license)
        contents[CARD] = text.encode()
    return upload_files(contents, repo_id, repo_type="dataset", replaced=("*.parquet",), **options)


__all__ = ["publish", "push_adapter", "push_songs", "upload", "upload_files"]
