"""Strips hold all pixels of an image, few columns each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.cache.strips import as_image, as_strips, strips_shape


@given(
    st.integers(1, 4), st.integers(1, 1100), st.sampled_from([(), (1,), (3,)])
)
def test_strips_are_put_together_to_the_image(height, width, pixel_shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 2**16, (height, width, *pixel_shape), "uint16")
    strips = as_strips(image)
    assert strips.shape == strips_shape((height, width), *pixel_shape)
    assert strips.dtype == image.dtype
    assert strips.shape[2] <= 256
    assert strips.shape[0] * strips.shape[2] < width + len(strips)
    np.testing.assert_array_equal(as_image(strips, width), image)
