"""Preparation of songs for training: codes of the codec, and mixtures of two songs."""
