"""Several processes share the batches of a sequence."""

import copy

import keras
import numpy as np
import pytest
from numbered_patches import cut_numbered_patches

from keras_patching import PatchingSequence

COUNT = 28


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """28 patches, each with a number in its mask."""
    folder = tmp_path_factory.mktemp("shards")
    return cut_numbered_patches(folder, COUNT)


def numbers_of(sequence):
    return np.concatenate([masks[:, 0, 0] for _, masks in sequence])


def shards_of(sequence, count):
    return [sequence.shard(index, count) for index in range(count)]


def join(parts):
    return keras.tree.map_structure(lambda *each: np.concatenate(each), *parts)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "options",
    [
        {"augment": True},
        {"augment": True, "shuffle": False, "dtype": "float32"},
        {"foreground_fraction": 0.5},
    ],
)
@pytest.mark.parametrize(
    ("batch_size", "count", "drop_remainder"),
    [(8, 4, False), (28, 2, False), (4, 4, False), (7, 7, False), (9, 3, True)],
)
def test_shards_are_the_rows_of_each_batch(
    manifest, batch_size, count, drop_remainder, options
):
    sequence = PatchingSequence(
        manifest,
        batch_size,
        seed=3,
        drop_remainder=drop_remainder,
        **options,
    )
    shards = shards_of(sequence, count)
    for epoch in (0, 5):
        for each in (sequence, *shards):
            each.epoch = epoch
        assert [len(shard) for shard in shards] == [len(sequence)] * count
        for index in range(len(sequence)):
            parts = [shard[index] for shard in shards]
            assert len({len(images) for images, _ in parts}) == 1
            assert_same(join(parts), sequence[index])


def test_each_patch_is_seen_once_in_an_epoch(manifest):
    sequence = PatchingSequence(manifest, 8, seed=0)
    shards = shards_of(sequence, 2)
    seen = np.concatenate([numbers_of(shard) for shard in shards])
    assert sorted(seen) == list(range(COUNT))
    assert [shard.num_samples for shard in shards] == [14, 14]
    assert [shard.batch_size for shard in shards] == [4, 4]


def test_processes_that_would_draw_different_seeds_are_warned(manifest):
    with pytest.warns(UserWarning, match="others never.*same `seed`"):
        PatchingSequence(manifest, 8).shard(0, 2)
    PatchingSequence(manifest, 8).shard(0, 1)


def test_a_shard_is_shared_again(manifest):
    """As by the hosts of a cluster and the devices of a host."""
    sequence = PatchingSequence(manifest, 4, seed=0)
    hosts = shards_of(sequence, 2)
    devices = [shard for host in hosts for shard in shards_of(host, 2)]
    expected = shards_of(sequence, 4)
    for one, other in zip(devices, expected, strict=True):
        assert_same(one[6], other[6])


def test_shards_begin_where_the_sequence_is_and_have_passes_of_their_own(
    manifest,
):
    sequence = PatchingSequence(manifest, 8, seed=0)
    sequence.epoch = 3
    first, second = shards_of(sequence, 2)
    first.on_epoch_begin()
    first.on_epoch_end()
    assert (first.epoch, second.epoch, sequence.epoch) == (4, 3, 3)
    assert_same(copy.copy(second)[0], second[0])


@pytest.mark.parametrize(
    ("options", "count", "message"),
    [
        ({"batch_size": 6}, 4, "multiple of 4.*batch_size=6"),
        ({"batch_size": 9}, 3, "1 of 28 samples.*drop_remainder=True"),
        ({"batch_size": 8}, 0, "count"),
    ],
)
def test_nothing_is_lost_and_nothing_is_seen_twice(
    manifest, options, count, message
):
    sequence = PatchingSequence(manifest, **options)
    with pytest.raises(ValueError, match=message):
        sequence.shard(0, count)


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_shard_beyond_the_last(manifest, index):
    with pytest.raises(ValueError, match="index"):
        PatchingSequence(manifest, 4).shard(index, 2)


def test_single_patches_are_shared_by_who_makes_batches_of_them(manifest):
    shard = PatchingSequence(manifest, 4, seed=0).shard(0, 2)
    with pytest.raises(ValueError, match="whole sequence"):
        shard.to_grain()
