"""Files of codec codes: .npz, or .safetensors with the facts about the codes as metadata."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

CODES_ENDINGS = (".npz", ".safetensors")
FACTS = ("sampling_rate", "hop_length", "num_samples")


def encode_codes(path: Path, codes: Any, **facts: int) -> bytes:
    """Bytes of a file of codes in the format that the path's ending names.

    Args:
        path: its ending is one of ``CODES_ENDINGS``; nothing is written.
        codes: integers [K, T] or [tracks, K, T].
        facts: those of ``FACTS`` that are known.
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
        ValueError: if the file has another ending or holds no array ``codes``.
    """
    import numpy as np

    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        facts = {name: int(arrays[name]) for name in FACTS if name in arrays}
    elif path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = json.loads((file.metadata() or {}).get("songgen_hf", "{}"))
    else:
        raise ValueError(f"{str(path)!r} must end in .npz or .safetensors")
    if "codes" not in arrays:
        raise ValueError(f"{path} has no array 'codes': got {', '.join(arrays) or 'nothing'}")
    return arrays["codes"], facts
