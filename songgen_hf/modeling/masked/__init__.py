"""The masked song model: ResGen (arXiv 2412.10208) on the codes of two tracks."""
