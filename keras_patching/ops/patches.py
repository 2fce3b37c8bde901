"""Cutting images into patches and putting patches together again.

Stateless functions on `keras.ops`, for every backend, inside and outside of a
graph, with static and with dynamic image sizes. Images are channels-last,
`(batch, height, width, channels)`; patches carry their place in the grid in
axes of their own, `(batch, rows, cols, height, width, channels)`.

Where patches lie is asked of `PatchGrid`, never computed here.
Keras's own extraction of patches is not used: it is a convolution with an
identity kernel, whose size is the fourth power of the patch's.
"""

import keras
import numpy as np
from keras import ops

from keras_patching.geometry import PatchGrid, pixel_for
from keras_patching.ops.lengths import maximum, minimum

_BLENDS = ("crop", "mean", "gaussian")

# The gaussian's standard deviation as a fraction of the patch, as in nnU-Net
# (Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z).
_GAUSSIAN_SIGMA = 1 / 8


def graph_grid(image_size, patch_size, overlap=0, multiple_of=1, shrink=False):
    """Return the grid of patches over images, in and outside of a graph.

    Args:
        image_size: `(height, width)` as of `ops.shape`: integers, or sizes
            that the graph learns when it runs.
        patch_size, overlap, multiple_of, shrink: As for `PatchGrid`.

    Returns:
        A `PatchGrid`; its numbers are scalar tensors where sizes are dynamic.
    """
    return PatchGrid(
        image_size,
        patch_size,
        overlap,
        multiple_of,
        shrink=shrink,
        maximum=maximum,
        minimum=minimum,
    )


def pad_to_grid(images, grid, pad_value=0, pad_mode="constant"):
    """Pad images at the bottom and right to the padded size of their grid.

    Args:
        images: Tensor of shape `(batch, height, width, channels)`.
        grid: Their `PatchGrid`.
        pad_value: Value of the new pixels.
        pad_mode: One of `PAD_MODES`; others than "constant" copy pixels.

    Returns:
        Tensor of shape `(batch, *grid.padded_size, channels)`, of the same
        dtype, or of `keras.config.floatx()`, if integers cannot hold
        `pad_value`.
    """
    (height, width), (bottom, right) = grid.image_size, grid.padded_size
    if _is_same(height, bottom) and _is_same(width, right):
        return images
    if pad_mode != "constant":
        for axis, length, padded in ((1, height, bottom), (2, width, right)):
            if not _is_same(length, padded):
                pixels = _pixels_for(length, padded, pad_mode)
                images = ops.take(images, pixels, axis=axis)
        return images
    images = ops.cast(images, dtype_with(images.dtype, pad_value))
    padding = ((0, 0), (0, bottom - height), (0, right - width), (0, 0))
    return ops.pad(images, padding, constant_values=pad_value)


def _pixels_for(length, padded_length, pad_mode):
    return pixel_for(
        ops.arange(padded_length, dtype="int32"),
        length,
        pad_mode,
        maximum=maximum,
        minimum=ops.minimum,
    )


def extract_patches(padded_images, grid):
    """Cut images into all the patches of their grid.

    Args:
        padded_images: Tensor of shape `(batch, height, width, channels)`, as
            `pad_to_grid` returns it.
        grid: The `PatchGrid` of the images before padding.

    Returns:
        Tensor of shape `(batch, rows, cols, patch height, patch width,
        channels)`, of the dtype of the images.

    Example:

    >>> images = keras.random.uniform((1, 300, 200, 3))
    >>> grid = keras_patching.PatchGrid((300, 200), patch_size=128)
    >>> padded = pad_to_grid(images, grid)
    >>> tuple(extract_patches(padded, grid).shape)
    (1, 3, 2, 128, 128, 3)
    """
    tiles = padded_images
    patch_height, patch_width = grid.patch_size
    if grid.overlap[0]:
        tiles = ops.take(tiles, _tile_pixels(grid.y_axis), axis=1)
    if grid.overlap[1]:
        tiles = ops.take(tiles, _tile_pixels(grid.x_axis), axis=2)
    patches = ops.reshape(
        tiles,
        (
            ops.shape(tiles)[0],
            grid.rows,
            patch_height,
            grid.cols,
            patch_width,
            tiles.shape[-1],
        ),
    )
    return ops.transpose(patches, (0, 1, 3, 2, 4, 5))


def slice_patches(padded_images, grid, batch_indices, patch_indices):
    """Cut chosen patches only, so that all of them never exist at once.

    Args:
        padded_images: Tensor of shape `(batch, height, width, channels)`, as
            `pad_to_grid` returns it.
        grid: As for `extract_patches`.
        batch_indices: Integer tensor of shape `(n,)`: which image each patch
            is cut from.
        patch_indices: Integer tensor of shape `(n,)`: its row-major number.

    Returns:
        Tensor of shape `(n, patch height, patch width, channels)`.
    """
    rows = grid.y_axis.origin(patch_indices // grid.cols)
    cols = grid.x_axis.origin(patch_indices % grid.cols)
    size = (1, *grid.patch_size, padded_images.shape[-1])

    def cut(places):
        image, row, col = places
        return ops.slice(padded_images, (image, row, col, 0), size)

    count = batch_indices.shape[0]
    if isinstance(count, int):
        places = ((batch_indices[i], rows[i], cols[i]) for i in range(count))
        return ops.concatenate([cut(each) for each in places])
    patches = ops.map(cut, (batch_indices, rows, cols))
    return ops.reshape(patches, (-1, *size[1:]))


def stitch_patches(patches, grid, scale=(1, 1), blend="crop"):
    """Put patches together to whole images and crop the padding.

    Args:
        patches: Tensor of shape `(batch, rows, cols, patch height, patch
            width, channels)`: the patches of the grid, or what a model made
            of them at another scale.
        grid: `PatchGrid` of the images.
        scale: `(numerator, denominator)`: pixels of a patch here per pixel of
            a patch of the grid, along each axis.
        blend: `"crop"` (each pixel is taken from the patch that owns it),
            `"mean"` or `"gaussian"` (a weighted mean of all patches that hold
            it, accumulated in float32 where the dtype is narrower).

    Returns:
        Tensor of shape `(batch, height, width, channels)`, where height and
        width are those of the image times `scale`, rounded up, and the dtype
        is that of the patches.

    Raises:
        ValueError: If origins of patches fall between two pixels at this
            scale, or `blend` has to average integers.
    """
    batch, rows = ops.shape(patches)[:2]
    strips = stitch_columns(
        ops.reshape(patches, (-1, *ops.shape(patches)[2:])), grid, scale, blend
    )
    strips = ops.reshape(strips, (batch, rows, *ops.shape(strips)[1:]))
    return stitch_rows(strips, grid, scale, blend)


def stitch_columns(patches, grid, scale=(1, 1), blend="crop"):
    """Put the patches of one row together, as wide as the image.

    It is the first half of `stitch_patches`, so that rows can be stitched one
    after the other, and all patches never exist at once.

    Args:
        patches: Tensor of shape `(batch, cols, patch height, patch width,
            channels)`.
        grid, scale, blend: As for `stitch_patches`.

    Returns:
        Tensor of shape `(batch, patch height, width, channels)`.
    """
    check_stitching(blend, grid, scale, patches.dtype)
    batch, cols, height, width, channels = ops.shape(patches)
    strips = ops.reshape(
        ops.transpose(patches, (0, 2, 1, 3, 4)),
        (batch, height, cols * width, channels),
    )
    return _join(strips, grid.x_axis, scale, blend, axis=2)


def stitch_rows(strips, grid, scale=(1, 1), blend="crop"):
    """Put rows together that `stitch_columns` has made.

    Args:
        strips: Tensor of shape `(batch, rows, patch height, width, channels)`.
        grid, scale, blend: As for `stitch_patches`.

    Returns:
        Tensor of shape `(batch, height, width, channels)`.
    """
    batch, rows, height, width, channels = ops.shape(strips)
    images = ops.reshape(strips, (batch, rows * height, width, channels))
    return _join(images, grid.y_axis, scale, blend, axis=1)


def spatial_scale(output_shape, patch_size):
    """Return the scale of a patch model's output, or None if there is none.

    Args:
        output_shape: Static shape `(batch, height, width, channels)` of an
            output of a patch model; of any rank.
        patch_size: `(height, width)` of the patches that it was made from.

    Returns:
        `(k, 1)` or `(1, k)` when both axes are k times or 1/k of the patch,
        else None.
    """
    if len(output_shape) != 4 or None in output_shape[1:3]:
        return None
    (height, width), (patch_height, patch_width) = output_shape[1:3], patch_size
    if height * patch_width != width * patch_height:
        return None
    if height % patch_height == 0:
        return height // patch_height, 1
    if patch_height % height == 0:
        return 1, patch_height // height
    return None


def crop_to_image(images, image_size, scale=(1, 1)):
    """Crop the padding at the bottom and right off.

    Args:
        images: Tensor of shape `(batch, height, width, channels)`, at `scale`.
        image_size: `(height, width)` of the images before padding.
        scale: As for `stitch_patches`.

    Returns:
        Tensor of shape `(batch, *scaled size, channels)`.
    """
    height, width = (scaled_length(length, scale) for length in image_size)
    return images[:, :height, :width]


def scaled_length(length, scale):
    """Length of an image at a scale `(numerator, denominator)`, rounded up."""
    numerator, denominator = scale
    return (length * numerator + denominator - 1) // denominator


def check_blend(blend):
    """Refuse what patches cannot be stitched by.

    Raises:
        ValueError: Naming what they can be stitched by.
    """
    if blend not in _BLENDS:
        raise ValueError(
            f"`blend` must be one of {_BLENDS}. Received: blend={blend!r}"
        )


def check_stitching(blend, grid, scale, dtype):
    """Refuse what patches of a grid cannot be stitched by.

    Args:
        blend, grid, scale: As for `stitch_patches`.
        dtype: That of the patches.

    Raises:
        ValueError: As `stitch_patches`.
    """
    check_blend(blend)
    numerator, denominator = scale
    for axis in (grid.y_axis, grid.x_axis):
        unit = axis.unit if isinstance(axis.unit, int) else axis.multiple_of
        if unit * numerator % denominator:
            raise ValueError(
                f"Outputs at 1/{denominator} of the patch need origins that "
                f"are multiples of {denominator} pixels: pass "
                f"multiple_of={denominator}. Received: {grid}"
            )
    if blend != "crop" and not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            f'blend="{blend}" averages patches, which integers do not allow: '
            f'use blend="crop". Received outputs of dtype {dtype}'
        )


class ScaledAxis:
    """One axis of images that are stitched at a scale of their grid's.

    Args:
        axis: The axis of the `PatchGrid`.
        scale: `(numerator, denominator)`.

    Attributes:
        length, patch: Lengths of the images and of a patch.
        is_padded: Whether patches may reach beyond the images.
    """

    def __init__(self, axis, scale):
        self._axis, self._scale = axis, scale
        self.length = scaled_length(axis.length, scale)
        self.patch = self._scaled(axis.patch)
        padded_length = self._scaled(axis.padded_length)
        self.is_padded = not _is_same(self.length, padded_length)

    def _scaled(self, pixels):
        numerator, denominator = self._scale
        return pixels * numerator // denominator

    def origin(self, index):
        """First pixel of patch `index`."""
        return self._scaled(self._axis.origin(index))

    def border(self, index):
        """First pixel that patch `index` owns."""
        return self._scaled(self._axis.border(index))

    def origins(self):
        return self.origin(ops.arange(self._axis.count, dtype="int32"))

    def owners(self):
        """Give, for each pixel of the images, the patch that owns it."""
        borders = self.border(ops.arange(self._axis.count, dtype="int32"))
        return _count_not_above(borders, self._pixels()) - 1

    def holders(self):
        """Yield, one after the other, the patches that hold each pixel.

        Yields:
            Numbers of patches, and whether they are not those before.
        """
        origins, pixels = self.origins(), self._pixels()
        first = _count_not_above(origins + self.patch, pixels)
        last = _count_not_above(origins, pixels) - 1
        # The last patch is shifted inward: there one more than usual may be.
        for offset in range(self._axis.most_holders):
            yield ops.minimum(first + offset, last), first + offset <= last

    def pixels_in(self, patches):
        """Give, for each pixel of the images, which one of a patch it is."""
        return self._pixels() - ops.take(self.origins(), patches)

    def _pixels(self):
        return ops.arange(self.length, dtype="int32")

    def weights(self, blend):
        """Weight of each pixel of a patch; always positive, float32."""
        return self._weigh(ops.arange(self.patch, dtype="int32"), blend)

    def total_weights(self, blend):
        """Give, for each pixel of the images, the sum of all weights there."""
        total = 0.0
        for patches, are_new in self.holders():
            weights = self._weigh(self.pixels_in(patches), blend)
            total += ops.where(are_new, weights, 0.0)
        return total

    def _weigh(self, pixels, blend):
        pixels = ops.cast(pixels, "float32")
        if blend == "mean" or not self._axis.overlap:
            return ops.ones_like(pixels)
        patch = ops.cast(self.patch, "float32")
        return gaussian_weights(pixels, patch, ops.exp)


def gaussian_weights(pixels, patch, exp):
    """Weigh pixels of a patch, the more the closer to its middle.

    Args:
        pixels: Their numbers along an axis, a float32 array or tensor.
        patch: Length of the patch.
        exp: The exponential function of such arrays.
    """
    distance = (pixels - (patch - 1) / 2) / (patch * _GAUSSIAN_SIGMA)
    return exp(-0.5 * (distance * distance))


def _join(tiles, grid_axis, scale, blend, axis):
    """Reduce an axis from tiles side by side to the pixels of the image."""
    scaled = ScaledAxis(grid_axis, scale)
    if not grid_axis.overlap:
        # Tiles lie where they belong: only the padding is to be cropped.
        index = [slice(None)] * 4
        index[axis] = slice(scaled.length)
        return tiles[tuple(index)]
    if blend == "crop":
        owners = scaled.owners()
        pixels = owners * scaled.patch + scaled.pixels_in(owners)
        return ops.take(tiles, pixels, axis=axis)
    dtype = keras.backend.result_type(tiles.dtype, "float32")
    shape = [1] * 4
    shape[axis] = -1
    weights = scaled.weights(blend)
    total_weights = scaled.total_weights(blend)
    total = 0.0
    for patches, are_new in scaled.holders():
        pixels = scaled.pixels_in(patches)
        share = ops.take(weights, pixels) / total_weights
        share = ops.reshape(ops.where(are_new, share, 0.0), shape)
        held = ops.take(tiles, patches * scaled.patch + pixels, axis=axis)
        total += ops.cast(held, dtype) * ops.cast(share, dtype)
    return ops.cast(total, tiles.dtype)


def _tile_pixels(axis):
    """Pixels of the padded image that all tiles along an axis hold."""
    origins = axis.origin(ops.arange(axis.count, dtype="int32"))
    pixels = ops.arange(axis.patch, dtype="int32")
    return ops.reshape(origins[:, None] + pixels[None, :], (-1,))


def _count_not_above(thresholds, values):
    """For each value, how many thresholds are at most that value."""
    return ops.sum(
        ops.cast(thresholds[None, :] <= values[:, None], "int32"), axis=1
    )


def dtype_with(dtype, value):
    """Return a dtype, or `keras.config.floatx()` if it does not hold a value.

    Args:
        dtype: Of the images that are padded.
        value: Number that they are padded with.
    """
    dtype = keras.backend.standardize_dtype(dtype)
    if "int" in dtype:
        limits = np.iinfo(dtype)
        holds = value == int(value) and limits.min <= value <= limits.max
    else:
        holds = dtype != "bool" or value in (0, 1)
    return dtype if holds else keras.config.floatx()


def _is_same(first, second):
    return isinstance(first, int) and first == second
