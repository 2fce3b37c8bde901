"""Tiles that are cut a few at a time are those that are cut at once."""

import numpy as np
import pytest

from keras_patching.data.cache.pieces import whole
from keras_patching.data.patches.tiling import cut_patches, cut_pieces
from keras_patching.geometry import PAD_MODES, PatchGrid


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("patch_size", [(400, 400), (31, 50), (1100, 1200)])
def test_tiles_in_pieces_are_those_cut_at_once(patch_size, pad_mode):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (900, 1100, 3), dtype="uint8")
    grid = PatchGrid(image.shape[:2], patch_size)
    how = grid.origins, grid.patch_size, 7, pad_mode
    expected, found = cut_patches(image, *how), cut_pieces(image, *how)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(whole(found), expected)
