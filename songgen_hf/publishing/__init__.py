"""Export of checkpoints, model cards, and uploads to the Hub."""
