"""Is the tiled prediction that of the whole image? Measured, not derived."""

import dataclasses
import math

import keras
import numpy as np

from keras_patching.geometry import PatchGrid, as_patch_size
from keras_patching.inference.precision import describe_precision
from keras_patching.layers.patched_predictor import PatchedPredictor
from keras_patching.models.devices import fill_up
from keras_patching.models.kept_weights import weights_kept
from keras_patching.receptive_fields.automatic_overlap import (
    another_tiling,
    find_multiple_of,
)
from keras_patching.visualization import show_heatmap, side_by_side, to_uint8

# Differences that pictures show, from black to white.
_SHOWN = (1e-7, 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class TilingReport:
    """Where and how far tiled prediction differs from that of whole images.

    Attributes:
        largest_difference: The largest absolute difference of any pixel,
            channel and output, over all images, in units of the patch model's
            output; NaN if there is one.
        image_index: Which image it is in.
        output_index: Which output of the patch model it is in (0, if there is
            one).
        position: `(y, x)` in pixels of that image.
        image: That image, `(height, width, channels)`.
        difference: `(height, width)` of that output: its largest absolute
            difference over the channels.
        grid: The `PatchGrid` of that image.
        precision: What both were computed in, and where, as in `"float32 on
            cpu (jax)"`.
    """

    largest_difference: float
    image_index: int
    output_index: int
    position: tuple[int, int]
    image: np.ndarray
    difference: np.ndarray
    grid: PatchGrid
    precision: str = ""

    def __str__(self):
        return (
            f"largest difference {self.largest_difference:.1e} at (y, x) = "
            f"{self.position} of image {self.image_index}, in {self.grid.rows} "
            f"x {self.grid.cols} patches of {self.grid.patch_size}"
            + (f", in {self.precision}" if self.precision else "")
        )

    def picture(self, height=None, value_range=None):
        """Draw the image beside the difference.

        Args:
            height: Height of both in pixels; by default that of the smaller.
            value_range: Values that are black and white in the image, as for
                `visualization.to_uint8`.

        Returns:
            uint8 `(height, width, 3)`. The difference is shown on a scale of
            powers of ten, 1e-7 and less in black, 1 and more in white.
        """
        lowest, highest = np.log10(_SHOWN)
        with np.errstate(divide="ignore"):
            size = np.log10(self.difference)
        caption = (
            f"difference, at most {self.largest_difference:.1e} "
            f"(black {_SHOWN[0]:g}, white {_SHOWN[1]:g})"
        )
        panels = {
            "image": to_uint8(self.image, value_range),
            caption: show_heatmap(
                np.nan_to_num(size - lowest, nan=np.inf, neginf=0),
                highest - lowest,
            ),
        }
        return side_by_side(panels, height)


def verify_tiling(predictor, images):
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
            values that the patch model takes.

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
            not stitched, or the patch model takes one size only and cannot
            be rebuilt for others.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> image = keras_patching.data.read_image("field/new/new_0.jpg")
    >>> report = keras_patching.verify_tiling(model, [image])
    >>> report.largest_difference < 1e-3
    True
    >>> keras_patching.data.write_image("difference.png", report.picture())
    """
    predictor = find_predictor(predictor)
    channels = _check_images(predictor, images)
    tiled_model = _model_of(predictor, predictor, channels)
    whole_model = _model_of(predictor, _any_size(predictor, channels), channels)
    reports = [
        _compare(predictor, tiled_model, whole_model, np.asarray(image), index)
        for index, image in enumerate(images)
    ]
    return max(reports, key=lambda report: _rank(report.largest_difference))


def compare_overlaps(model, image, overlaps=None, patch_size=None):
    """Verify several overlaps on one image.

    Args:
        model: As for `verify_tiling`.
        image: Array `(height, width, channels)`.
        overlaps: Iterable of what `PatchedPredictor` takes as `overlap`;
            `None` takes 0, a quarter of the patch, the model's own tiling,
            and `"auto"`; what is impossible or the same is left out.
        patch_size: Size of the patches, a pair in which one may be `None`, or
            one integer; `None` takes those that the model predicts with.

    Yields:
        For each overlap a `PatchedPredictor` and its `TilingReport`.
    """
    own = find_predictor(model)
    if own.patch_size is None or not own.stitch:
        raise ValueError(
            "Tiling is verified of stitched images, by a model with a patch "
            f"size. Received: patch_size={own.patch_size}, "
            f"stitch={own.stitch}. (The patches of a detector are merged.)"
        )
    if overlaps is None:
        predictors = _usual_tilings(own, image.shape, patch_size)
    else:
        predictors = (
            _with_tiling(own, overlap, patch_size) for overlap in overlaps
        )
    for predictor in predictors:
        yield predictor, verify_tiling(predictor, image[None])


def _usual_tilings(own, image_shape, patch_size):
    """Yield the tilings that a model's user may ask of, each once."""
    usual = own.predict_patch_size or own.patch_size
    lengths = as_patch_size(
        usual if patch_size is None else patch_size, "patch_size"
    )
    quarter = min(filter(None, (*lengths, *own.patch_size))) // 4
    done = []

    def is_new(predictor):
        done.append(_cuts(predictor, image_shape))
        return done[-1] not in done[:-1]

    for overlap in (0, quarter):
        try:
            predictor = _with_tiling(own, overlap, patch_size)
        except ValueError:
            continue  # Of patches that are a stride long.
        if is_new(predictor):
            yield predictor
    if patch_size is None and is_new(own):
        yield own
    predictor = _with_tiling(own, "auto", patch_size)
    if is_new(predictor):
        yield predictor


def _with_tiling(own, overlap, patch_size):
    return own.with_tiling(**another_tiling(own, overlap, patch_size))


def _cuts(predictor, image_shape):
    """Tell where an image is cut and stitched, and how."""
    y, x, _ = _axes(predictor)
    grid = predictor.patch_grid((image_shape[y - 1], image_shape[x - 1]))
    borders = [
        [axis.border(index) for index in range(axis.count)]
        for axis in (grid.y_axis, grid.x_axis)
    ]
    return grid.patch_size, grid.origins, borders, predictor.blend


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
    axis = _axes(predictor)[2] - 1
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


def _axes(predictor):
    """Axes of height, width and channels in a batch of images."""
    if predictor.data_format == "channels_first":
        return 2, 3, 1
    return 1, 2, 3


def _model_of(predictor, layer, channels):
    """Wrap a layer for `predict`, which compiles it and keeps no gradients."""
    inputs = keras.Input(_image_shape(predictor, channels))
    return keras.Model(inputs, layer(inputs))


def _image_shape(predictor, channels):
    shape = [None] * 3
    shape[_axes(predictor)[2] - 1] = channels
    return tuple(shape)


def _any_size(predictor, channels):
    """Return the patch model, for images of any size, with its weights."""
    patch_model = predictor.layer
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


def _compare(predictor, tiled_model, whole_model, image, index):
    """Predict one image both ways and find the largest difference."""
    y_axis, x_axis, channel_axis = _axes(predictor)
    size = image.shape[y_axis - 1], image.shape[x_axis - 1]
    padded = _pad(image[None], predictor, find_multiple_of(predictor))
    with weights_kept(tiled_model), weights_kept(whole_model):
        tiled = tiled_model.predict(fill_up(image[None]), verbose=0)
        whole = whole_model.predict(fill_up(padded), verbose=0)
    differences = [
        _difference(predictor, *outputs)
        for outputs in zip(
            keras.tree.flatten(tiled), keras.tree.flatten(whole), strict=True
        )
    ]
    largest = [float(difference.max()) for difference in differences]
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
    )


def _difference(predictor, tiled, whole):
    """Largest difference over the channels, of the one image of a batch."""
    y_axis, x_axis, channel_axis = _axes(predictor)
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
    for axis, multiple in zip(_axes(predictor), stride, strict=False):
        padding[axis] = (0, -images.shape[axis] % multiple)
    return np.pad(images, padding, constant_values=predictor.pad_value)
