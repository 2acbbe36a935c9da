"""Adapts a song model to recordings: preparation, codes, LoRA adapter."""
