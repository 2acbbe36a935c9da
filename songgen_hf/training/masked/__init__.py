"""Training of the masked song model."""
