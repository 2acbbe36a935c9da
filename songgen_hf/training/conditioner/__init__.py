"""Training of the text and lyrics encoders on attributes of songs, without the decoder."""
