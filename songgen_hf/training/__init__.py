"""Training of the language model, its adapters and the codec."""
