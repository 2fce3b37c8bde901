"""Detectors of other libraries, which bring their decoding and their loss.

The object detectors of KerasHub have `decode_predictions`, `compute_loss` and a
`bounding_box_format`; a detector of one's own may have the loss alone. It is
the patch model, or the last layer of a `keras.Sequential` that is.
"""

import inspect

import keras
from keras import ops


def find_detector(patch_model):
    """Return the model that decodes or judges what a patch model gives.

    Args:
        patch_model: Layer or model.

    Returns:
        A model with an own `compute_loss` or `decode_predictions`, or `None`.
    """
    return _split(patch_model)[1]


def _split(patch_model):
    """Return the layers before a detector, and the detector or `None`."""
    if has_loss(patch_model) or decodes(patch_model):
        return [], patch_model
    if isinstance(patch_model, keras.Sequential) and patch_model.layers:
        *before, last = patch_model.layers
        if has_loss(last) or decodes(last):
            return before, last
    return [], None


def has_loss(detector):
    """Whether a layer, or `None`, has a loss of its own."""
    own = getattr(type(detector), "compute_loss", None)
    return own not in (None, keras.Model.compute_loss)


def decodes(detector):
    """Whether a layer, or `None`, makes boxes of what it gives."""
    return hasattr(detector, "decode_predictions") and hasattr(
        detector, "bounding_box_format"
    )


def check_detector(detector, prediction_decoder, num_classes):
    """Refuse a detector that is not decoded as it is meant.

    Args:
        detector: As of `find_detector`.
        prediction_decoder: What else decodes it, or `None`.
        num_classes: Number of the classes that are named.

    Raises:
        ValueError: Saying what to do.
    """
    if prediction_decoder is None:
        _check_decoding(detector)
    found = getattr(detector, "num_classes", None)
    if found not in (None, num_classes):
        raise ValueError(
            f"'{detector.name}' finds {found} classes. Name all of them, in "
            f"its order: class_names=[...]. Received: {num_classes} names"
        )


def _check_decoding(detector):
    if not decodes(detector):
        raise ValueError(
            f"'{detector.name}' has a loss of its own and no "
            "`decode_predictions`: pass a `prediction_decoder` that makes "
            "boxes of what it gives. Received: prediction_decoder=None"
        )
    box_format = detector.bounding_box_format
    if _is_d_fine(detector) and box_format != "yxyx":
        raise ValueError(
            f"'{detector.name}' decodes to yxyx whatever its format: make it "
            'with bounding_box_format="yxyx". Received: '
            f"bounding_box_format={box_format!r}"
        )
    if hasattr(detector, "anchor_generator") and "rel" in box_format:
        raise ValueError(
            f"KerasHub makes no anchors in fractions of an image: make "
            f"'{detector.name}' with bounding_box_format=\"xyxy\". Received: "
            f"bounding_box_format={box_format!r}"
        )


def _is_d_fine(detector):
    return type(detector).__name__ == "DFineObjectDetector"


def check_training(detector, *metrics):
    """Refuse what a detector with a loss of its own cannot be trained with.

    Args:
        detector: As of `find_detector`.
        *metrics: Those of `compile`, of all kinds.

    Raises:
        ValueError: If it does not train on patches, or there are metrics.
    """
    if _is_d_fine(detector):
        raise ValueError(
            f"'{detector.name}' cannot be trained on patches: the loss of "
            "KerasHub's D-FINE takes as many objects in each image. Train it "
            "elsewhere and predict with it here, or train a RetinaNet."
        )
    for each in metrics:
        if each not in ("auto", None, [], ()):
            raise ValueError(
                f"'{detector.name}' gives no boxes in training that a metric "
                "could look at. `kp.callbacks.FullImageEvaluation(images, "
                "boxes)` adds the average precision of whole images to the "
                f"logs. Received: metrics={each}"
            )


def compile_detector(detector, loss, loss_weights):
    """Give a detector the losses that its `compute_loss` works with."""
    if loss is not None and loss is not getattr(detector, "loss", None):
        # Its own `compile` may take other arguments.
        keras.Model.compile(
            detector,
            getattr(detector, "optimizer", None) or "rmsprop",
            loss,
            loss_weights,
        )


def overrides_compile(detector):
    """Whether Keras cannot restore what a layer, or `None`, was compiled with.

    It warns instead, and leaves it as its class makes it.
    """
    own = getattr(type(detector), "compile", None)
    return own not in (None, keras.Model.compile)


def not_compiled(config):
    """Return a configuration of models without what they are compiled with."""
    if isinstance(config, dict):
        return {
            name: not_compiled(value)
            for name, value in config.items()
            if name != "compile_config"
        }
    return list(map(not_compiled, config)) if type(config) is list else config


def compute_loss(patch_model, x, y, y_pred, sample_weight, training):
    """Let a detector judge what it gives for patches.

    Args:
        patch_model: Ends in a detector with a `compute_loss` of its own.
        x: Patches `(batch, height, width, channels)`.
        y: Dict of `boxes`, xyxy in pixels, and `labels`, filled up with -1;
            it gets the boxes in its format, and `mask`, true for what is no
            filling. Anything else it gets as it is.
        y_pred, sample_weight, training: As of `keras.Model.compute_loss`.
    """
    before, detector = _split(patch_model)
    for layer in before:
        x = layer(x)
    if isinstance(y, dict) and {"boxes", "labels"} <= set(y):
        y = {
            **y,
            "boxes": convert_boxes(
                y["boxes"], "xyxy", box_format_of(detector), ops.shape(x)[1:3]
            ),
            "mask": y["labels"] >= 0,
        }
    arguments = {"x": x, "y": y, "y_pred": y_pred}
    arguments["sample_weight"] = sample_weight
    if "training" in inspect.signature(detector.compute_loss).parameters:
        arguments["training"] = training
    return detector.compute_loss(**arguments)


def box_format_of(detector):
    """Return the format of the boxes of a detector, as Keras names it."""
    return getattr(detector, "bounding_box_format", "xyxy")


def convert_boxes(boxes, source, target, size):
    """Convert boxes of patches of `(height, width)` to another format."""
    if source == target:
        return boxes
    return keras.utils.bounding_boxes.convert_format(
        ops.cast(boxes, "float32"),
        source=source,
        target=target,
        height=size[0],
        width=size[1],
    )
