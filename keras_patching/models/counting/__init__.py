"""Heatmap object counting: the model, its peaks, and loaders of points.

`heatmap_object_counting_model` is where to begin; `heatmap_labels` makes the
shards of heatmaps and points.
"""
