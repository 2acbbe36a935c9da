"""Training of the text and lyrics encoders on facts known from captions and lyrics."""
