"""Writing patches, one after the other, into the images that they make.

So all patches of large images never exist at once. What is written is what
`stitch_patches` makes of all of them. jax changes nothing in place but what
its loops carry on, torch what is there: each has a class of its own.
"""

from keras import backend, ops

from keras_patching.ops.lengths import minimum
from keras_patching.ops.patches import ScaledAxis, check_stitching


class _PatchWriter:
    def __init__(self, grid, scale, blend, dtype):
        check_stitching(blend, grid, scale, dtype)
        self._y = ScaledAxis(grid.y_axis, scale)
        self._x = ScaledAxis(grid.x_axis, scale)
        self._grid, self._blend, self._dtype = grid, blend, dtype
        # Where patches share no pixel there is nothing to average.
        self._averages = blend != "crop" and any(grid.overlap)
        self._dtype_within = dtype
        if self._averages:
            self._dtype_within = backend.result_type(dtype, "float32")

    def _outer(self, of_rows, of_cols):
        """Multiply weights of rows and columns."""
        return ops.cast(of_rows[:, None] * of_cols, self._dtype_within)


class CarriedWriter(_PatchWriter):
    """Writes in a loop of jax, which carries the images on.

    Args:
        grid: `PatchGrid` of the images.
        scale, blend: As for `stitch_patches`.
        dtype: That of the patches.

    Raises:
        ValueError: As `stitch_patches`.
    """

    def __init__(self, grid, scale, blend, dtype):
        super().__init__(grid, scale, blend, dtype)
        if self._averages:
            of_rows, of_cols = self._y.weights(blend), self._x.weights(blend)
            self._weights = self._outer(of_rows, of_cols)[..., None]

    def blank(self, batch, channels):
        """Make images `(batch, height, width, channels)` to write into."""
        shape = batch, self._y.length, self._x.length, channels
        return ops.zeros(shape, self._dtype_within)

    def write(self, images, patches, image_numbers, indices, are_new):
        """Write patches over those before, or add them to those.

        Args:
            images: Tensor `(batch, height, width, channels)`.
            patches: Tensor `(n, patch height, patch width, channels)`, where
                `n` is an integer; in the order of images and of the grid.
            image_numbers, indices: Integer tensors `(n,)`: the image of each
                and its row-major number.
            are_new: Booleans `(n,)`: whether each is not written again.

        Returns:
            Tensor of the shape of the images.
        """
        # Of images in another float than the patch model's, a layer may
        # return what its spec does not say.
        patches = ops.cast(patches, images.dtype)
        rows, cols = indices // self._grid.cols, indices % self._grid.cols

        def write_one(i, images):
            place = image_numbers[i], rows[i], cols[i]
            return self._write_one(images, patches[i], place, are_new[i])

        return ops.fori_loop(0, patches.shape[0], write_one, images)

    def _write_one(self, images, patch, place, is_new):
        image, row, col = place
        rows = _Window(self._y, row, self._averages)
        cols = _Window(self._x, col, self._averages)
        start = image, rows.start, cols.start, 0
        shape = 1, rows.length, cols.length, images.shape[3]
        before = ops.slice(images, start, shape)
        if self._averages:
            patch = patch * self._weights
        patch = cols.shift(rows.shift(patch, 0), 1)[None]
        is_inside = rows.is_inside[:, None, None] & cols.is_inside[:, None]
        if self._averages:
            patch = before + ops.where(is_inside & is_new, patch, 0)
        else:
            patch = ops.where(is_inside, patch, before)
        return ops.slice_update(images, start, patch)

    def finish(self, images):
        """Make the images of what all patches were written into."""
        if self._averages:
            # By their product, which is as large as an image, it would be
            # made before.
            of_rows, of_cols = (
                ops.cast(axis.total_weights(self._blend), images.dtype)
                for axis in (self._y, self._x)
            )
            images = images / of_rows[:, None, None] / of_cols[:, None]
        return ops.cast(images, self._dtype)


class _Window:
    """Where a patch is written along one axis of images.

    Padding is not written: the last window ends with the images, and may
    begin before its patch.
    """

    def __init__(self, axis, index, is_whole):
        self._is_padded = axis.is_padded
        self.start = origin = axis.origin(index)
        self.length = axis.patch
        if axis.is_padded:
            self.length = minimum(axis.length, axis.patch)
            self.start = ops.minimum(origin, axis.length - self.length)
        pixels = self.start + ops.arange(self.length, dtype="int32")
        self.is_inside = pixels >= (origin if is_whole else axis.border(index))
        self._pixels_of_patch = ops.maximum(pixels - origin, 0)

    def shift(self, patch, axis):
        """Move a patch along one of its axes to where it is in the window."""
        if not self._is_padded:
            return patch
        return ops.take(patch, self._pixels_of_patch, axis=axis)


class InPlaceWriter(_PatchWriter):
    """Writes into a tensor of torch.

    It works fast along what is innermost in memory, if that is long. In
    patches that are either the channels, which are few, or the columns. So
    they are seen as planes of rows of numbers, one plane of all channels or
    one of each, and the images are laid out like them.

    Args:
        batch: Number of images.
        patches: Some of the patches, `(n, patch height, patch width,
            channels)`.
        grid: `PatchGrid` of the images.
        scale, blend: As for `stitch_patches`.

    Raises:
        ValueError: As `stitch_patches`.
    """

    def __init__(self, batch, patches, grid, scale, blend):
        dtype = backend.standardize_dtype(patches.dtype)
        super().__init__(grid, scale, blend, dtype)
        columns_are_last = ops.moveaxis(patches, 3, 1).is_contiguous()
        self._numbers = 1 if columns_are_last else patches.shape[3]
        num_planes = patches.shape[3] // self._numbers
        length = self._x.length * self._numbers
        shape = batch, num_planes, self._y.length, length
        self._planes = ops.zeros(shape, self._dtype_within)
        if self._averages:
            of_cols = ops.repeat(self._x.weights(blend), self._numbers)
            self._weights = self._outer(self._y.weights(blend), of_cols)

    def write(self, patches, places):
        """Write patches over those before, or add them to those.

        Args:
            patches: Tensor `(n, patch height, patch width, channels)`.
            places: For each the number of its image and its row-major number.
        """
        planes = self._as_planes(patches)
        for patch, (image, index) in zip(planes, places, strict=True):
            row, col = divmod(index, self._grid.cols)
            rows, rows_within = self._slices(self._y, row, self._grid.rows)
            cols, cols_within = self._slices(
                self._x, col, self._grid.cols, self._numbers
            )
            window = self._planes[image, :, rows, cols]
            patch = patch[:, rows_within, cols_within]
            if not self._averages:
                window[...] = patch
            elif self._blend == "mean":
                window += patch
            else:
                weights = self._weights[rows_within, cols_within]
                window.addcmul_(patch.to(window.dtype), weights)

    def finish(self):
        """Make the images, `(batch, height, width, channels)`."""
        planes, numbers = self._planes, self._numbers
        if self._averages:
            of_cols = self._x.total_weights(self._blend)
            planes /= self._y.total_weights(self._blend)[:, None]
            planes /= ops.repeat(of_cols, numbers)
        batch, num_planes, height, _ = planes.shape
        shape = batch, num_planes, height, self._x.length, numbers
        pixels = ops.moveaxis(ops.reshape(planes, shape), 1, 3)
        images = ops.reshape(pixels, (*pixels.shape[:3], num_planes * numbers))
        return ops.cast(images, self._dtype)

    def _as_planes(self, patches):
        if self._numbers == 1:
            return ops.moveaxis(patches, 3, 1)
        n, height, width, channels = patches.shape
        return ops.reshape(patches, (n, 1, height, width * channels))

    def _slices(self, axis, index, count, numbers=1):
        """Where to write a patch: of images, and of the patch itself."""
        origin = first = axis.origin(index)
        last = origin + axis.patch
        if not self._averages:
            first = axis.border(index)
            last = axis.border(index + 1) if index + 1 < count else last
        first, last = min(first, axis.length), min(last, axis.length)
        return (
            slice(first * numbers, last * numbers),
            slice((first - origin) * numbers, (last - origin) * numbers),
        )
