"""Evaluation of generated songs and of codecs with judges trained on a rendered corpus."""
