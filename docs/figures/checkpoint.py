"""The fingerprint of the embedded checkpoint from which a figure was drawn."""

import hashlib
from pathlib import Path


def fingerprint(directory: str | Path) -> str:
    """Twelve hexadecimal digits over the weights of a checkpoint and the codec beside it."""
    folder = Path(directory)
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("../codec/*.safetensors")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


__all__ = ["fingerprint"]
