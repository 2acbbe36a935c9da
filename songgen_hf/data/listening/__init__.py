"""What can be heard in a recording: tempo, key, phonemes and spectrograms."""
