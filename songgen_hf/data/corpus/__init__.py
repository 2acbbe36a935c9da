"""Songs with exact labels, rendered from a seed: two stems, and the time of every phoneme."""
