"""Results of resized images, back in the pixels of their files, by bands."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_patching.data.images.image_io import read_image
from keras_patching.data.images.resampling import resampled
from keras_patching.data.images.resizing import ReadScale
from keras_patching.prediction.array_target import ArrayTarget
from keras_patching.prediction.resized_results import (
    ResampledTarget,
    moved_objects,
)
from keras_patching.prediction.targets import open_target

LENGTHS = st.integers(1, 30)
SIZES = st.tuples(LENGTHS, LENGTHS)


@hypothesis.given(SIZES, SIZES, st.data())
def test_bands_of_any_heights_make_the_whole(file_size, size, data):
    method = data.draw(st.sampled_from(["nearest", "sum"]))
    read = np.random.default_rng(0).random((*size, 2), "float32")
    whole = np.full((*file_size, 2), np.nan, "float32")
    target = ResampledTarget(
        ArrayTarget(whole, whole.shape, whole.dtype, "image"),
        ReadScale(file_size, size),
        method,
    )
    y = 0
    while y < size[0]:
        rows = data.draw(st.integers(1, 7))
        target.write(y, read[y : y + rows])
        y += rows
    expected = resampled(read, file_size, method)
    np.testing.assert_allclose(whole, expected, rtol=1e-5)


class HalfDone:
    """A target of which a killed run has written some rows."""

    is_done = False

    def __init__(self, array, rows_done):
        self.array, self.rows_done = array, rows_done

    def write(self, y, band):
        assert y <= self.rows_done
        self.array[y : y + len(band)] = band
        self.rows_done = max(self.rows_done, y + len(band))


@hypothesis.given(SIZES, SIZES, st.data())
def test_it_goes_on_after_the_rows_that_are_there(file_size, size, data):
    method = data.draw(st.sampled_from(["nearest", "sum"]))
    read = np.random.default_rng(0).random(size, "float32")
    expected = resampled(read, file_size, method)
    done = data.draw(st.integers(0, file_size[0]))
    there = expected.copy()
    there[done:] = -1
    target = ResampledTarget(
        HalfDone(there, done), ReadScale(file_size, size), method
    )
    assert target.rows_done <= size[0]
    target.write(target.rows_done, read[target.rows_done :])
    np.testing.assert_allclose(there, expected, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_a_run_that_was_stopped_goes_on(suffix, tmp_path):
    read = np.random.default_rng(0).random((9, 7), "float32")
    file_size = (30, 20)

    def open_it():
        target = open_target(
            tmp_path / f"found{suffix}",
            file_size,
            "float32",
            "image",
            key="k",
            resume=True,
            overwrite=False,
        )
        return ResampledTarget(target, ReadScale(file_size, (9, 7)), "sum")

    stopped = open_it()
    stopped.write(0, read[:4])
    stopped.abandon()
    again = open_it()
    assert 0 < again.rows_done <= 4
    again.write(again.rows_done, read[again.rows_done :])
    found = read_image(again.finish())
    assert again.is_done
    np.testing.assert_allclose(
        found[..., 0], resampled(read, file_size, "sum"), rtol=1e-6
    )


def test_objects_are_moved_to_the_file():
    scale = ReadScale((20, 40), (10, 10))
    found = {
        "points": np.array([[1, 1]], "float32"),
        "boxes": np.array([[1, 1, 2, 3]], "float32"),
        "count": 3.0,
    }
    moved = moved_objects(found, scale)
    assert moved["points"].tolist() == [[2, 4]]
    assert moved["boxes"].tolist() == [[4, 2, 8, 6]]
    assert moved["count"] == 3.0
    assert moved["boxes"].dtype == "float32"
