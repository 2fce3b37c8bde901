"""Turns what a patch model gives into boxes, a few patches at a time.

Images of different sizes have different numbers of patches, and on jax each
number would be compiled anew. So patches are decoded in chunks of one size.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_patching.models.prediction_checks import PROBABILITY_ROUNDING
from keras_patching.ops.compiling import compiled_on_jax
from keras_patching.ops.yolo import decode_boxes, to_xyxy

PARTS = ("boxes", "scores", "labels")
# What KerasHub and others call them.
_OTHER_NAMES = {"confidence": "scores", "classes": "labels"}
_PATCHES_PER_CHUNK = 16


def compiled_decoder(prediction_decoder):
    """Return a decoder of the user's, or `None`, compiled where it may be.

    A function may do what only works outside of compiled ones, and a layer
    may hold weights that change.
    """
    is_layer = isinstance(prediction_decoder, keras.layers.Layer)
    if is_layer and not prediction_decoder.variables:
        return compiled_on_jax()(prediction_decoder.__call__)
    return prediction_decoder


def as_parts(found):
    """Return what a decoder gives in one form.

    Args:
        found: Dict of `boxes`, `scores` or `confidence`, `labels` or
            `classes`, and perhaps of `num_detections`; or an array `(n, k, 6)`
            of x1, y1, x2, y2, score and label, filled up with zeros.

    Returns:
        Dict of `boxes`, `scores` and `labels`, filled up with scores of -1.
        What is of no such form is returned as it is.
    """
    if getattr(found, "shape", ())[2:] == (6,):
        found = ops.convert_to_tensor(found)
        is_box = found[..., 4] > 0
        return {
            "boxes": found[..., :4],
            "scores": ops.where(is_box, found[..., 4], -1.0),
            "labels": ops.cast(found[..., 5], "int32"),
        }
    if not isinstance(found, dict):
        return found
    found = {_OTHER_NAMES.get(name, name): found[name] for name in found}
    if "num_detections" in found and set(PARTS) <= set(found):
        scores = ops.convert_to_tensor(found["scores"])
        count = ops.convert_to_tensor(found["num_detections"])
        place = ops.arange(scores.shape[1], dtype=count.dtype)
        is_box = place < ops.reshape(count, (-1, 1))
        found["scores"] = ops.where(is_box, scores, -1.0)
    return found


def decode_in_chunks(decode, outputs):
    """Decode the outputs of any number of patches, so many at a time.

    Args:
        decode: Function from the outputs of a fixed number `n` of patches to
            a dict of `boxes` `(n, k, 4)`, `scores` and `labels` `(n, k)`.
        outputs: Numpy array, or list or dict of them, `(patches, ...)`.

    Returns:
        Dict of numpy arrays as of `decode`, `(patches, ...)`. Where `k` is not
        the same in all chunks, they are filled up with -1.

    Raises:
        ValueError: If `decode` gives something else.
    """
    count = len(keras.tree.flatten(outputs)[0])
    chunks = []
    for start in range(0, count, _PATCHES_PER_CHUNK):
        found = decode(_take(outputs, start, count))
        _check_parts(found)
        chunks.append(
            {name: ops.convert_to_numpy(found[name]) for name in PARTS}
        )
        _check_decoded(chunks[-1])
    return {
        name: _concatenate([chunk[name] for chunk in chunks])[:count]
        for name in PARTS
    }


def _check_parts(found):
    if not isinstance(found, dict) or not set(PARTS) <= set(found):
        received = (
            f"keys {sorted(found)}"
            if isinstance(found, dict)
            else f"a {type(found).__name__}"
        )
        raise ValueError(
            "A `prediction_decoder` must give a dict of boxes, scores and "
            f"labels. Received: {received}"
        )


def _check_decoded(found):
    shapes = [found[name].shape for name in PARTS]
    boxes, scores, labels = shapes
    if not (
        len(scores) == 2
        and scores[0] == _PATCHES_PER_CHUNK
        and boxes == (*scores, 4)
        and labels == scores
    ):
        raise ValueError(
            "A `prediction_decoder` must give boxes (n, k, 4), scores (n, k) "
            f"and labels (n, k) for n patches, here {_PATCHES_PER_CHUNK}. "
            f"Received: shapes {shapes}"
        )
    highest = found["scores"].max(initial=0)
    if highest > 1 + PROBABILITY_ROUNDING:
        raise ValueError(
            "A `prediction_decoder` must give scores from 0 to 1, and -1 for "
            "padding; these look like logits, which `keras.ops.sigmoid` or "
            f"`softmax` makes scores of. Received: a score of {highest:g}"
        )


def check_labels(found, class_names):
    """Refuse labels of boxes that no class has.

    Args:
        found: As of `decode_in_chunks`.
        class_names: Names of the classes.
    """
    labels = found["labels"][found["scores"] >= 0]
    wrong = labels[(labels < 0) | (labels >= len(class_names))]
    if len(wrong):
        raise ValueError(
            f"A box has the label {wrong[0]:g}, and `class_names` names "
            f"{len(class_names)} classes, from 0 to {len(class_names) - 1}: "
            "name all that the detector finds, in its order. Received: "
            f"class_names={class_names}"
        )


def _take(outputs, start, count):
    """Give the chunk of patches from `start` on, as tensors."""
    patches = np.arange(start, start + _PATCHES_PER_CHUNK)
    # The last chunk repeats the last patch until it is full.
    patches = np.minimum(patches, count - 1)
    return keras.tree.map_structure(
        lambda output: ops.convert_to_tensor(output[patches]), outputs
    )


def _concatenate(chunks):
    most = max(chunk.shape[1] for chunk in chunks)
    return np.concatenate([_filled_up(chunk, most) for chunk in chunks])


def _filled_up(chunk, most):
    missing = [(0, 0)] * chunk.ndim
    missing[1] = 0, most - chunk.shape[1]
    return np.pad(chunk, missing, constant_values=-1)


@compiled_on_jax("anchors", "grid_size", "patch_size")
def decode_yolo(raw, anchors, grid_size, patch_size):
    """Make boxes of the output of a YOLO patch model.

    Args:
        raw: Tensor `(patches, rows, cols, anchors, 5 + classes)`.
        anchors: Pairs `(height, width)` in pixels.
        grid_size: `(rows, cols)`.
        patch_size: `(height, width)` in pixels.

    Returns:
        Dict of `boxes`, `(patches, k, 4)`, xyxy in pixels of the patch and
        inside of it, `scores` and `labels`, `(patches, k)`; `k` is the number
        of cells times that of anchors.
    """
    decoded = decode_boxes(raw, anchors, patch_size)
    boxes = to_xyxy(decoded[..., :4], grid_size, patch_size)
    height, width = patch_size
    edges = ops.convert_to_tensor([width, height] * 2, "float32")
    boxes = ops.minimum(ops.maximum(boxes, 0.0), edges)
    # Not `softmax`, which warns where there is one class.
    classes = ops.exp(ops.log_softmax(decoded[..., 5:], axis=-1))
    scores = ops.sigmoid(decoded[..., 4]) * ops.max(classes, axis=-1)
    labels = ops.cast(ops.argmax(classes, axis=-1), "int32")
    slots = math.prod(decoded.shape[1:4])
    return {
        "boxes": ops.reshape(boxes, (-1, slots, 4)),
        "scores": ops.reshape(scores, (-1, slots)),
        "labels": ops.reshape(labels, (-1, slots)),
    }
