"""Exporting checkpoints, writing their cards and uploading them to the Hub."""
