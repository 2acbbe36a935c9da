"""Experiments: variants of a training with equal budgets, compared on held-out songs."""
