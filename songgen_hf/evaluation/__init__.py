"""How a song is judged: networks that are trained on the corpus' truth, and estimators.

One metric a module. Imports modeling, pipelines and data; knows nothing of training a song model.
"""
