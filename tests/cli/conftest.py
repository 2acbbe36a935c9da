"""Fixtures of the command-line tests."""

from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_masked, tiny_processor, tiny_singer

__all__ = ["tiny_checkpoint", "tiny_masked", "tiny_processor", "tiny_singer"]
