"""The masked song model and its scheduler: ResGen (arXiv 2412.10208) on the codes of SongGen."""
