"""Networks over log mels and spectra: their base class and the separator."""
