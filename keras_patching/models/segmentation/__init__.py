"""Semantic segmentation: the model, and loaders of images and masks."""
