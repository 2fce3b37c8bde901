"""Semantic segmentation: the model, and loaders of images and masks.

`semantic_segmentation_model` is where to begin; `mask_labels` makes the shards
of masks.
"""
