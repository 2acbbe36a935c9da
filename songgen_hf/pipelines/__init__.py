"""Pipelines that generate the waveform of a song from text, lyrics and a voice in one call."""
