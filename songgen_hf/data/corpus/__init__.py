"""Songs with known truth: rendered from a seed, two stems, every word and phoneme timed."""
