"""Auxiliary losses and scheduled sampling, shared by the two kinds of song models."""
