"""Patches of an image, one after the other, to bands of it, in numpy."""

import numpy as np

from keras_patching.ops.patches import (
    ScaledAxis,
    check_stitching,
    gaussian_weights,
)


class BandStitcher:
    """Stitches the patches of one image and gives rows once they are final.

    Together, the bands are what `ops.patches.stitch_patches` gives of all the
    patches: the same with `"crop"`, to 1e-6 with the others. It keeps about one
    row of patches of the output, and with a blend what reaches below it.

    Args:
        grid: `PatchGrid` of the image; its numbers are integers.
        scale: `(numerator, denominator)`: pixels of a patch here per pixel of
            a patch of the grid, along each axis.
        blend: `"crop"`, `"mean"` or `"gaussian"`, as for `stitch_patches`.
    """

    def __init__(self, grid, scale, blend):
        self._options = blend, grid, scale
        self._rows = _Joints(grid.y_axis, scale, blend)
        self._columns = _Joints(grid.x_axis, scale, blend)
        self._row, self._column = 0, 0
        # The row of patches that is being put together; None between two.
        self._strip = None
        # With a blend: sums of rows that the next row of patches adds to.
        self._rest = None

    def add(self, patch):
        """Take the next patch.

        Args:
            patch: Array `(height, width, ...)`, a patch at the scale: that
                which is next in row-major order.

        Returns:
            List of arrays `(rows, width, ...)` of the dtype of the patch: the
            rows of the image that are final now, and were not before, from the
            top down, cropped to the image's width and height at the scale.

        Raises:
            ValueError: If origins of patches fall between two pixels at this
                scale, or `blend` has to average integers.
        """
        if self._strip is None:
            check_stitching(*self._options, patch.dtype.name)
            self._strip = self._new_strip(patch)
        part = patch[self._rows.taken(self._row)]
        self._columns.put(self._strip, part, self._column)
        self._column += 1
        if self._column < self._columns.count:
            return []
        band = self._finish_row(patch.dtype)
        self._row, self._column, self._strip = self._row + 1, 0, None
        return [band]

    def _new_strip(self, patch):
        rows = self._rows.pixels(self._row)
        shape = rows.stop - rows.start, self._columns.length, *patch.shape[2:]
        if self._columns.is_blended:
            return np.zeros(shape, _sums_of(patch.dtype))
        return np.empty(shape, patch.dtype)

    def _finish_row(self, dtype):
        # Narrow dtypes are rounded after each axis, as `stitch_patches` does.
        strip = self._strip.astype(dtype, copy=False)
        if not self._rows.is_blended:
            return strip
        total = strip.astype(_sums_of(dtype), copy=False)
        total *= self._rows.share(self._row, 0, total.ndim)
        if self._rest is not None:
            total[: len(self._rest)] += self._rest
        done = self._rows.num_final(self._row)
        self._rest = total[done:].copy()
        return total[:done].astype(dtype, copy=False)


class _Joints:
    """What each patch along one axis gives to which pixels of the image."""

    def __init__(self, axis, scale, blend):
        scaled = ScaledAxis(axis, scale)
        self.length, self.count = scaled.length, axis.count
        self.is_blended = blend != "crop" and axis.overlap > 0
        self._origins = [scaled.origin(index) for index in range(self.count)]
        if self.is_blended:
            self._starts = [*self._origins, self.length]
            ends = [origin + scaled.patch for origin in self._origins]
            self._stops = [min(end, self.length) for end in ends]
            self._weights = _weights(scaled.patch, blend)
            self._totals = self._sum_weights()
        else:
            borders = [scaled.border(index) for index in range(self.count)]
            self._starts = [*borders, self.length]
            self._stops = self._starts[1:]

    def _sum_weights(self):
        totals = np.zeros(self.length, "float32")
        for index in range(self.count):
            totals[self.pixels(index)] += self._weights[self.taken(index)]
        return totals

    def pixels(self, index):
        """Pixels of the image that patch `index` gives something to."""
        return slice(self._starts[index], self._stops[index])

    def taken(self, index):
        """Give the same pixels by their numbers in the patch."""
        origin = self._origins[index]
        return slice(self._starts[index] - origin, self._stops[index] - origin)

    def num_final(self, index):
        """How many of them no later patch gives something to."""
        return self._starts[index + 1] - self._starts[index]

    def share(self, index, axis, rank):
        """Weights of a patch in the mean, along an axis of arrays of a rank."""
        pixels = self.pixels(index)
        share = self._weights[self.taken(index)] / self._totals[pixels]
        return share.reshape([-1 if i == axis else 1 for i in range(rank)])

    def put(self, strip, patch, index):
        """Add rows of a patch to those of a strip, along its axis 1."""
        pixels, held = self.pixels(index), patch[:, self.taken(index)]
        if self.is_blended:
            strip[:, pixels] += held * self.share(index, 1, patch.ndim)
        else:
            strip[:, pixels] = held


def _weights(patch, blend):
    if blend == "mean":
        return np.ones(patch, "float32")
    return gaussian_weights(np.arange(patch, dtype="float32"), patch, np.exp)


def _sums_of(dtype):
    """Give the dtype that values are added up in."""
    return np.result_type(dtype, np.float32)
