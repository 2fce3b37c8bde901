"""Object detection: the model, the merging of its boxes, loaders of boxes.

A patch model gives raw predictions, which `decoding` makes boxes of; `merging`
keeps those of an image, with `non_max_suppression` and `seams`.
"""
