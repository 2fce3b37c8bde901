"""Arrays at another size: as Pillow's, by parts, and with their sum."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from keras_patching.data.images.resampling import resampled, resampled_window

LENGTHS = st.integers(1, 40)
SIZES = st.tuples(LENGTHS, LENGTHS)


def draw(size, dtype="uint8", channels=2):
    rng = np.random.default_rng(sum(size))
    return rng.integers(0, 256, (*size, channels)).astype(dtype)


@hypothesis.given(SIZES, SIZES)
def test_linear_is_that_of_pillow(size, new_size):
    image = draw(size, "float32")
    planes = [
        Image.fromarray(plane).resize(new_size[::-1], Image.Resampling.BILINEAR)
        for plane in np.moveaxis(image, -1, 0)
    ]
    expected = np.stack([np.asarray(plane) for plane in planes], -1)
    found = resampled(image, new_size, "linear")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


@hypothesis.given(SIZES, SIZES, st.data())
def test_windows_are_bit_for_bit_those_of_the_whole(size, new_size, data):
    image = draw(size, data.draw(st.sampled_from(["uint8", "float32"])))
    method = data.draw(st.sampled_from(["linear", "nearest", "sum"]))
    y, x = (data.draw(st.integers(0, length - 1)) for length in new_size)
    height = data.draw(st.integers(1, new_size[0] - y))
    width = data.draw(st.integers(1, new_size[1] - x))

    def read(y, height, x, width):
        assert 0 <= y < y + height <= size[0]
        assert 0 <= x < x + width <= size[1]
        return image[y : y + height, x : x + width]

    window = resampled_window(
        read, size, new_size, method, (y, height, x, width)
    )
    whole = resampled(image, new_size, method)
    np.testing.assert_array_equal(
        window, whole[y : y + height, x : x + width], strict=True
    )


@hypothesis.given(SIZES, SIZES)
def test_sums_stay(size, new_size):
    heatmap = draw(size, "float32")
    found = resampled(heatmap, new_size, "sum")
    assert found.shape == (*new_size, 2)
    np.testing.assert_allclose(
        found.sum((0, 1), "float64"), heatmap.sum((0, 1)), rtol=1e-5, atol=1e-3
    )


@hypothesis.given(SIZES, SIZES)
def test_nearest_is_the_pixel_under_the_center(size, new_size):
    mask = draw(size, "int32", 1)[..., 0]
    y, x = (
        np.floor((np.arange(new) + 0.5) * length / new + 1e-9).astype(int)
        for length, new in zip(size, new_size, strict=True)
    )
    found = resampled(mask, new_size, "nearest")
    np.testing.assert_array_equal(found, mask[np.ix_(y, x)], strict=True)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "bool"])
def test_integers_are_rounded_and_keep_their_dtype(dtype):
    image = draw((6, 8), dtype)
    found = resampled(image, (3, 4), "linear")
    exact = resampled(image.astype("float64"), (3, 4), "linear")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.rint(exact).astype(dtype))


def test_what_is_made_smaller_is_averaged():
    stripes = np.tile(np.array([0, 200], "uint8"), (40, 20))
    found = resampled(stripes, (10, 10), "linear")
    assert abs(found.astype(int) - 100).max() <= 30


def test_rows_are_read_a_few_at_a_time(monkeypatch):
    from keras_patching.data.images import resampling

    image, most = draw((400, 30)), []

    def read(y, height, x, width):
        most.append(height * width)
        return image[y : y + height, x : x + width]

    whole = resampled(image, (200, 15), "linear")
    monkeypatch.setattr(resampling, "_MOST_PIXELS", 600)
    parts = resampled_window(
        read, (400, 30), (200, 15), "linear", (0, 200, 0, 15)
    )
    assert max(most) < 800
    np.testing.assert_array_equal(parts, whole)
