"""Heatmap object counting."""
