"""What a verification of tiling found, as numbers and as a picture."""

import dataclasses

import numpy as np

from keras_patching.geometry import PatchGrid
from keras_patching.inference.overlap_search import OverlapSearch
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
        search: `OverlapSearch`: the smallest overlap for a tolerance, and all
            that were tried; `None` if no tolerance was given.
        rows: Rows of a step where rows are streamed, in the strips of `grid`;
            else `None`.
    """

    largest_difference: float
    image_index: int
    output_index: int
    position: tuple[int, int]
    image: np.ndarray
    difference: np.ndarray
    grid: PatchGrid
    precision: str = ""
    search: OverlapSearch | None = None
    rows: int | None = None

    def __str__(self):
        return (
            f"largest difference {self.largest_difference:.1e} at (y, x) = "
            f"{self.position} of image {self.image_index}, {self._how}"
            + (f", in {self.precision}" if self.precision else "")
            + (f"; {self.search}" if self.search else "")
        )

    @property
    def _how(self):
        if self.rows is not None:
            return f"in a stream of {self.rows} rows a step"
        rows, cols = self.grid.rows, self.grid.cols
        return f"in {rows} x {cols} patches of {self.grid.patch_size}"

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
