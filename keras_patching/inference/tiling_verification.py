"""Is the tiled prediction that of the whole image? Measured, not derived."""

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np

from keras_patching._types import ArrayLike, NDArray
from keras_patching.data.labels.whole_images import check_no_batches
from keras_patching.geometry import as_patch_size
from keras_patching.inference.overlap_search import (
    TriedOverlap,
    check_tolerance,
    possible_overlaps,
    search_overlaps,
)
from keras_patching.inference.precision import describe_precision
from keras_patching.inference.tiling_report import TilingReport
from keras_patching.layers.patched_predictor import PatchedPredictor
from keras_patching.models.devices import fill_up
from keras_patching.models.kept_weights import weights_kept
from keras_patching.models.seen_images import check_prepared
from keras_patching.receptive_fields.automatic_overlap import (
    another_tiling,
    find_multiple_of,
    takes_any_size,
)


def verify_tiling(
    predictor: keras.layers.Layer,
    images: Sequence[ArrayLike] | NDArray,
    tolerance: float | None = None,
) -> TilingReport:
    """Compare tiled prediction with the prediction of whole images.

    The whole image is what the patch model gives on the image padded with
    `pad_value` at the bottom and right to multiples of its stride, cropped
    again. It is run in one piece: choose images that fit in memory with the
    activations of the patch model.

    Args:
        predictor: A `PatchedPredictor`, or a model that has one: a
            `PatchedModel`, a task model, or a Keras model with the layer.
        images: Array `(batch, height, width, channels)`, or a list of arrays
            `(height, width, channels)` of different sizes, in the range of
            values that the patch model takes, as `read_image` of a task model
            gives them.
        tolerance: The largest difference that is good enough, in units of the
            patch model's output. If given, `report.search` names the smallest
            overlap that keeps to it, and what that costs: for patch models
            that `overlap="auto"` is impossible or too dear for. Overlaps that
            are multiples of the stride are tried, first doubled and then
            bisected, as if larger ones differed less; the patches are those
            of prediction, or as large as twice the overlap. `None` tries none.

    Returns:
        A `TilingReport`. With `overlap="auto"` its `largest_difference` is
        what rounding leaves: about 1e-6 of the values of the layers in full
        float32. GPUs multiply float32 in TensorFloat-32 unless told otherwise:
        on an H100 it was 4e-4 on jax and 9e-4 on torch, and 0 and 4e-6 with
        `jax.config.update("jax_default_matmul_precision", "highest")` and
        with `allow_tf32 = False` of `torch.backends.cudnn` and
        `torch.backends.cuda.matmul`. The report says which it was.

    Raises:
        ValueError: If there is no `PatchedPredictor`, no image, outputs are
            not stitched, the patch model takes one size only and cannot be
            rebuilt for others, or the tolerance is no number.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> image = keras_patching.data.read_image("field/new/new_0.jpg")
    >>> report = keras_patching.verify_tiling(model, [image])
    >>> report.largest_difference < 1e-3
    True
    >>> keras_patching.data.write_image("difference.png", report.picture())
    """
    if tolerance is not None:
        check_tolerance(tolerance)
    check_no_batches(images, "images")
    if getattr(predictor, "normalize", None) is not None:
        for image in images:
            check_prepared(image, predictor._preparation, f"'{predictor.name}'")
    predictor = find_predictor(predictor)
    wholes = _predict_whole(predictor, images)
    report = _verify(predictor, images, wholes)
    if tolerance is None:
        return report
    patch_size = predictor.predict_patch_size or predictor.patch_size
    search = _search(predictor, images, wholes, tolerance, patch_size)
    return dataclasses.replace(report, search=search)


def find_smallest_overlap(model, image, tolerance, patch_size=None):
    """Find the smallest overlap that differs little from a whole image.

    Args:
        model, tolerance: As for `verify_tiling`.
        image: Array `(height, width, channels)`.
        patch_size: Size of the smallest patches, a pair in which one may be
            `None`, or one integer; `None` takes those that the model predicts
            with.

    Returns:
        `OverlapSearch`.
    """
    check_tolerance(tolerance)
    predictor = find_predictor(model)
    if patch_size is None:
        patch_size = predictor.predict_patch_size or predictor.patch_size
    patch_size = as_patch_size(patch_size, "patch_size")
    wholes = _predict_whole(predictor, image[None])
    return _search(predictor, image[None], wholes, tolerance, patch_size)


def _search(own, images, wholes, tolerance, patch_size):
    y_axis, x_axis, _ = axes_of(own)
    shapes = [np.shape(image) for image in images]
    sizes = [(shape[y_axis - 1], shape[x_axis - 1]) for shape in shapes]

    def try_overlap(overlap, larger):
        predictor = own.with_tiling(**another_tiling(own, overlap, larger))
        report = _verify(predictor, images, wholes)
        return TriedOverlap(
            overlap,
            larger,
            max(map(predictor.recomputation, sizes)),
            report.largest_difference,
        )

    candidates = possible_overlaps(
        tuple(map(max, zip(*sizes, strict=True))),
        patch_size,
        find_multiple_of(own),
        takes_any_size(own.layer, own.data_format),
    )
    return search_overlaps(try_overlap, list(candidates), tolerance)


def _predict_whole(predictor, images):
    """Return for each image what the patch model gives for all of it."""
    channels = _check_images(predictor, images)
    model = _Called(_any_size(predictor, channels))
    multiple_of = find_multiple_of(predictor)
    with weights_kept(model):
        return [
            model.predict(
                fill_up(_pad(np.asarray(image)[None], predictor, multiple_of)),
                verbose=0,
            )
            for image in images
        ]


def _verify(predictor, images, wholes):
    """Compare the images with their wholes, and report the worst."""
    _check_images(predictor, images)
    model = _Called(predictor)
    reports = [
        _compare(predictor, model, whole, np.asarray(image), index)
        for index, (image, whole) in enumerate(zip(images, wholes, strict=True))
    ]
    return max(reports, key=lambda report: _rank(report.largest_difference))


def find_predictor(model):
    """Return the one `PatchedPredictor` that a model has, or is.

    Raises:
        ValueError: If there is none, or there are several.
    """
    if isinstance(model, PatchedPredictor):
        return model
    found = [
        layer
        for layer in getattr(model, "layers", ())
        if isinstance(layer, PatchedPredictor)
    ]
    if len(found) != 1:
        raise ValueError(
            "Tiling is verified of a PatchedPredictor, a PatchedModel, or a "
            f"Keras model with one PatchedPredictor. Received: {model!r} "
            f"with {len(found)}"
        )
    before = [
        layer.name
        for layer in model.layers[: model.layers.index(found[0])]
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    if before:
        raise ValueError(
            f"Layers of '{model.name}' come before its PatchedPredictor: "
            f"{', '.join(before)}. Verify `model.get_layer("
            f"'{found[0].name}')` with images as it receives them."
        )
    return found[0]


def _check_images(predictor, images):
    """Return the number of channels, or refuse what would fail later."""
    if not len(images):
        raise ValueError("There are no images to verify. Received: images=[]")
    shapes = [np.shape(image) for image in images]
    axis = axes_of(predictor)[2] - 1
    if {len(shape) for shape in shapes} != {3} or any(
        shape[axis] != shapes[0][axis] for shape in shapes
    ):
        raise ValueError(
            "Images must be a batch, or a list, of arrays (height, width, "
            "channels), all with as many channels. Received: images of shape "
            f"{shapes}"
        )
    return shapes[0][axis]


def _rank(difference):
    return math.inf if math.isnan(difference) else difference


def axes_of(predictor):
    """Give the axes of height, width and channels in a batch of images."""
    if predictor.data_format == "channels_first":
        return 2, 3, 1
    return 1, 2, 3


class _Called(keras.Model):
    """Wraps a layer for `predict`, which compiles it and keeps no gradients.

    It is called for images of known size only, unlike a functional model: what
    calculates with sizes needs that.
    """

    def __init__(self, layer):
        super().__init__(name="verified")
        self.layer = layer

    def call(self, images):
        return self.layer(images)


def _image_shape(predictor, channels):
    shape = [None] * 3
    shape[axes_of(predictor)[2] - 1] = channels
    return tuple(shape)


def _any_size(predictor, channels):
    """Return the patch model, for images of any size, with its weights."""
    patch_model = predictor.inference_layer()
    shape = getattr(patch_model, "input_shape", None)
    if not isinstance(shape, tuple) or shape.count(None) >= 3:
        return patch_model
    try:
        rebuilt = keras.models.clone_model(
            patch_model,
            input_tensors=keras.Input(_image_shape(predictor, channels)),
        )
        rebuilt.set_weights(patch_model.get_weights())
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The patch model '{patch_model.name}' takes images of {shape} "
            "only, and cannot be rebuilt for whole images: "
            f"{str(error).splitlines()[0]} Build it with `keras.Input((None, "
            "None, channels))`."
        ) from error
    return rebuilt


def _compare(predictor, model, whole, image, index):
    """Predict one image in tiles and find the largest difference."""
    y_axis, x_axis, channel_axis = axes_of(predictor)
    size = image.shape[y_axis - 1], image.shape[x_axis - 1]
    with weights_kept(model):
        tiled = model.predict(fill_up(image[None]), verbose=0)
    differences = [
        _difference(predictor, *outputs)
        for outputs in zip(
            keras.tree.flatten(tiled), keras.tree.flatten(whole), strict=True
        )
    ]
    largest = [float(difference.max()) for difference in differences]
    stream = predictor.row_stream(size)
    worst = max(range(len(largest)), key=lambda i: _rank(largest[i]))
    return TilingReport(
        largest_difference=largest[worst],
        image_index=index,
        output_index=worst,
        position=_position(differences[worst], size),
        image=np.moveaxis(image, channel_axis - 1, -1),
        difference=differences[worst],
        grid=predictor.patch_grid(size),
        precision=describe_precision(predictor),
        rows=None if stream is None else stream.rows,
    )


def _difference(predictor, tiled, whole):
    """Largest difference over the channels, of the one image of a batch."""
    y_axis, x_axis, channel_axis = axes_of(predictor)
    if tiled.ndim != 4 or whole.ndim != 4:
        raise ValueError(
            f"'{predictor.layer.name}' gives outputs that are not stitched, "
            "and so have no whole image to be compared with. Received: "
            f"outputs of shape {tiled.shape} and {whole.shape}"
        )
    whole = np.take(whole, range(tiled.shape[y_axis]), axis=y_axis)
    whole = np.take(whole, range(tiled.shape[x_axis]), axis=x_axis)
    return np.abs(tiled.astype("float64") - whole).max(channel_axis)[0]


def _position(difference, size):
    """Where it is largest, in pixels of the image."""
    at = np.unravel_index(np.argmax(difference), difference.shape)
    y, x = (
        int(place) * length // scaled
        for place, length, scaled in zip(
            at, size, difference.shape, strict=True
        )
    )
    return y, x


def _pad(images, predictor, stride):
    padding = [(0, 0)] * 4
    for axis, multiple in zip(axes_of(predictor), stride, strict=False):
        padding[axis] = (0, -images.shape[axis] % multiple)
    if predictor.pad_mode != "constant":
        return np.pad(images, padding, predictor.pad_mode)
    return np.pad(images, padding, constant_values=predictor.pad_value)
