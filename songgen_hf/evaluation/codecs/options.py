"""Options of measuring codecs, and the published protocols that they can follow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...data.preparation.option_checks import check_at_least

PROTOCOLS_FILE = Path(__file__).with_name("protocols.json")


@dataclass(frozen=True, kw_only=True)
class CodecsOptions:
    """What is measured.

    Args:
        models: codecs, or song models with a codec: names, folders or Hub ids.
        songs: folder of a rendered corpus, or of sound files.
        codebooks: numbers of codebooks to decode from; those that a codec lacks are left out.
        protocol: published protocol, which sets the numbers of codebooks and whose figures are
            shown beside these.
        split: split of the corpus.
        max_songs: number of songs.
        recognizer: phoneme recognizer of the corpus.
        abx: whether to measure ABX, which needs the times of phonemes.
        abx_phones: phones of one phoneme, context and singer.
        visqol: whether to measure ViSQOL if its package is installed.
        seed: seed of all draws.
        draws: draws of the bootstrap.
        device: device of the codecs.
    Raises:
        ValueError: for numbers out of range or unsorted, or an unknown protocol.
    """

    models: tuple[str, ...]
    songs: Path
    codebooks: tuple[int, ...] = (1, 2, 4, 8)
    protocol: Literal["xcodec"] | None = None
    split: str = "test"
    max_songs: int = 100
    recognizer: str = "recognizer-mini"
    abx: bool = True
    abx_phones: int = 5
    visqol: bool = True
    seed: int = 0
    draws: int = 1000
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_at_least(self, 1, "max_songs", "abx_phones", "draws")
        check_at_least(self, 0, "seed")
        if not self.models:
            raise ValueError("got no codec to measure: name at least one before the songs")
        if not self.counts or min(self.counts) < 1 or len(set(self.counts)) < len(self.counts):
            raise ValueError(
                f"codebooks must be different numbers of at least 1: got {list(self.counts)}"
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of codebooks."""
        if self.protocol is None:
            return self.codebooks
        return tuple(read_protocol(self.protocol)["codebooks"])


def read_protocol(name: str) -> dict[str, Any]:
    """Read a published protocol: its settings, its figures, and why ours differ.

    Raises:
        ValueError: for an unknown name.
    """
    protocols = json.loads(PROTOCOLS_FILE.read_text(encoding="utf-8"))
    if name not in protocols:
        raise ValueError(f"unknown protocol {name!r}: expected one of {', '.join(protocols)}")
    return dict(protocols[name])


__all__ = ["CodecsOptions", "read_protocol"]
