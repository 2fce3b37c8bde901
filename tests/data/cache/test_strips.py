"""Strips side by side are the image that they were cut from."""

import numpy as np
import pytest

from keras_patching.data.cache.strips import as_strips, strips_shape


@pytest.mark.parametrize(
    ("width", "strips"), [(1, 1), (255, 1), (256, 1), (257, 2), (1000, 4)]
)
def test_strips_side_by_side_are_the_image(width, strips):
    rng = np.random.default_rng(0)
    image = rng.integers(1, 999, (3, width, 2)).astype("uint16")
    found = as_strips(image)
    assert found.dtype == image.dtype
    assert found.shape == strips_shape((3, width), 2)
    assert len(found) == strips
    joined = np.concatenate(found, axis=1)
    np.testing.assert_array_equal(joined[:, :width], image)
    # Little is stored beyond the image, and it is 0.
    assert joined.shape[1] - width < strips
    assert not joined[:, width:].any()
