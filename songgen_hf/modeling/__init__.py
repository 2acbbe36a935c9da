"""The model; flat, so that every file can travel to the Hub with a checkpoint."""
