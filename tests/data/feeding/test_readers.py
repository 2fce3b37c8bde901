"""A batch holds the patches that were asked for, in their order."""

import numpy as np
import pytest

from keras_patching.data.cache.records import Source
from keras_patching.data.cache.shards import write_shard
from keras_patching.data.feeding.readers import (
    MemoryReader,
    PaddedReader,
    StackedReader,
)
from keras_patching.data.feeding.window_readers import check_alike

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


def test_images_that_make_no_batch_are_named():
    sources = [Source(name, {}, [], []) for name in ("a.png", "b.png")]
    check_alike([((3,), "uint8")] * 2, sources, "manifest.json")
    formats = ((3,), "uint8"), ((1,), "uint8")
    with pytest.raises(ValueError, match=r"a\.png has .*; b\.png has .*names"):
        check_alike(formats, sources, "manifest.json")
