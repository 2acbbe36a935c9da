"""Songs that are given to commands as files: codes, or sound files of their tracks."""

from pathlib import Path

from ..checkpoints.codes_files import CODES_ENDINGS


def song_source(paths: list[Path] | None, tracks: int, flag: str) -> Path | tuple[Path, ...] | None:
    """The file of codes, the sound files of all tracks or that of the mixture, for pipelines.

    Raises:
        ValueError: for a wrong number of files.
    """
    if paths is None:
        return None
    if paths[0].suffix in CODES_ENDINGS and len(paths) > 1:
        raise ValueError(f"{flag} takes one file of codes: got {len(paths)} files")
    if len(paths) not in (1, tracks):
        expected = "1 file" if tracks == 1 else f"1 file (the mixture) or {tracks} files (tracks)"
        raise ValueError(f"{flag} takes {expected} for this model: got {len(paths)}")
    return paths[0] if len(paths) == 1 else tuple(paths)
