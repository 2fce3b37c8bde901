"""Patches of one image, of all outputs, put together as they come."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_patching.geometry import PatchGrid
from keras_patching.prediction.band_stitching import BandStitcher


@dataclasses.dataclass(frozen=True)
class PatchOfOutputs:
    """What a patch is in each output, and how patches are joined.

    Attributes:
        grid: `PatchGrid` of the image.
        specs: `keras.KerasTensor` of each output.
        scales: Of the outputs, see `PatchOutputs`; `None` of those that are
            not stitched.
        blend: As for `stitch_patches`.
    """

    grid: PatchGrid
    specs: list[Any]
    scales: tuple[Any, ...]
    blend: str

    def joiners(self):
        """Make what joins patches: `add(patch)` gives bands that are whole."""
        return [
            GridRows(self.grid.cols)
            if scale is None
            else BandStitcher(self.grid, scale, self.blend)
            for scale in self.scales
        ]

    def blanks(self):
        """Make arrays in the place of the outputs for a patch."""
        return [
            np.zeros(
                spec.shape[1:]
                if scale is None
                else (*self._size(scale), *spec.shape[3:]),
                keras.backend.standardize_dtype(spec.dtype),
            )
            for spec, scale in zip(self.specs, self.scales, strict=True)
        ]

    def flags(self, value):
        """Make a number of each pixel of the outputs for a patch."""
        return [
            np.full(
                () if scale is None else self._size(scale), value, "float32"
            )
            for scale in self.scales
        ]

    def _size(self, scale):
        numerator, denominator = scale
        return tuple(
            length * numerator // denominator for length in self.grid.patch_size
        )


class JoinedPatches:
    """Puts the patches of an image together and hands whole rows on.

    Pixels that a patch which is not run would have given something to are
    filled.

    Args:
        job: `ImageJob` that takes the rows; those it has already are not
            handed on.
        outputs: `PatchOfOutputs`.
        first_row: First row of the grid that is run; what those above make is
            there already.
        skips: Whether there may be patches that are not run.
        finish: Of bands, arrays `(rows, ...)` in a list with one of each
            output, where that is left to do after stitching.

    Attributes:
        job, outputs, first_row, skips: As given.
    """

    def __init__(self, job, outputs, first_row, skips, finish):
        self.job, self.outputs = job, outputs
        self.first_row, self.skips, self._finish = first_row, skips, finish
        # Of each output, how many rows have been made; `None`: not begun.
        self._rows = None
        self._count = 0

    def add(self, patches):
        """Take the outputs of the next patch, arrays without batch axis."""
        self._add(patches, is_run=True)

    def skip(self):
        """Take that the next patch is not run."""
        if hasattr(self.job.result, "leave_out"):
            if self._rows is None:
                self._begin()
            place = divmod(self._count, self.outputs.grid.cols)
            self.job.result.leave_out(*place)
        self._add(self.outputs.blanks(), is_run=False)

    def _add(self, patches, is_run):
        if self._rows is None:
            self._begin()
        bands, gaps = self._join(patches, is_run)
        if not bands[0]:
            return
        made = self._finish([band for (band,) in bands])
        for index, band in enumerate(made):
            self._hand_on(index, band, gaps[index])

    def _begin(self):
        self._joiners = self.outputs.joiners()
        # Of pixels, whether a patch is missing that gives something to them.
        self._gaps = self.outputs.joiners() if self.skips else []
        self._rows = [0] * len(self._joiners)
        for _ in range(self.first_row * self.outputs.grid.cols):
            # In the place of what is there already.
            bands, _ = self._join(self.outputs.blanks(), is_run=True)
            for index, made in enumerate(bands):
                self._rows[index] += sum(map(len, made))

    def _join(self, patches, is_run):
        """Join one more patch.

        Returns:
            For each output a list of the band that it makes whole, if any; and
            which pixels of that are to be filled, `None` for none.
        """
        self._count += 1
        bands = _add_each(self._joiners, patches)
        gaps = [None] * len(bands)
        if self.skips:
            found = _add_each(self._gaps, self.outputs.flags(not is_run))
            gaps = [each[0] > 0 if each else None for each in found]
        return bands, gaps

    def _hand_on(self, index, band, empty):
        """Hand the rows on that are not done yet."""
        missing = max(self.job.given(index) - self._rows[index], 0)
        self._rows[index] += len(band)
        if missing < len(band):
            empty = None if empty is None else empty[missing:]
            self.job.add(index, band[missing:], empty)


def _add_each(joiners, patches):
    return [
        joiner.add(patch)
        for joiner, patch in zip(joiners, patches, strict=True)
    ]


class GridRows:
    """Puts what is not stitched together, a row of the grid at a time.

    Args:
        cols: Patches of a row.
    """

    def __init__(self, cols):
        self._cols, self._row = cols, []

    def add(self, output):
        """Take the output of the next patch.

        Returns:
            List of rows of the grid that are whole: arrays `(1, cols, ...)`.
        """
        self._row.append(output)
        if len(self._row) < self._cols:
            return []
        row, self._row = np.stack(self._row)[None], []
        return [row]
