import concurrent.futures
import contextlib
import gc
import os
import pathlib
import pickle

import keras
import numpy as np
import pytest

from keras_patching.data import shard_pool
from keras_patching.data.image_io import list_images, write_image
from keras_patching.data.patch_cache import PatchCache
from keras_patching.data.patching_sequence import PatchingSequence
from keras_patching.data.shard_builder import ShardPlan, Source
from keras_patching.data.tiling import cut_patches, plan_image_shard
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
            kind="labels",
            shape=(4, *PATCH),
            dtype=np.dtype("uint16"),
            parameters=[index],
            make=CutLabels(image, grid),
        )
        images = plan_image_shard(path, header, grid, 3, (0, 255))
        sources.append(
            Source(
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
    assert sequence.manifest == manifest
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
    sequence = PatchingSequence(manifest, seed=0)
    first = ids(sequence).tolist()
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


@pytest.mark.parametrize("workers", [1, 3])
def test_fit_meets_each_patch_once_per_epoch(manifest, workers):
    met = []

    def note(images, labels):
        met.extend(images[:, 0, 0, 0].tolist())
        return images.astype("float32"), labels[..., None]

    sequence = PatchingSequence(
        manifest, batch_size=7, seed=0, workers=workers, augment=note
    )
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Conv2D(1, 1)]
    )
    model.compile("sgd", "mse")
    model.evaluate(sequence, verbose=0)
    del met[:]
    before = sequence.epoch
    model.fit(sequence, epochs=2, verbose=0)
    assert sequence.epoch >= before + 2
    # Some backends look at the first batches before the training.
    assert sorted(met[-28:]) == list(range(1, 29))
    assert sorted(met[-56:-28]) == list(range(1, 29))
    assert met[-28:] != met[-56:-28]


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


def test_a_sequence_can_be_pickled(manifest):
    sequence = PatchingSequence(manifest, seed=0)
    expected = ids(sequence).tolist()
    assert ids(pickle.loads(pickle.dumps(sequence))).tolist() == expected


def test_a_folder_stands_for_its_only_manifest(tmp_path):
    manifest = make_cache(tmp_path / "images", count=2)
    assert PatchingSequence(manifest.parent).manifest == manifest
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


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a fault of jax")
def test_processes_are_refused_with_jax(manifest):
    with pytest.raises(ValueError, match="use_multiprocessing=True"):
        PatchingSequence(manifest, use_multiprocessing=True)


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
