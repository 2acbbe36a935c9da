"""The Gradio Space: a page and an API that generate songs."""
