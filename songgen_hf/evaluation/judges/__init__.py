"""Networks trained on the rendered corpus that recognize phonemes and classify songs."""
