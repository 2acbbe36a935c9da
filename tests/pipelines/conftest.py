"""Fixtures of the pipeline tests."""

from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_masked, tiny_processor, tiny_singer
from .whole_song_cases import heard, singer, songs

__all__ = [
    "heard",
    "singer",
    "songs",
    "tiny_checkpoint",
    "tiny_masked",
    "tiny_processor",
    "tiny_singer",
]
