"""Embedded checkpoints, digests of weights, and loading of models by name, folder or Hub id."""
