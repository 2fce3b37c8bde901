"""Feeding a model from a cache: sequences, what an epoch sees, splits."""
