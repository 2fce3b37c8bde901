"""Layers that cut, predict and stitch, and rules of how far a layer looks."""

from keras_patching.layers.patched_predictor import PatchedPredictor
from keras_patching.receptive_fields.walk import register_rule

__all__ = ["PatchedPredictor", "register_rule"]
