"""Evaluation of residual codecs for every number of codebooks, with a card of its settings."""
