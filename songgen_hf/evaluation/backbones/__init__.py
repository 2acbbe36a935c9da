"""Published networks that hear songs: embeddings, tags, words and voices, loaded by name."""
