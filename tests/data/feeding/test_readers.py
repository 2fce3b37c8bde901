"""A batch holds the patches that were asked for, in their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.cache.shards import write_shard
from keras_patching.data.cache.strips import as_strips
from keras_patching.data.feeding.readers import (
    MemoryReader,
    PaddedReader,
    StackedReader,
    WindowReader,
)

SOURCES, ROWS = [1, 0, 1, 1, 0], [0, 2, 1, 0, 0]
PATCH = (6, 7)


def write(folder, *arrays):
    return [
        write_shard(folder / "shards" / f"{index}.npy", array)
        for index, array in enumerate(arrays)
    ]


def draw(*shape):
    return np.random.default_rng(0).integers(1, 256, shape).astype("uint8")


def test_patches_are_stacked(tmp_path):
    arrays = draw(3, *PATCH, 2), draw(2, *PATCH, 2)
    reader = StackedReader(tmp_path, write(tmp_path, *arrays))
    expected = [arrays[s][r] for s, r in zip(SOURCES, ROWS, strict=True)]
    np.testing.assert_array_equal(reader.read(SOURCES, ROWS), expected)


@pytest.mark.parametrize("where", ["files", "memory"])
def test_labels_are_padded_to_one_number(where, tmp_path):
    arrays = [draw(3, n, 4).astype("float32") for n in (1, 3)]
    if where == "files":
        reader = PaddedReader(tmp_path, write(tmp_path, *arrays), most=4)
    else:
        reader = MemoryReader(arrays, most=4)
    found = reader.read(SOURCES, ROWS)
    assert (found.shape, found.dtype) == ((5, 4, 4), np.float32)
    for labels, s, r in zip(found, SOURCES, ROWS, strict=True):
        number = arrays[s].shape[1]
        np.testing.assert_array_equal(labels[:number], arrays[s][r])
        assert (labels[number:] == -1).all()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    images = draw(13, 15, 3), draw(4, 600, 3)  # one lower than a patch
    strips = [as_strips(image)[None] for image in images]
    return folder, images, write(folder, *strips)


@given(st.data())
def test_windows_are_cut_padded_and_turned(whole, data):
    folder, images, records = whole
    origins = [
        [
            data.draw(st.tuples(st.integers(0, h - 1), st.integers(0, w - 1)))
            for _ in range(2)
        ]
        for h, w, _ in (image.shape for image in images)
    ]
    flips = data.draw(st.sampled_from([None, "horizontal", "vertical"]))
    augmentation = flips and {"flip": flips}
    black = data.draw(st.sampled_from([0, 9]))
    reader = WindowReader(
        folder,
        records,
        [image.shape[:2] for image in images],
        origins,
        [[augmentation] * 2] * 2,
        PATCH,
        (black, 255),
    )
    found = reader.read([1, 0, 1], [0, 1, 1])
    for patch, s, r in zip(found, [1, 0, 1], [0, 1, 1], strict=True):
        y, x = origins[s][r]
        padding = [(0, PATCH[0]), (0, PATCH[1]), (0, 0)]
        padded = np.pad(images[s], padding, constant_values=black)
        expected = padded[y : y + PATCH[0], x : x + PATCH[1]]
        axis = {"horizontal": 1, "vertical": 0}.get(flips)
        if axis is not None:
            expected = np.flip(expected, axis)
        np.testing.assert_array_equal(patch, expected)
