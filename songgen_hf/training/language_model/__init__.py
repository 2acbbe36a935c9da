"""Training of the autoregressive song model and of its LoRA adapters."""
