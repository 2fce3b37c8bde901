"""Stateless functions on tensors, on every backend, with static shapes.

`patches` cuts and stitches; `yolo`, `boxes` and `heatmaps` are of the tasks.
"""
