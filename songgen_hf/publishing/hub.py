"""Uploads models, codecs, adapters and songs to the Hub, each in one commit.

All files are uploaded before the commit, so that an interrupted upload leaves an existing
repository unchanged and a new one empty. The commit also deletes weights and songs of an earlier
version that are not part of the new one, because libraries would read both.
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
from ..modeling.checkpoint_files import reading
from .cards import CARD, FACTS, adapter_base, is_replaceable, render_adapter_card, write_card

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
    """Save a model, a codec or a pipeline and upload it with its model card.

    Args:
        part: object with a method ``save_pretrained``.
        repo_id: id of the repository, owner/name.
        folder: folder in which it has been saved already; None to save it.
        max_shard_size: largest size of a file of weights.
        tags: tags of the card, besides the default ones.
        options: further arguments of :func:`upload_files`.
    Returns:
        The result of :func:`upload_files`.
    """
    if folder is not None:
        return upload(folder, repo_id, **options)
    with tempfile.TemporaryDirectory() as temporary:
        part.save_pretrained(temporary, max_shard_size=max_shard_size)
        write_card(getattr(part, "model", part), temporary, repository=repo_id, tags=tags)
        return upload(temporary, repo_id, **options)


def upload(folder: Path | str, repo_id: str, **options: Any) -> Any:
    """Upload a folder with all its subfolders.

    Args:
        folder: the folder; hidden files are left out.
        repo_id: id of the repository, owner/name.
        options: further arguments of :func:`upload_files`.
    Returns:
        The result of :func:`upload_files`.
    Raises:
        FileNotFoundError: if the folder does not exist or is empty.
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
    """Upload files in one commit.

    A card on the Hub that was edited there is not replaced.

    Args:
        contents: file or bytes for each path in the repository.
        repo_id: id of the repository, owner/name, which is created if it does not exist.
        repo_type: model, dataset or space.
        replaced: patterns of files that are deleted unless they are uploaded again.
        private: whether a new repository is private; an existing one must then be private too. None
            for the default of the owner.
        token: access token; None for that of the logged-in user.
        revision: branch, which is created if it does not exist.
        create_pr: whether to open a pull request with the commit.
        commit_message: first line of the commit message.
        commit_description: rest of the commit message.
        settings: settings of a new repository, such as ``space_sdk``.
    Returns:
        ``huggingface_hub.CommitInfo`` with the URL of the commit, its ``oid`` and more.
    Raises:
        ValueError: if a private repository is requested and the existing one is public.
        OSError: if the Hub cannot be reached or refuses the upload.
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
                f"{repo_id} exists already and is public, expected a private repository: choose "
                "another name, or make it private on the Hub first"
            )
        if revision is not None and not revision.startswith("refs/pr"):
            api.create_branch(repo_id, repo_type=repo_type, branch=revision, exist_ok=True)
        if CARD in contents and _has_edited_card(api, repo_id, repo_type, revision):
            logger.warning(
                "the card of %s was edited on the Hub and is not replaced; check that its results "
                "are those of the new weights",
                repo_id,
            )
            contents = {path: content for path, content in contents.items() if path != CARD}
        existing = api.list_repo_files(repo_id, repo_type=repo_type, revision=revision)
        deleted = [
            path
            for path in existing
            if path not in contents and any(fnmatch(path, pattern) for pattern in replaced)
        ]
        return api.create_commit(
            repo_id,
            [
                *(CommitOperationDelete(path) for path in deleted),
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
    """Raise an OSError with a message of one line if the connection fails within the block."""
    try:
        yield
    except (OSError, ValueError, TypeError):
        raise
    except Exception as error:  # a RuntimeError or an error of the HTTP library
        raise OSError(
            f"the upload to {repo_id} was interrupted ({error.__cause__ or error}): nothing was "
            "published; push again"
        ) from error


def _has_edited_card(api: Any, repo_id: str, repo_type: str, revision: str | None) -> bool:
    """Whether the repository has a card that was edited by a user."""
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
    """Upload an adapter and its model card, without training states and local paths.

    Args:
        folder: folder that ``songgen-hf train lora`` has written.
        repo_id: id of the repository, owner/name.
        base_model: Hub id of the model that the adapter was trained on; by default that of the
            adapter's config, if it is a Hub id.
        license: license of the adapter, under its name on the Hub.
        options: further arguments of :func:`upload_files`.
    Raises:
        ValueError: if the folder contains no adapter.
    """
    folder = Path(folder)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ValueError(
            f"{folder} has no {ADAPTER_CONFIG}: give a folder that songgen-hf train lora wrote"
        )
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    hub_id, name = adapter_base(config)
    base = base_model or hub_id
    if base is None and name:
        logger.warning(
            "the model that this adapter was trained on is a local folder: name its Hub id, so "
            "that others can find it"
        )
    config["base_model_name_or_path"] = base or name
    contents: dict[str, Path | bytes] = {
        ADAPTER_CONFIG: encode_json(config),
        ADAPTER_WEIGHTS: folder / ADAPTER_WEIGHTS,
        CARD: folder / CARD,
    }
    card = folder / CARD
    if not card.is_file() or is_replaceable(card.read_text(encoding="utf-8")):
        facts = {}
        if (folder / FACTS).is_file():
            with reading(folder / FACTS):
                facts = dict(json.loads((folder / FACTS).read_text(encoding="utf-8")))
        text = render_adapter_card(
            config,
            repository=repo_id,
            base=base,
            license=license or facts.get("licence"),
            data=facts.get("data"),
        )
        contents[CARD] = text.encode()
    return upload_files(contents, repo_id, **options)


def push_songs(
    folder: Path | str, repo_id: str, *, license: str | None = None, **options: Any
) -> Any:
    """Upload a rendered corpus or prepared codes as a dataset with a dataset card.

    Args:
        folder: folder that ``songgen-hf corpus`` or ``songgen-hf prepare codes`` has written.
        repo_id: id of the repository, owner/name.
        license: license of the songs, for the card of codes, which have none yet.
        options: further arguments of :func:`upload_files`.
    Raises:
        ValueError: if the folder contains no parquet files.
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
