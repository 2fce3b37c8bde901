"""Stateless functions on tensors, on every backend, with static shapes.

`patches` cuts and stitches; `yolo` and `boxes` are of detection.
"""
