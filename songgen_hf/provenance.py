"""Where a song comes from, said in the sound file itself and in the JSON beside it.

A record says that the song is AI-generated, by which model (and which revision of it), from which
seed and options, and under which license. WAV, FLAC and Ogg files carry it as JSON in their comment
tag; title, artist, copyright and license tags say the same to people.

What the libraries really do: libsndfile writes WAV tags as RIFF INFO, where a reader of its own
skips every text above 2044 bytes and all that follows it, and which knows no license tag; FLAC and
Ogg have neither limit. So the tag leaves out what does not fit (lyrics of many pages), and the time
of making, which would make two files of the same song differ. The JSON beside it has everything.
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

from .files import safe_gain, sound_format, write_files
from .version import __version__

TAG_BYTES = 2000
UNKNOWN = "unknown"
_EMBEDDED = Path(__file__).resolve().parent / "checkpoints"
CONSENT = (
    "Sing with the voice of a person only if that person has agreed; say that the song is "
    "AI-generated where it is published."
)
_LEFT_OUT_FIRST = ("options", "adapters", "consent")
_WEIGHTS = (
    "model.safetensors",
    "adapter_model.safetensors",
    "pytorch_model.bin",
    "transformer/diffusion_pytorch_model.safetensors",  # of a masked song model
)
_INDEX = "model.safetensors.index.json"


def provenance(
    model: Any,
    *,
    seed: int,
    options: Mapping[str, Any],
    adapters: str | Mapping[str, float] | Iterable[str] = (),
) -> dict[str, Any]:
    """The record of one song.

    Args:
        model: the song model that sang.
        seed: of the song.
        options: what was asked for: text, lyrics, settings; JSON values. None is left out.
        adapters: folders or Hub ids of the adapters that sang along; a mapping has their weights.
    Returns:
        JSON-able: ``ai_generated`` (True), ``generator`` (name and version of this package),
        ``model`` (Hub id, short name or folder name; no path), ``revision`` (commit of the Hub
        repository, else ``sha256:`` and the first digits of the weight file's hash; None for a
        model that was never saved), ``licence`` (of the model), ``seed``, ``options``,
        ``adapters`` (each with name, revision and weight), ``created`` (UTC) and ``consent``.
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
    """Bytes of a sound file that says where it comes from.

    Args:
        waveform: float [channels, samples] or [samples].
        sampling_rate: Hz.
        path: its ending tells the format; nothing is written.
        record: of :func:`provenance`.
        gain: factor on every sample; None for the largest up to 1 that keeps them in [-1, 1].
        title: shown by players.
    Raises:
        ValueError: for an ending other than .wav, .flac or .ogg, or another shape.
    """
    import soundfile

    container, subtype = sound_format(path)
    waveform = np.atleast_2d(waveform)
    if waveform.ndim != 2:
        raise ValueError(
            f"got a waveform of shape {list(waveform.shape)}, expected [channels, samples] or "
            "[samples]: write songs one by one"
        )
    gain = safe_gain(waveform) if gain is None else gain
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", sampling_rate, len(waveform), subtype=subtype, format=container
    ) as file:
        for tag, text in _tags(record, title).items():
            setattr(file, tag, text)
        file.write(np.clip(waveform.T * gain, -1.0, 1.0))
    return buffer.getvalue()


def write_song(
    path: Path | str, waveform: np.ndarray, sampling_rate: int, record: Mapping[str, Any]
) -> Path:
    """Write a sound file that says where it comes from, whole or not at all.

    Args:
        path: .wav, .flac or .ogg; missing folders are made.
        waveform: float [channels, samples] or [samples]; scaled down if it leaves [-1, 1].
        sampling_rate: Hz.
        record: of :func:`provenance`.
    Returns:
        ``path``.
    Raises:
        ValueError: for another ending or shape.
        OSError: if it cannot be written.
    """
    path = Path(path)
    write_files({path: encode_song(waveform, sampling_rate, path, record)})
    return path


def read_provenance(path: Path | str) -> dict[str, Any]:
    """The record in a sound file's tags, or the whole one in the JSON file that lies beside it.

    Raises:
        ValueError: if the file carries none.
        OSError: if it cannot be read.
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
        f"{path} does not say where it comes from: got no record of songgen-hf, expected one in "
        "the comment of a sound file or in the JSON file that was written with a song"
    )


@lru_cache
def license_of(source: str, revision: str | None = None) -> str:
    """The license that the model card of a folder or Hub id names, or ``"unknown"``.

    Args:
        source: folder or Hub id.
        revision: commit, for a Hub id.
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
    except (OSError, ValueError):  # no card, or none that can be read
        return UNKNOWN
    named = data.get("license_name") if data.get("license") == "other" else data.get("license")
    return str(named or UNKNOWN)


def _tags(record: Mapping[str, Any], title: str) -> dict[str, str]:
    """Tag -> text, in the order of writing."""
    generator = record["generator"]
    told = {key: value for key, value in record.items() if key != "created"}
    for key in ("", *_LEFT_OUT_FIRST):
        told.pop(key, None)
        # ASCII: some readers take RIFF INFO for Latin-1.
        comment = json.dumps(told, separators=(",", ":"))
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
    """Name without a path, and revision, of a folder or Hub id.

    Args:
        source: folder or Hub id; "" for none.
        commit: of a Hub id, if it is known; else that of the copy in the cache.
    """
    folder = Path(source)
    if not source:
        return None, commit
    if not folder.is_dir():
        return source, commit or _cached_commit(source)
    folder = folder.resolve()
    if folder.parent.name == "snapshots":  # of the Hub's cache
        return folder.parents[1].name.partition("--")[2].replace("--", "/"), folder.name
    if folder.is_relative_to(_EMBEDDED):
        name = folder.relative_to(_EMBEDDED).as_posix()
    else:
        name = folder.name
    return name, _weights_hash(folder)


def _cached_commit(repository: str) -> str | None:
    """Commit of the copy of a Hub repository that lies in the cache."""
    from huggingface_hub import try_to_load_from_cache

    for file in ("adapter_config.json", "config.json"):
        found = try_to_load_from_cache(repository, file)
        if isinstance(found, str):
            return Path(found).parent.name
    return None


def _weights_hash(folder: Path) -> str | None:
    """``sha256:`` and 16 digits for the weights of a folder; those of a single file are the first
    digits that the Hub shows for it."""
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
    """SHA-256 of a file; read again only if it has changed."""
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
