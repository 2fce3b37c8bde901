"""Makes boxes as detectors of other libraries do themselves.

Which boxes are kept is asked for later, of all patches: what KerasHub's own
`NonMaxSuppression` would drop is handed on.
"""

import functools

from keras import ops

from keras_patching.models.detection.ready_detector import (
    box_format_of,
    convert_boxes,
)
from keras_patching.ops.compiling import compiled_on_jax

# Boxes of a patch that are looked at further, the best.
_MAX_CANDIDATES = 1000


def compiled_decoder(detector):
    """Return `decode` for a detector, or `None`, compiled where that pays."""
    return compiled_on_jax()(functools.partial(decode, detector))


def decode(detector, outputs, images):
    """Make boxes of what a detector gives for patches.

    Args:
        detector: As of `find_detector`, with `decode_predictions`.
        outputs: What it gave for `n` patches.
        images: Tensor `(n, height, width, channels)` of their size.

    Returns:
        What its `decode_predictions` gives, boxes xyxy in pixels. Where its
        decoder is KerasHub's `NonMaxSuppression`, these are the best 1000 of
        each patch, with all scores.
    """
    decoder = getattr(detector, "prediction_decoder", None)
    owner = detector
    if type(decoder).__name__ == "NonMaxSuppression":
        owner = _Decoding(detector, _BestBoxes(decoder))
    # Its method reads from the owner what it decodes with.
    found = type(detector).decode_predictions(owner, outputs, images)
    boxes = convert_boxes(
        found["boxes"], box_format_of(detector), "xyxy", ops.shape(images)[1:3]
    )
    return {**found, "boxes": boxes}


class _Decoding:
    """A detector, but for its decoder.

    KerasHub's own keeps scores from 0.5 on, unless told otherwise, and at most
    100 boxes. Which are kept is asked for later, of all patches.
    """

    def __init__(self, detector, prediction_decoder):
        self._detector = detector
        self.prediction_decoder = prediction_decoder

    def __getattr__(self, name):
        return getattr(self._detector, name)


class _BestBoxes:
    """The best boxes of each patch, also where they are of one object.

    It is called as KerasHub's `NonMaxSuppression` is.
    """

    def __init__(self, decoder):
        self.bounding_box_format = decoder.bounding_box_format
        self._from_logits = decoder.from_logits

    def __call__(self, boxes, classes, images=None):
        classes = ops.cast(classes, "float32")
        scores = ops.sigmoid(classes) if self._from_logits else classes
        labels = ops.argmax(scores, axis=-1)
        scores = ops.max(scores, axis=-1)
        most = min(_MAX_CANDIDATES, scores.shape[1])
        scores, best = ops.top_k(scores, most)
        return {
            "boxes": ops.take_along_axis(boxes, best[..., None], axis=1),
            "scores": scores,
            "labels": ops.take_along_axis(labels, best, axis=1),
        }
