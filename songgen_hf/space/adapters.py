"""The LoRA adapters that visitors may choose: the Space's own by name, and others by Hub id.

A visitor never names a path. A name is looked up among the adapters of the Space; anything else
must be a Hub id, whose two files are downloaded to the Hub's cache (safetensors only, and only up
to a maximum size).
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from ..pipelines.adapters import written_adapters
from .limits import Limits

FILES = ("adapter_config.json", "adapter_model.safetensors")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def is_hub_id(name: str) -> bool:
    """Whether a name has the form owner/name of a repository on the Hub."""
    return bool(_HUB_ID.fullmatch(name)) and ".." not in name


class Adapters:
    """The adapters of a Space.

    Args:
        sources: folders of adapters, folders that contain such folders, or Hub ids.
        limits: limits of the Space.
    Raises:
        ValueError: for a source that is neither, or two adapters with the same name.
    """

    def __init__(
        self, sources: str | Path | Iterable[str | Path] = (), limits: Limits | None = None
    ):
        self.limits = Limits() if limits is None else limits
        self._sources: dict[str, str] = {}
        for source in [sources] if isinstance(sources, str | Path) else sources:
            self.add(source)

    def add(self, source: str | Path) -> None:
        """Offer further adapters: a folder of one or several, or a Hub id.

        Raises:
            ValueError: as for the class.
        """
        for name, place in _find_adapters(str(source)):
            if self._sources.setdefault(name, place) != place:
                raise ValueError(
                    f"two adapters are called {name!r}: {self._sources[name]} and {place}; "
                    "rename a folder"
                )

    @property
    def names(self) -> list[str]:
        """Names of the Space's own adapters."""
        return sorted(self._sources)

    def base(self, name: str) -> str:
        """The last part of the name of the model that an adapter of the Space was trained on.

        "" if the adapter is not in a folder here, or does not say it.
        """
        if name not in self._sources:
            return ""
        path = Path(self._sources[name], FILES[0])
        try:
            named = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
        except (OSError, ValueError, AttributeError):
            return ""
        return Path(named or "").name

    def resolve(self, name: str, weight: float) -> dict[str, float]:
        """The weight of an adapter by its folder, as ``load_adapters`` takes it.

        Args:
            name: name of an adapter of the Space, or a Hub id; "" for no adapter; several with
                commas, each with a weight of its own after a colon if there is one.
            weight: weight of the adapter, a factor on the weights of several; 0 for no adapter.
        Returns:
            A mapping with one entry for each adapter; an empty one for no adapter.
        Raises:
            ValueError: for a name that is neither an adapter of the Space nor a Hub id, or an
                adapter that cannot be downloaded.
        """
        found: dict[str, float] = {}
        for own, factor in self._weights(name).items() if weight else ():
            found |= self._resolve(own, weight * factor)
        return {folder: own for folder, own in found.items() if own}

    def check(self, name: str) -> None:
        """Check the names of adapters as :meth:`resolve` does, without downloading any.

        Raises:
            ValueError: as :meth:`resolve`.
        """
        for own in self._weights(name):
            self._source(own)

    def _weights(self, name: str) -> dict[str, float]:
        """The weights of the adapters in a text, which may be a name of the Space with commas."""
        if not name or name in self._sources:
            return {name: 1.0} if name else {}
        found = written_adapters(name)
        for own, weight in found.items():
            if not 0 <= weight <= 2:
                part = f"{own}:{weight:g}"
                raise ValueError(
                    f"there is no adapter {part!r} here: choose one of this Space or give a Hub "
                    "id; after a colon, a weight from 0 to 2"
                )
        return found

    def _resolve(self, name: str, weight: float) -> dict[str, float]:
        """The folder and the weight of one adapter."""
        source = self._source(name)
        if Path(source).is_absolute():
            return {source: weight}
        return {_download(source, self.limits.adapter_bytes): weight}

    def _source(self, name: str) -> str:
        """The folder of an adapter of the Space, or a Hub id."""
        source = self._sources.get(name, name)
        if Path(source).is_absolute() and source in self._sources.values():
            return source
        if not is_hub_id(source):
            offered = ", ".join(self.names) or "none"
            raise ValueError(
                f"there is no adapter {name!r} here: choose one of this Space ({offered}) or give "
                "a Hub id (owner/name)"
            )
        if not self.limits.hub_adapters and name not in self._sources:
            raise ValueError(f"this Space offers its own adapters only: got {name!r}")
        return source


def _find_adapters(source: str) -> Iterable[tuple[str, str]]:
    """Name and place of each adapter of a source."""
    folder = Path(source)
    if (folder / FILES[0]).is_file():
        return [(folder.resolve().name, str(folder.resolve()))]
    if folder.is_dir():
        inside = [path.parent.resolve() for path in sorted(folder.glob(f"*/{FILES[0]}"))]
        if inside:
            return [(path.name, str(path)) for path in inside]
        raise ValueError(
            f"{source} holds no adapter: expected {FILES[0]} in it or in one of its folders"
        )
    if not is_hub_id(source):
        raise ValueError(f"no adapter {source!r}: it is neither a folder here nor a Hub id")
    return [(source, source)]


def _download(repository: str, max_bytes: int) -> str:
    """Download the two files of an adapter and return their folder in the Hub's cache."""
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
            found = None
        if found is not None:
            sizes = {file.path: getattr(file, "size", 0) or 0 for file in found}
            _check_sizes(sizes, repository, max_bytes)
        folder = snapshot_download(
            repository, allow_patterns=list(FILES), local_files_only=found is None
        )
    except (LocalEntryNotFoundError, OSError, HfHubHTTPError, EntryNotFoundError) as error:
        raise ValueError(
            f"cannot fetch the adapter {repository} from the Hub: check its name, and whether it "
            "is public"
        ) from error
    for name in FILES:
        if not (Path(folder) / name).is_file():
            raise ValueError(f"{repository} has no {name}: give the Hub id of a LoRA adapter")
    return folder


def _check_sizes(sizes: dict[str, int], repository: str, max_bytes: int) -> None:
    """Raise ValueError unless both files of an adapter exist and are small enough."""
    if missing := [file for file in FILES if file not in sizes]:
        raise ValueError(
            f"{repository} has no {missing[0]}: give the Hub id of a LoRA adapter saved with "
            "safetensors"
        )
    if sum(sizes.values()) > max_bytes:
        raise ValueError(
            f"the adapter {repository} has {sum(sizes.values()) / 2**20:.0f} MB: at most "
            f"{max_bytes / 2**20:.0f} MB are downloaded"
        )


__all__ = ["FILES", "Adapters", "is_hub_id"]
