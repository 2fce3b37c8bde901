"""What a pool reads is what lies in the shards, wherever it lies."""

import concurrent.futures
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.cache.shards import ShardError, write_shard
from keras_patching.data.cache.strips import as_strips
from keras_patching.data.feeding.shard_pool import ShardPool


def make_pool(folder, *arrays):
    records = [
        write_shard(folder / f"{index}.npy", array)
        for index, array in enumerate(arrays)
    ]
    return ShardPool(folder, records)


def draw(*shape, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Whole images of one strip, of several, and of a high one in pieces."""
    images = (
        draw(60, 50, 3),
        draw(9, 1000, 2, dtype="float32"),
        draw(700, 270, 3, dtype="float64"),
    )
    strips = [as_strips(image)[None] for image in images]
    return images, make_pool(tmp_path_factory.mktemp("pool"), *strips)


@given(st.data())
def test_windows_are_those_of_the_images(images, data):
    images, pool = images
    shard = data.draw(st.sampled_from([0, 1, 2]))
    image = images[shard]
    (y, height), (x, width) = (
        sorted(data.draw(st.tuples(*[st.integers(0, length)] * 2)))
        for length in image.shape[:2]
    )
    height, width = height - y, width - x
    target = np.zeros((height + 2, width + 3, image.shape[2]), image.dtype)
    pool.read_window(shard, (y, x), target[:height, :width])
    expected = np.zeros_like(target)
    expected[:height, :width] = image[y : y + height, x : x + width]
    np.testing.assert_array_equal(target, expected)


def test_patches_are_rows_of_their_shards(tmp_path):
    arrays = draw(3, 4, 5, dtype="uint16"), draw(2, 4, 5, dtype="uint16")
    pool = make_pool(tmp_path, *arrays)
    for shard, row in ((1, 1), (0, 2), (0, 0), (1, 0)):
        target = np.empty(20, "uint16")
        pool.read_patch(shard, row, target)
        np.testing.assert_array_equal(target, arrays[shard][row].ravel())


def test_patches_of_many_shards_make_a_batch(tmp_path):
    arrays = [draw(4, 5, 6, dtype="uint16") + index for index in range(3)]
    pool = make_pool(tmp_path, *arrays)
    shards, rows = np.random.default_rng(0).integers(0, (3, 4), (50, 2)).T
    targets = np.empty((50, 30), "uint16")
    pool.read_patches(shards.tolist(), rows.tolist(), targets)
    expected = [arrays[s][r].ravel() for s, r in zip(shards, rows, strict=True)]
    np.testing.assert_array_equal(targets, expected)


def test_what_waits_for_the_disk_is_read_too(tmp_path):
    arrays = draw(20, 5_000), draw(20, 5_000)
    pool = make_pool(tmp_path, *arrays)
    for path in tmp_path.iterdir():
        with open(path, "rb") as stream:
            os.fsync(stream)
            if hasattr(os, "posix_fadvise"):
                whole = 0, 0, os.POSIX_FADV_DONTNEED
                os.posix_fadvise(stream.fileno(), *whole)
    for row in range(100):
        targets = np.empty((10, 5_000), "uint8")
        pool.read_patches([1, 0] * 5, [row % 20, row % 7] * 5, targets)
        expected = [arrays[1][row % 20], arrays[0][row % 7]] * 5
        np.testing.assert_array_equal(targets, expected)


def test_a_batch_of_no_patches_is_empty(tmp_path):
    pool = make_pool(tmp_path, draw(3, 4))
    pool.read_patches([], [], np.empty((0, 4), "uint8"))


def test_threads_and_other_processes_read_the_same(images):
    images, pool = images
    expected = images[0]

    def read(y):
        target = np.empty((10, 50, 3), "uint8")
        pickle.loads(pickle.dumps(pool)).read_window(0, (y, 0), target)
        again = np.empty_like(target)
        pool.read_window(0, (y, 0), again)
        return target, again

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for y, found in enumerate(threads.map(read, range(50))):
            for each in found:
                np.testing.assert_array_equal(each, expected[y : y + 10])


def test_a_shard_that_loses_its_end_while_it_is_open_is_told(tmp_path):
    pool = make_pool(tmp_path, draw(3, 100))
    target = np.empty(100, "uint8")
    pool.read_patch(0, 2, target)
    with open(tmp_path / "0.npy", "r+b") as stream:
        stream.truncate(128 + 250)
    pool.read_patch(0, 1, target)  # which is still there
    with pytest.raises(ShardError, match=r"0\.npy: was truncated.*rebuilds"):
        pool.read_patch(0, 2, target)


@pytest.mark.parametrize("times", [1, 20])
def test_a_batch_names_the_shard_that_lost_its_end(tmp_path, times):
    pool = make_pool(tmp_path, draw(3, 9_000), draw(3, 9_000))
    places = [0, 1] * times, [2, 2] * times
    targets = np.empty((2 * times, 9_000), "uint8")
    for _ in range(2):
        pool.read_patches(*places, targets)
    os.truncate(tmp_path / "1.npy", 128 + 9_000)
    with pytest.raises(ShardError, match=r"1\.npy: was truncated.*rebuilds"):
        pool.read_patches(*places, targets)
    pool.read_patches([0, 1] * times, [2, 0] * times, targets)


def test_a_shard_that_is_gone_is_told_when_it_is_asked_for(tmp_path):
    pool = make_pool(tmp_path, draw(1, 4), draw(1, 4))
    (tmp_path / "1.npy").unlink()
    target = np.empty(4, "uint8")
    pool.read_patch(0, 0, target)
    with pytest.raises(ShardError, match=r"1\.npy: No such file"):
        pool.read_patch(1, 0, target)
