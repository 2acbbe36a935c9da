"""SongGen for Hugging Face: text, lyrics and a voice in, a song out."""

__version__ = "0.1.0"
