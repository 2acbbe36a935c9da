"""Provenance records of songs, in the audio files and in the JSON files next to them.

A record says that the song is AI-generated, by which model and revision, with which seed and
options, and under which license. WAV, FLAC, MP3 and Ogg files contain it as JSON in the comment
tag; the title, artist, copyright and license tags contain the main facts as text.

libsndfile writes the tags of WAV files as RIFF INFO, which has no license tag, and does not read
texts above 2044 bytes or any tag after them; FLAC and Ogg have neither limit, and MP3 files have
the title, the artist and the comment alone. The comment therefore
omits what does not fit (long lyrics), and the time of creation, so that the same song gives the
same file. The JSON file contains the complete record.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .files import encode_sound, safe_gain, write_files
from .version import __version__

TAG_BYTES = 2000
UNKNOWN = "unknown"
_EMBEDDED = Path(__file__).resolve().parent / "checkpoints"
CONSENT = (
    "Sing with the voice of a person only if that person has agreed; say that the song is "
    "AI-generated where it is published."
)
_OPTIONAL_KEYS = ("options", "adapters", "consent")
_WEIGHTS = (
    "model.safetensors",
    "adapter_model.safetensors",
    "pytorch_model.bin",
    "transformer/diffusion_pytorch_model.safetensors",  # of a masked model
)
_INDEX = "model.safetensors.index.json"


def provenance(
    model: Any,
    *,
    seed: int,
    options: Mapping[str, Any],
    adapters: str | Mapping[str, float] | Iterable[str] = (),
) -> dict[str, Any]:
    """Make the provenance record of a song.

    Args:
        model: song model that generated the song.
        seed: seed of the song.
        options: text, lyrics and settings of the request, as JSON values; None is omitted.
        adapters: folders or Hub ids of the adapters of the model; a mapping has their weights.
    Returns:
        A JSON-serializable record with the keys ``ai_generated`` (True), ``generator`` (name and
        version of this package), ``model`` (Hub id, short name or folder name, without a path),
        ``revision`` (commit of the Hub repository, or else ``sha256:`` and the first digits of the
        hash of the weight file; None for a model that was not saved), ``licence`` (license of the
        model), ``seed``, ``options``, ``adapters`` (name, revision and weight of each), ``created``
        (UTC) and ``consent``.
    """
    config = model.config
    source = str(getattr(config, "_name_or_path", "") or getattr(model, "name_or_path", "") or "")
    name, revision = identity(source, getattr(config, "_commit_hash", None))
    if isinstance(adapters, str):
        adapters = (adapters,)
    weights = adapters if isinstance(adapters, Mapping) else dict.fromkeys(adapters, 1.0)
    return {
        "ai_generated": True,
        "generator": {"name": "songgen-hf", "version": __version__},
        "model": name,
        "revision": revision,
        "licence": license_of(source, revision),
        "seed": int(seed),
        "options": {key: value for key, value in options.items() if value is not None},
        "adapters": [
            {**dict(zip(("name", "revision"), identity(str(adapter)), strict=True)), "weight": w}
            for adapter, w in weights.items()
        ],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "consent": CONSENT,
    }


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a song's samples can depend on."""
    import torch
    import transformers

    return {
        "songgen_hf": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }


def encode_song(
    waveform: np.ndarray,
    sampling_rate: int,
    path: Path | str,
    record: Mapping[str, Any],
    *,
    gain: float | None = None,
    title: str = "AI-generated song",
) -> bytes:
    """Encode an audio file with a provenance record.

    Args:
        waveform: float [channels, samples] or [samples].
        sampling_rate: sampling rate in Hz.
        path: path whose ending selects the format; no file is written.
        record: record that :func:`provenance` returned.
        gain: factor on all samples; None for the largest one, at most 1, that avoids clipping.
        title: title that players show.
    Raises:
        ValueError: for an ending other than .wav, .flac, .mp3 or .ogg, or another shape.
    """
    waveform = np.atleast_2d(waveform)
    if waveform.ndim != 2:
        raise ValueError(
            f"got a waveform of shape {list(waveform.shape)}, expected [channels, samples] or "
            "[samples]: write songs one by one"
        )
    gain = safe_gain(waveform) if gain is None else gain
    return encode_sound(waveform, sampling_rate, path, gain=gain, tags=_tags(record, title))


def write_song(
    path: Path | str, waveform: np.ndarray, sampling_rate: int, record: Mapping[str, Any]
) -> Path:
    """Write an audio file with a provenance record, whole or not at all.

    Args:
        path: path that ends in .wav, .flac, .mp3 or .ogg; missing folders are created.
        waveform: float [channels, samples] or [samples]; scaled down if it exceeds [-1, 1].
        sampling_rate: sampling rate in Hz.
        record: record that :func:`provenance` returned.
    Returns:
        ``path``.
    Raises:
        ValueError: for another ending or shape.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    write_files({path: encode_song(waveform, sampling_rate, path, record)})
    return path


def read_provenance(path: Path | str) -> dict[str, Any]:
    """Read the provenance record of an audio file or of the JSON file next to it.

    Raises:
        ValueError: if the file contains no record.
        OSError: if the file cannot be read.
    """
    import soundfile

    path = Path(path)
    content = path.read_bytes()
    try:
        if path.suffix.lower() == ".json":
            record = json.loads(content)["provenance"]
        else:
            with soundfile.SoundFile(io.BytesIO(content)) as file:
                record = json.loads(file.comment)
        if record["ai_generated"] is True:
            return dict(record)
    except (ValueError, KeyError, TypeError, soundfile.LibsndfileError):
        pass
    raise ValueError(
        f"{path} has no provenance record: expected one of songgen-hf in the comment tag of an "
        "audio file or in the JSON file that was written with a song"
    )


@lru_cache
def license_of(source: str, revision: str | None = None) -> str:
    """The license in the model card of a folder or Hub id; ``"unknown"`` without one.

    Args:
        source: folder or Hub id.
        revision: commit of a Hub id.
    """
    from huggingface_hub import ModelCard
    from transformers.utils import cached_file

    if not source:
        return UNKNOWN
    is_folder = Path(source).is_dir()
    try:
        card = cached_file(
            source,
            "README.md",
            revision=None if is_folder else revision,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        if card is None:
            return UNKNOWN
        data = ModelCard(Path(card).read_text(encoding="utf-8")).data
    except (OSError, ValueError):  # there is no card, or it cannot be read
        return UNKNOWN
    named = data.get("license_name") if data.get("license") == "other" else data.get("license")
    return str(named or UNKNOWN)


def _tags(record: Mapping[str, Any], title: str) -> dict[str, str]:
    """The text of each tag, in the order of writing."""
    generator = record["generator"]
    contents = {key: value for key, value in record.items() if key != "created"}
    for key in ("", *_OPTIONAL_KEYS):
        contents.pop(key, None)
        # ASCII only, because some programs read RIFF INFO as Latin-1.
        comment = json.dumps(contents, separators=(",", ":"))
        if len(comment) <= TAG_BYTES:
            break
    return {
        "title": title,
        "artist": f"songgen-hf with {record['model'] or 'an unsaved model'}"[:TAG_BYTES],
        "copyright": f"AI-generated, not a recording of a performer. License of the model: "
        f"{record['licence']}"[:TAG_BYTES],
        "software": f"{generator['name']} {generator['version']}",
        "license": str(record["licence"])[:TAG_BYTES],
        "comment": comment,
    }


def identity(source: str, commit: str | None = None) -> tuple[str | None, str | None]:
    """The name, without a path, and the revision of a folder or Hub id.

    Args:
        source: folder or Hub id; "" for none.
        commit: commit of a Hub id; by default that of the copy in the cache.
    """
    folder = Path(source)
    if not source:
        return None, commit
    if not folder.is_dir():
        return source, commit or _cached_commit(source)
    folder = folder.resolve()
    if folder.parent.name == "snapshots":  # in the cache of the Hub
        return folder.parents[1].name.partition("--")[2].replace("--", "/"), folder.name
    if folder.is_relative_to(_EMBEDDED):
        name = folder.relative_to(_EMBEDDED).as_posix()
    else:
        name = folder.name
    return name, _weights_hash(folder)


def _cached_commit(repository: str) -> str | None:
    """The commit of the copy of a Hub repository in the cache."""
    from huggingface_hub import try_to_load_from_cache

    for file in ("adapter_config.json", "config.json"):
        found = try_to_load_from_cache(repository, file)
        if isinstance(found, str):
            return Path(found).parent.name
    return None


def _weights_hash(folder: Path) -> str | None:
    """``sha256:`` and 16 digits for the weights in a folder.

    For a single file these are the first digits of the hash that the Hub shows.
    """
    files = [folder / name for name in _WEIGHTS if (folder / name).is_file()][:1]
    if not files and (folder / _INDEX).is_file():
        places = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"]
        files = [folder / name for name in sorted(set(places.values()))]
    if not files or not all(file.is_file() for file in files):
        return None
    hashes = [_file_hash(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return f"sha256:{whole[:16]}"


@lru_cache
def _file_hash(path: Path, modified: int, size: int) -> str:
    """The SHA-256 hash of a file, which is cached until the file changes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = [
    "CONSENT",
    "encode_song",
    "identity",
    "library_versions",
    "license_of",
    "provenance",
    "read_provenance",
    "write_song",
]
