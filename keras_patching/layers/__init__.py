"""The layer that cuts, predicts and stitches, `PatchedPredictor`.

`register_rule` tells it how far a layer of one's own looks; the rules of
Keras's layers are in `receptive_fields.rules`.
"""

from keras_patching.layers.patched_predictor import PatchedPredictor
from keras_patching.receptive_fields.walk import register_rule

__all__ = ["PatchedPredictor", "register_rule"]
