"""New models with random weights in two sizes, and the tokenizers of the small model."""
