"""What can be heard in a recording: tempo, key and spectrograms."""
