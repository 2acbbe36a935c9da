"""Embedded checkpoints, and loading of models and codecs by name, folder or Hub id."""
