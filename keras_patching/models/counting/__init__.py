"""Heatmap object counting: the model, its peaks, and loaders of points."""
