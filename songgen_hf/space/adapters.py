"""The LoRA adapters that a visitor may pick: those of the Space by name, others by their Hub id.

A visitor never names a path: a name is looked up in what the Space offers, and everything else must
be a Hub id, whose two files are fetched into the Hub's cache (safetensors only, up to a size).
"""

import re
from collections.abc import Iterable
from pathlib import Path

from .limits import Limits

FILES = ("adapter_config.json", "adapter_model.safetensors")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class Adapters:
    """What the picker offers.

    Args:
        sources: folders of adapters, folders that hold such folders, or Hub ids.
        limits: of the Space.
    Raises:
        ValueError: for a source that is neither, or two of the same name.
    """

    def __init__(self, sources: Iterable[str | Path] = (), limits: Limits | None = None):
        self.limits = Limits() if limits is None else limits
        self._sources: dict[str, str] = {}
        for source in sources:
            for name, place in _found(str(source)):
                if self._sources.setdefault(name, place) != place:
                    raise ValueError(
                        f"two adapters are called {name!r}: {self._sources[name]} and {place}; "
                        "rename a folder"
                    )

    @property
    def names(self) -> list[str]:
        """Names of the Space's own adapters."""
        return sorted(self._sources)

    def resolve(self, name: str, weight: float) -> dict[str, float]:
        """Folder or Hub id -> weight, as ``load_adapters`` takes it; empty for no adapter.

        Raises:
            ValueError: for a name that is none of the Space's and no Hub id, or an adapter that
                cannot be fetched.
        """
        if not name or weight == 0:
            return {}
        source = self._sources.get(name, name)
        if Path(source).is_absolute() and source in self._sources.values():
            return {source: weight}
        if not _HUB_ID.fullmatch(source) or ".." in source:
            offered = ", ".join(self.names) or "none"
            raise ValueError(
                f"there is no adapter {name!r} here: pick one of this Space ({offered}) or give a "
                "Hub id (owner/name)"
            )
        if not self.limits.hub_adapters and name not in self._sources:
            raise ValueError(f"this Space sings with its own adapters only: got {name!r}")
        return {_fetched(source, self.limits.adapter_bytes): weight}


def _found(source: str) -> Iterable[tuple[str, str]]:
    """Name and place of each adapter that a source stands for."""
    folder = Path(source)
    if (folder / FILES[0]).is_file():
        return [(folder.resolve().name, str(folder.resolve()))]
    if folder.is_dir():
        inside = [path.parent.resolve() for path in sorted(folder.glob(f"*/{FILES[0]}"))]
        if inside:
            return [(path.name, str(path)) for path in inside]
        raise ValueError(f"{source} holds no adapter: expected {FILES[0]} in it or one folder down")
    if not _HUB_ID.fullmatch(source):
        raise ValueError(f"no adapter {source!r}: it is neither a folder here nor a Hub id")
    return [(source, source)]


def _fetched(repository: str, most_bytes: int) -> str:
    """Folder of the Hub's cache with an adapter's two files."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        try:
            found = HfApi().get_paths_info(repository, list(FILES))
        except (OfflineModeIsEnabled, ConnectionError):
            return _complete(snapshot_download(repository, allow_patterns=list(FILES),
                                               local_files_only=True), repository)  # fmt: skip
        sizes = {file.path: getattr(file, "size", 0) or 0 for file in found}
        if missing := [file for file in FILES if file not in sizes]:
            raise ValueError(
                f"{repository} has no {missing[0]}: give the Hub id of a LoRA adapter saved with "
                "safetensors"
            )
        if sum(sizes.values()) > most_bytes:
            raise ValueError(
                f"the adapter {repository} has {sum(sizes.values()) / 2**20:.0f} MB: up to "
                f"{most_bytes / 2**20:.0f} MB are fetched"
            )
        return _complete(snapshot_download(repository, allow_patterns=list(FILES)), repository)
    except (LocalEntryNotFoundError, OSError, HfHubHTTPError, EntryNotFoundError) as error:
        raise ValueError(
            f"cannot fetch the adapter {repository} from the Hub: check its name, and whether it "
            "is public"
        ) from error


def _complete(folder: str, repository: str) -> str:
    """The folder; ValueError unless both files are in it."""
    for name in FILES:
        if not (Path(folder) / name).is_file():
            raise ValueError(f"{repository} has no {name}: give the Hub id of a LoRA adapter")
    return folder


__all__ = ["FILES", "Adapters"]
