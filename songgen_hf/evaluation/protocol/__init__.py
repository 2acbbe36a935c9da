"""Prompts, sampling of songs, and reports: how models are compared."""
