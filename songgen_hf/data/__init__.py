"""Training data: songs rendered here (``corpus``) and loudness."""
