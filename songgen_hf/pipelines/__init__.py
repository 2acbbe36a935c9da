"""Pipelines: one call from words to a waveform."""
