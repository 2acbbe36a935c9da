"""Training data: a corpus of rendered songs, and the preparation of existing songs."""
