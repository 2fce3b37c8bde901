"""The layer that cuts, predicts and stitches, `PatchedPredictor`.

`RowStream` runs a patch model a band of rows at a time; what runs each kind of
layer then is listed in `row_layers`, the loops over the bands in `row_loops`.

`register_rule` tells it how far a layer of one's own looks; the rules of
Keras's layers are in `receptive_fields.rules`.
"""

from keras_patching.layers.ensemble import Ensemble
from keras_patching.layers.patched_predictor import PatchedPredictor
from keras_patching.layers.row_stream import RowStream, StreamedOutput
from keras_patching.layers.test_time_augmentation import TestTimeAugmentation
from keras_patching.receptive_fields.walk import register_rule

__all__ = [
    "Ensemble",
    "PatchedPredictor",
    "RowStream",
    "StreamedOutput",
    "TestTimeAugmentation",
    "register_rule",
]
