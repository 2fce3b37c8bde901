"""Windows are those of the image, padded as tiles are, wherever they lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.cache.shards import write_shard
from keras_patching.data.cache.strips import as_strips
from keras_patching.data.feeding.window_readers import (
    PlannedReader,
    WindowReader,
)

PATCH = (6, 7)
# Of `pad_mode`, in the words of `numpy.pad`.
PADDED = {"constant": "constant", "reflect": "reflect", "edge": "edge"}


def draw(*shape, dtype="uint8"):
    return np.random.default_rng(0).integers(1, 256, shape).astype(dtype)


def write(folder, images):
    return [
        write_shard(folder / "shards" / f"{index}.npy", as_strips(image)[None])
        for index, image in enumerate(images)
    ]


def open_reader(folder, images, records, *padding):
    sizes = [image.shape[:2] for image in images]
    return WindowReader(folder, records, sizes, *padding)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Images, masks and heatmaps; of each one is lower than a patch."""
    found = {}
    for name, pixel, dtype in (
        ("images", (3,), "uint8"),
        ("masks", (), "uint16"),
        ("heatmaps", (), "float32"),
    ):
        folder, sizes = tmp_path_factory.mktemp(name), ((13, 15), (4, 600))
        images = [draw(*each, *pixel, dtype=dtype) for each in (*sizes, (1, 1))]
        found[name] = folder, images, write(folder, images)
    return found


@given(st.data())
def test_a_window_has_any_size_and_any_place(whole, data):
    folder, images, records = whole[data.draw(st.sampled_from(list(whole)))]
    mode = data.draw(st.sampled_from(list(PADDED)))
    value = data.draw(st.sampled_from([0, 9]))
    reader = open_reader(folder, images, records, value, mode)
    s = data.draw(st.integers(0, 2))
    height, width = images[s].shape[:2]
    reach = 0 if mode != "constant" else 3  # past the last pixel
    y = data.draw(st.integers(0, height - 1 + reach))
    x = data.draw(st.integers(0, width - 1 + reach))
    size = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 700)))
    found = reader.cut(s, (y, x, *size))
    beyond = [(0, size[0] + reach), (0, size[1] + reach)]
    rest = [(0, 0)] * len(reader.pixel_shape)
    how = {"constant_values": value} if mode == "constant" else {}
    padded = np.pad(images[s], [*beyond, *rest], PADDED[mode], **how)
    expected = padded[y : y + size[0], x : x + size[1]]
    assert found.dtype == images[s].dtype
    np.testing.assert_array_equal(found, expected)


def test_windows_of_one_size_are_a_batch(whole):
    folder, images, records = whole["masks"]
    reader = open_reader(folder, images, records)
    found = reader.cut_all([1, 0], [(0, 500), (2, 3)], (3, 4))
    expected = images[1][:3, 500:504], images[0][2:5, 3:7]
    np.testing.assert_array_equal(found, expected)


def test_a_window_before_the_image_is_refused(whole):
    folder, images, records = whole["masks"]
    reader = open_reader(folder, images, records)
    with pytest.raises(ValueError, match=r"Received: origin=\(-1, 0\)"):
        reader.cut(0, (-1, 0, 3, 3))


@given(st.data())
def test_patches_are_cut_padded_and_turned(whole, data):
    folder, images, records = whole["images"]
    origins = [
        [
            data.draw(st.tuples(st.integers(0, h - 1), st.integers(0, w - 1)))
            for _ in range(2)
        ]
        for h, w, _ in (image.shape for image in images)
    ]
    flips = data.draw(st.sampled_from([None, "horizontal", "vertical"]))
    planned = data.draw(st.sampled_from([[], [flips and {"flip": flips}] * 2]))
    black = data.draw(st.sampled_from([0, 9]))
    windows = open_reader(folder, images, records, black)
    reader = PlannedReader(windows, origins, [planned] * 3, PATCH, (black, 255))
    found = reader.read([1, 0, 1], [0, 1, 1])
    for patch, s, r in zip(found, [1, 0, 1], [0, 1, 1], strict=True):
        y, x = origins[s][r]
        padding = [(0, PATCH[0]), (0, PATCH[1]), (0, 0)]
        padded = np.pad(images[s], padding, constant_values=black)
        expected = padded[y : y + PATCH[0], x : x + PATCH[1]]
        axis = {"horizontal": 1, "vertical": 0}.get(flips)
        if planned and axis is not None:
            expected = np.flip(expected, axis)
        np.testing.assert_array_equal(patch, expected)
