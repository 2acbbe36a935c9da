"""Networks trained on the rendered corpus that score songs."""
