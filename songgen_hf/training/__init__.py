"""Training of song models, LoRA adapters, conditioners, codecs and semantic teachers."""
