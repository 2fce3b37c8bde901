"""Which rows of each tensor a net can make from the rows it has seen so far.

An image goes through a net in bands of rows, from the top. A layer that looks
down can make its rows only when those below have come: it lags behind. One
that looks up keeps the last rows of its input until the next band. This module
says by how much, in integers and without keras; `axes` says it of cuts, by the
same rules of layers.

After step k, which brings the rows `k * n` to `(k + 1) * n` of an input of `n`
rows a step, a tensor of lag L and m rows a step is made from row `k * m - L`
to `(k + 1) * m - L`. Rows outside of a tensor are made too, and mean nothing.
"""

import dataclasses
from fractions import Fraction

from keras_patching.receptive_fields.axes import (
    reach_of_enlarging,
    transposed_geometry,
    window_geometry,
)


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a layer reads its input in a step: what it keeps, what it makes.

    Attributes:
        kept: Rows of the input kept from the steps before. Less than none
            leaves some of the rows of the step out.
        taken: How many rows, the kept ones first, the layer is run on.
        skipped: How many of the first rows that it makes are left out.
        before, after: Padding of the whole tensor that the rows stand in for.
    """

    kept: int
    taken: int
    skipped: int = 0
    before: int = 0
    after: int = 0


@dataclasses.dataclass(frozen=True)
class RowAxis:
    """The rows of a tensor, a band at a time.

    Attributes:
        rows: Rows that a step makes.
        scale: Input rows per row.
        lag: How many rows it is behind.
        length: N / scale + length is the number of its rows, where N is the
            height of the image, a multiple of all strides together.
        reading: `Reading` of the layer that made it; `None` of the input.
    """

    rows: int
    scale: Fraction = Fraction(1)
    lag: int = 0
    length: int = 0
    reading: Reading | None = None

    def index_of(self, pixel):
        """Return the index of a pixel of the image, at a whole one."""
        return pixel * self.scale.denominator // self.scale.numerator

    def length_of(self, pixels):
        """Return how many there are for an image of so many pixels."""
        return self.index_of(pixels) + self.length

    def window(self, kernel, stride, dilation, padding):
        """See `FieldAxis.window`."""
        reach, before, after, length = window_geometry(
            self.length, kernel, stride, dilation, padding
        )
        if self.rows % stride:
            raise ValueError(
                f"A band of {self.rows} rows cannot be strided by {stride}: "
                "rows per step must be a multiple of all strides together."
            )
        rows = self.rows // stride
        # The last window of a step ends in the last row there is.
        lag = max(-((before - reach - self.lag) // stride) - 1, 0)
        return RowAxis(
            rows=rows,
            scale=self.scale * stride,
            lag=lag,
            length=length,
            reading=Reading(
                kept=lag * stride + before - self.lag,
                taken=(rows - 1) * stride + reach,
                before=before,
                after=after,
            ),
        )

    def transposed_window(
        self, kernel, stride, dilation, padding, output_padding
    ):
        """See `FieldAxis.transposed_window`."""
        reach, before, length = transposed_geometry(
            self.length, kernel, stride, dilation, padding, output_padding
        )
        kept = (reach - 1) // stride
        return RowAxis(
            rows=self.rows * stride,
            scale=self.scale / stride,
            lag=self.lag * stride + before,
            length=length,
            reading=Reading(
                kept=kept,
                taken=kept + self.rows,
                skipped=kept * stride,
                before=before,
            ),
        )

    def enlarge(self, factor, radius):
        """See `FieldAxis.enlarge`."""
        first, last = reach_of_enlarging(factor, radius)
        kept = (last - first) // factor
        return RowAxis(
            rows=self.rows * factor,
            scale=self.scale / factor,
            lag=self.lag * factor - first,
            length=self.length * factor,
            reading=Reading(kept=kept, taken=kept + self.rows),
        )

    def pad(self, before, after):
        """See `FieldAxis.pad`."""
        lag = max(self.lag - before, 0)
        return dataclasses.replace(
            self,
            lag=lag,
            length=self.length + before + after,
            reading=Reading(
                kept=lag + before - self.lag,
                taken=self.rows,
                before=before,
                after=after,
            ),
        )

    def mirror(self, before, after):
        """See `FieldAxis.mirror`.

        The rows above the first are like those up to `before` below it: these
        must have come. Those below the last are like some above it.
        """
        return dataclasses.replace(
            self,
            lag=self.lag + before,
            length=self.length + before + after,
            reading=Reading(
                kept=2 * (before + after),
                taken=self.rows + 2 * (before + after),
                before=before,
                after=after,
            ),
        )

    def reverse(self):
        """See `FieldAxis.reverse`; of columns only, which have no `rows`."""
        if self.rows:
            raise ValueError(
                "Rows come from the top, and cannot be streamed where an image "
                "is mirrored top-down or turned."
            )
        return dataclasses.replace(self, reading=None)

    def across(self):
        """See `FieldAxis.across`, which no stream does."""
        raise ValueError(
            "Rows cannot be streamed where an image is turned: they become "
            "columns."
        )

    def merge(self, other):
        """See `FieldAxis.merge`; the one that is ahead waits for the other."""
        return dataclasses.replace(
            self, lag=max(self.lag, other.lag), reading=None
        )
