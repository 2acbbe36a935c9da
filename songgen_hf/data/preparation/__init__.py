"""Songs the user has, or rendered ones, made ready for training."""
