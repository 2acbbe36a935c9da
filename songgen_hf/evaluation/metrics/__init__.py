"""Metrics of songs and of codecs, one in each module."""
