import concurrent.futures
import contextlib
import copy
import gc
import os
import pathlib
import pickle
import threading
import time

import keras
import numpy as np
import pytest

from keras_patching.data.cache.patch_cache import PatchCache
from keras_patching.data.cache.shard_builder import ShardPlan, plan_source
from keras_patching.data.feeding import shard_pool
from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.data.images.image_io import write_image
from keras_patching.data.images.listing import list_images
from keras_patching.data.patches.stores import plan_image_shard
from keras_patching.data.patches.tiling import cut_patches
from keras_patching.data.pixel_options import PixelOptions
from keras_patching.geometry import PatchGrid

try:
    import resource
except ImportError:  # not on Windows
    resource = None

PATCH = (4, 4)


class CutLabels:
    """Labels that are twice the image's first channel."""

    def __init__(self, image, grid):
        self.labels = image[..., 0].astype("uint16") * 2
        self.grid = grid

    def __call__(self):
        return cut_patches(self.labels, self.grid.origins, PATCH, 0)


def make_cache(dirname, count=7, key=0):
    """Images of 8 x 8 pixels: four patches, each of one colour of its own."""
    dirname.mkdir(exist_ok=True)
    for index in range(count):
        values = np.arange(4, dtype="uint8") + 4 * index + 1
        image = values.reshape(2, 2).repeat(4, 0).repeat(4, 1)
        image = image[..., None].repeat(3, -1)
        write_image(dirname / f"{index:03}.png", image)
    cache = PatchCache(dirname, "toy", PATCH, {"key": key})
    sources = []
    for index, path in enumerate(list_images(dirname).values()):
        header = cache.header(path)
        grid = PatchGrid(header.size, PATCH)
        values = np.arange(4, dtype="uint8") + 4 * index + 1
        image = values.reshape(2, 2).repeat(4, 0).repeat(4, 1)[..., None]
        labels = ShardPlan(
            kind="masks",
            shape=(4, *PATCH),
            dtype=np.dtype("uint16"),
            parameters=[index],
            make=CutLabels(image, grid),
        )
        images = plan_image_shard(
            path, header, grid, PixelOptions(PATCH, 3, [0, 255])
        )
        sources.append(
            plan_source(
                path.name,
                (images, labels),
                [list(origin) for origin in grid.origins],
                ["tile"] * 4,
            )
        )
    return cache.build(sources, verbose=False)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_cache(tmp_path_factory.mktemp("sequence") / "images")


def ids(sequence):
    """The colour of each patch, batch after batch."""
    return np.concatenate([images[:, 0, 0, 0] for images, _ in sequence])


def test_batches_have_the_dtypes_and_shapes_of_the_files(manifest):
    sequence = PatchingSequence(manifest, batch_size=5)
    images, labels = sequence[0]
    assert (images.shape, images.dtype) == ((5, 4, 4, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((5, 4, 4), np.uint16)
    assert sequence.num_samples == 28
    assert len(sequence) == 6
    assert len(sequence[5][0]) == 3
    assert sequence.patch_size == PATCH
    assert sequence.task == "toy"
    assert sequence.directory == manifest.parent
    assert sequence.manifest_path == manifest
    assert sequence.image_names == [f"{i:03}.png" for i in range(7)]


def open_shards(manifest):
    """Count the shards of a cache that this process has open (on Linux)."""
    fds = pathlib.Path("/proc/self/fd")
    paths = [os.path.realpath(fd) for fd in fds.glob("*")]
    return sum(path.startswith(str(manifest.parent)) for path in paths)


def test_images_and_labels_stay_together_and_each_patch_comes_once(manifest):
    sequence = PatchingSequence(manifest, batch_size=5)
    for images, labels in sequence:
        np.testing.assert_array_equal(images[..., 0] * np.uint16(2), labels)
    assert sorted(ids(sequence)) == list(range(1, 29))


def test_without_shuffle_patches_come_in_order(manifest):
    sequence = PatchingSequence(manifest, shuffle=False)
    assert ids(sequence).tolist() == list(range(1, 29))
    sequence.on_epoch_begin()
    sequence.on_epoch_end()
    assert ids(sequence).tolist() == list(range(1, 29))


def test_a_batch_depends_on_seed_epoch_and_index_only(manifest):
    one = PatchingSequence(manifest, batch_size=3, seed=5)
    other = PatchingSequence(manifest, batch_size=3, seed=5)
    list(other)
    for index in (4, 0, 2):
        np.testing.assert_array_equal(one[index][0], other[index][0])
    assert ids(PatchingSequence(manifest, seed=6)).tolist() != ids(one).tolist()


def test_no_seed_draws_one_that_keras_can_fix(manifest):
    keras.utils.set_random_seed(1)
    first = PatchingSequence(manifest).seed
    assert PatchingSequence(manifest).seed != first
    keras.utils.set_random_seed(1)
    assert PatchingSequence(manifest).seed == first


def test_the_epoch_advances_once_for_each_one_that_was_begun(manifest):
    sequence = PatchingSequence(manifest, 9, seed=0)
    first = ids(sequence).tolist()
    sequence.on_epoch_end()
    assert sequence.epoch == 0
    sequence.on_epoch_begin()
    sequence[0]  # as Keras does to build a model
    sequence.on_epoch_end()
    assert sequence.epoch == 0
    sequence.on_epoch_begin()
    assert ids(sequence).tolist() == first
    sequence.on_epoch_end()
    sequence.on_epoch_end()
    assert sequence.epoch == 1
    assert ids(sequence).tolist() != first


def test_the_last_batch_can_be_dropped(manifest):
    sequence = PatchingSequence(manifest, batch_size=5, drop_remainder=True)
    assert [len(images) for images, _ in sequence] == [5] * 5
    with pytest.raises(ValueError, match="do not make a batch"):
        PatchingSequence(manifest, batch_size=29, drop_remainder=True)


def test_images_are_cast_on_request_and_labels_are_not(manifest):
    images, labels = PatchingSequence(manifest, dtype="float32")[0]
    assert images.dtype == np.float32
    assert labels.dtype == np.uint16


def test_a_subset_of_images_gives_their_patches(manifest):
    names = ["001.png", "003.png"]
    sequence = PatchingSequence(manifest, names=names)
    assert sequence.image_names == names
    assert sorted(ids(sequence)) == [5, 6, 7, 8, 13, 14, 15, 16]
    with pytest.raises(ValueError, match=r"not of \['nine\.png'\]"):
        PatchingSequence(manifest, names=["nine.png"])


def test_augmentation_is_the_same_for_image_and_label_and_is_pure(manifest):
    options = dict(batch_size=5, seed=1, augment=True)
    sequence = PatchingSequence(manifest, **options)
    images, labels = sequence[1]
    again, _ = PatchingSequence(manifest, **options)[1]
    np.testing.assert_array_equal(images, again)
    assert images.dtype == np.uint8
    assert labels.dtype == np.uint16
    sequence.on_epoch_begin()
    sequence.on_epoch_end()
    assert (sequence[1][0] != images).any()


def test_a_function_augments_batches(manifest):
    sequence = PatchingSequence(
        manifest, shuffle=False, augment=lambda x, y: (x + 1, y - 1)
    )
    images, labels = sequence[0]
    assert images[0, 0, 0, 0] == 2
    assert labels[0, 0, 0] == 1


def pass_of(sequence, indices=None):
    """Batches as Keras takes them, slowly, in a pass that it does not end."""
    sequence.on_epoch_begin()
    for index in range(len(sequence)) if indices is None else indices:
        yield sequence[index]
        time.sleep(0.01)


def test_batches_are_read_ahead_by_threads_but_not_too_many(manifest):
    read = []

    def note(images, labels):
        read.append(threading.current_thread() is threading.main_thread())
        return images, labels

    sequence = PatchingSequence(
        manifest, 1, augment=note, workers=2, max_queue_size=5
    )
    sequence.on_epoch_end()
    for taken, _ in enumerate(pass_of(sequence), 1):
        assert taken <= len(read) <= taken + 5
    assert sorted(read) == [False] * 27 + [True]
    del read[:]
    sequence.workers = 0
    list(pass_of(sequence))
    assert read == [True] * 28


@pytest.mark.parametrize(
    "indices",
    [
        [1, 3, 5, 7, 9],  # as one of two processes
        [0, 1, 2, 0, 1, 2, 3],
        [5, 2, 2, 2, 8, 9, 10, 3, 0, 1, 27],
        range(27, -1, -1),
    ],
)
def test_batches_may_be_asked_for_in_any_order(manifest, indices):
    expected = list(PatchingSequence(manifest, batch_size=1, seed=3))
    sequence = PatchingSequence(manifest, batch_size=1, seed=3)
    for index, (images, labels) in zip(
        indices, pass_of(sequence, indices), strict=True
    ):
        np.testing.assert_array_equal(images, expected[index][0])
        np.testing.assert_array_equal(labels, expected[index][1])


def test_what_is_changed_in_a_pass_holds_from_the_next_batch_on(manifest):
    sequence = PatchingSequence(manifest, batch_size=1, seed=0)
    batches = pass_of(sequence)
    for _ in range(4):
        next(batches)
    sequence.epoch = 1
    expected = PatchingSequence(manifest, batch_size=1, seed=0)
    expected.epoch = 1
    np.testing.assert_array_equal(next(batches)[0], expected[4][0])


def test_a_batch_that_cannot_be_read_is_an_error_where_it_is_taken(manifest):
    def fail(images, labels):
        if 5 in images:
            raise ZeroDivisionError
        return images, labels

    sequence = PatchingSequence(manifest, 1, shuffle=False, augment=fail)
    batches = pass_of(sequence)
    for _ in range(4):
        next(batches)
    for attempt in (lambda: next(batches), lambda: sequence[4]):
        with pytest.raises(ZeroDivisionError):
            attempt()
    assert sequence[5][0][0, 0, 0, 0] == 6


def test_threads_end_with_the_pass_or_with_the_sequence(manifest):
    before = set(threading.enumerate())  # of sequences that are not freed yet

    def new_threads():
        return set(threading.enumerate()) - before

    sequence = PatchingSequence(manifest, batch_size=1)
    batches = pass_of(sequence)
    next(batches)
    assert new_threads()
    sequence.on_epoch_end()
    assert not new_threads()
    batches = pass_of(sequence)
    next(batches)
    threads = new_threads()
    assert threads
    del batches, sequence
    gc.collect()
    for thread in threads:
        thread.join(60)
    assert not new_threads()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_has_passes_of_its_own(manifest, copied):
    sequence = PatchingSequence(manifest, batch_size=1, shuffle=False)
    batches = pass_of(sequence)
    for _ in range(3):
        next(batches)
    other = copied(sequence)
    other.augment = lambda images, labels: (images + 100, labels)
    for index, (images, _) in enumerate(pass_of(other)):
        assert images[0, 0, 0, 0] == index + 101
        if index < 20:
            assert next(batches)[0][0, 0, 0, 0] == index + 4


def test_keras_starts_no_workers(manifest):
    sequence = PatchingSequence(manifest, workers=3)
    sequence.workers = 8
    assert sequence.workers == 1
    with pytest.raises(ValueError, match="workers='many'"):
        sequence.workers = "many"
    with pytest.raises(ValueError, match="use_multiprocessing=True"):
        PatchingSequence(manifest, use_multiprocessing=True)
    with pytest.raises(ValueError, match="use_multiprocessing=True"):
        sequence.use_multiprocessing = True


def test_threads_read_the_same_patches(manifest, monkeypatch):
    expected = ids(PatchingSequence(manifest, batch_size=1, seed=0)).tolist()
    for limit in (2, 6, 512):
        monkeypatch.setattr(shard_pool, "max_open_files", lambda n=limit: n)
        before = open_shards(manifest)  # by sequences that are not freed yet
        sequence = PatchingSequence(manifest, batch_size=1, seed=0)
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            batches = list(threads.map(sequence.__getitem__, range(28)))
        assert [images[0, 0, 0, 0] for images, _ in batches] == expected
        assert open_shards(manifest) - before <= limit


def test_more_shards_than_may_be_open_are_read(tmp_path, monkeypatch):
    manifest = make_cache(tmp_path / "images", count=40)
    monkeypatch.setattr(shard_pool, "max_open_files", lambda: 10)
    monkeypatch.setattr(shard_pool, "_files", shard_pool._OpenFiles())
    sequences = [PatchingSequence(manifest, shuffle=False) for _ in range(3)]
    for sequence in sequences:
        assert ids(sequence).tolist() == list(range(1, 161))
        for images, labels in sequence:
            np.testing.assert_array_equal(images[..., 0] * np.uint16(2), labels)
    assert open_shards(manifest) == 10
    del sequence, sequences
    gc.collect()
    assert open_shards(manifest) == 0


@contextlib.contextmanager
def few_files_left(number):
    """Leave so many file descriptors to this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(number):
            os.close(taken.pop())
        yield
    finally:
        for file in taken:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(resource is None, reason="Windows counts otherwise")
def test_a_process_that_runs_out_of_files_reads_on(tmp_path, monkeypatch):
    manifest = make_cache(tmp_path / "images", count=40)
    monkeypatch.setattr(shard_pool, "_files", shard_pool._OpenFiles())
    sequences = [PatchingSequence(manifest, shuffle=False) for _ in range(2)]
    with few_files_left(20):
        for sequence in sequences:
            assert ids(sequence).tolist() == list(range(1, 161))
        os.close(os.open(os.devnull, os.O_RDONLY))  # some are left to others
    assert open_shards(manifest) <= 10


def test_batches_are_the_callers_own(manifest):
    sequence = PatchingSequence(manifest, shuffle=False)
    images, _ = sequence[0]
    images[:] = 0
    assert sequence[0][0][0, 0, 0, 0] == 1


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_jax_on_a_cpu_takes_batches_without_a_copy(manifest, batch_size):
    for batch in PatchingSequence(manifest, batch_size):
        for array in batch:
            assert array.ctypes.data % 64 == 0
            assert array.flags.c_contiguous
            assert array.flags.writeable


def test_a_sequence_can_be_pickled(manifest):
    sequence = PatchingSequence(manifest, seed=0)
    expected = ids(sequence).tolist()
    assert ids(pickle.loads(pickle.dumps(sequence))).tolist() == expected


def test_a_folder_stands_for_its_only_manifest(tmp_path):
    manifest = make_cache(tmp_path / "images", count=2)
    assert PatchingSequence(manifest.parent).manifest_path == manifest
    other = make_cache(tmp_path / "images", count=2, key=1)
    with pytest.raises(ValueError, match="holds 2 manifests") as error:
        PatchingSequence(str(manifest.parent))
    assert manifest.name in str(error.value)
    assert other.name in str(error.value)


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        PatchingSequence(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no manifest"):
        PatchingSequence(tmp_path)


def test_a_bad_shard_fails_when_the_sequence_is_made(tmp_path):
    manifest = make_cache(tmp_path / "images", count=2)
    shard = next((manifest.parent / "shards").glob("000-*.images.npy"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(ValueError, match=shard.name):
        PatchingSequence(manifest)


def test_there_is_no_batch_beyond_the_last(manifest):
    with pytest.raises(IndexError):
        PatchingSequence(manifest)[1]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("seed", -1),
        ("seed", "a"),
        ("dtype", "float33"),
        ("augment", "flip"),
    ],
)
def test_bad_arguments_are_refused(manifest, argument, value):
    with pytest.raises(ValueError, match=f"Received: {argument}="):
        PatchingSequence(manifest, **{argument: value})
