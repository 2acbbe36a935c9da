"""Files of codec codes: .npz, or .safetensors with the facts about the codes as metadata."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .digests import CODEC, check_codes_facts, codec_facts

if TYPE_CHECKING:
    import numpy as np

CODES_ENDINGS = (".npz", ".safetensors")
FACTS = ("sampling_rate", "hop_length", "num_samples")


def encode_codes(path: Path, codes: Any, **facts: Any) -> bytes:
    """Bytes of a file of codes in the format that the path's ending names.

    Args:
        path: its ending is one of ``CODES_ENDINGS``; nothing is written.
        codes: integers [K, T] or [tracks, K, T].
        facts: those of ``FACTS``, and ``CODEC``, that are known.
    """
    import numpy as np

    codes = np.asarray(codes, dtype=np.int16)
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {"codes": codes, **facts}
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()
    from safetensors.numpy import save

    return save({"codes": codes}, metadata={"songgen_hf": json.dumps(facts)})


def read_codes(path: Path) -> tuple["np.ndarray", dict[str, Any]]:
    """Codes [K, T] or [tracks, K, T] of a file, and the facts that it holds about them.

    Raises:
        ValueError: if the file has another ending, is damaged or holds no array ``codes``.
    """
    from ..modeling.checkpoint_files import reading

    if path.suffix not in CODES_ENDINGS:
        raise ValueError(f"{str(path)!r} must end in .npz or .safetensors")
    with reading(path):
        arrays, facts = _read_arrays(path)
    if "codes" not in arrays:
        raise ValueError(f"{path} has no array 'codes': got {', '.join(arrays) or 'nothing'}")
    return arrays["codes"], facts


def _read_arrays(path: Path) -> tuple[dict[str, "np.ndarray"], dict[str, Any]]:
    """All arrays of a file of codes, and its facts, of which ``FACTS`` are positive integers."""
    import numpy as np

    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        found = {name: arrays[name] for name in (*FACTS, CODEC) if name in arrays}
    else:
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            found = json.loads((file.metadata() or {}).get("songgen_hf", "{}"))
    facts: dict[str, Any] = {name: int(found[name]) for name in FACTS if name in found}
    if wrong := [name for name, value in facts.items() if value < 1]:
        raise ValueError(f"{path} has the {wrong[0]} {facts[wrong[0]]}, expected 1 or more")
    if CODEC in found:
        facts[CODEC] = str(found[CODEC])
    return arrays, facts


def check_codec(path: Path, facts: dict[str, Any], codec: Any) -> None:
    """Raise ValueError if the facts of a file of codes are those of another codec than this one."""
    config = codec.config
    own = {"sampling_rate": config.sample_rate, "hop_length": config.hop_length}
    check_codes_facts(str(path), facts, own | (codec_facts(codec) if CODEC in facts else {}))


def read_song(path: Any, codec: Any) -> Any:
    """Return the codes [tracks, K, T] of a file of codes, and other paths unchanged.

    Raises:
        ValueError: for a damaged file, or codes of another codec than this one.
    """
    if Path(path).suffix not in CODES_ENDINGS:
        return path
    codes, facts = read_codes(Path(path))
    check_codec(Path(path), facts, codec)
    return codes if codes.ndim == 3 else codes[None]  # `songgen-hf encode` writes one track


__all__ = ["CODES_ENDINGS", "check_codec", "encode_codes", "read_codes", "read_song"]
