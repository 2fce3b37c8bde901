"""A shard is an array that is whole, unchanged, and under its own name."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_patching.data.cache.pieces import Pieces, whole
from keras_patching.data.cache.shards import (
    CacheWriteError,
    ShardError,
    adopt_shard,
    digest,
    is_unchanged,
    open_shard,
    read_shard,
    shard_bytes,
    shard_name,
    verify_shard,
    write_atomically,
    write_shard,
)

ARRAY = np.arange(24, dtype="uint16").reshape(2, 3, 4)


@pytest.fixture
def shard(tmp_path):
    """A shard that was written before, and its record."""
    record = write_shard(tmp_path / "a.images.npy", ARRAY)
    return tmp_path / record.file, record


@given(
    arrays.arrays(
        st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]),
        arrays.array_shapes(max_dims=4, min_side=0, max_side=5),
    )
)
def test_any_array_is_read_as_it_was_written(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("shards") / "a.images.npy"
    record = write_shard(path, array)
    assert record.bytes == path.stat().st_size
    assert record.bytes == shard_bytes(array.shape, array.dtype)
    for found in (
        read_shard(path.parent, record),
        np.load(path),  # as other tools do
        adopt_shard(path, array.shape, array.dtype)[1],
    ):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)


def test_views_of_arrays_are_written_as_what_they_show(tmp_path):
    for index, view in enumerate((ARRAY[:, ::2], ARRAY.T, ARRAY[::-1])):
        record = write_shard(tmp_path / f"{index}.npy", view)
        np.testing.assert_array_equal(read_shard(tmp_path, record), view)


def in_rows(array, made=None):
    """Pieces that all lie in one place, one after the other."""

    def make():
        row = np.empty(array.shape[1:], array.dtype)
        for each in array if made is None else made:
            row[...] = each
            yield row

    return Pieces(array.shape, array.dtype, make)


def test_pieces_are_written_as_the_array_that_they_are_of(shard):
    path, record = shard
    before = path.read_bytes()
    again = write_shard(path, in_rows(ARRAY))
    assert path.read_bytes() == before
    assert dataclasses.replace(again, mtime_ns=record.mtime_ns) == record
    np.testing.assert_array_equal(whole(in_rows(ARRAY)), ARRAY)


def test_pieces_are_made_anew_where_the_file_is_removed_meanwhile(tmp_path):
    """As `clean` may do."""
    files = []

    def make():
        if not files:
            files.extend(tmp_path.iterdir())
            files[0].unlink()
        return in_rows(ARRAY)

    pieces = Pieces(ARRAY.shape, ARRAY.dtype, make)
    record = write_shard(tmp_path / "a.npy", pieces)
    assert len(files) == 1
    np.testing.assert_array_equal(read_shard(tmp_path, record), ARRAY)
    assert adopt_shard(tmp_path / "a.npy", ARRAY.shape, ARRAY.dtype)


@pytest.mark.parametrize("made", [ARRAY[:1], [*ARRAY, ARRAY[0]]])
def test_pieces_of_too_few_or_too_many_bytes_are_no_shard(tmp_path, made):
    with pytest.raises(ValueError, match="gave"):
        write_shard(tmp_path / "a.npy", in_rows(ARRAY, made))
    assert not list(tmp_path.iterdir())


def damage(path):
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


def link(path):
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (os.unlink, "No such file"),
        (shorten, r"has \d+ bytes, expected \d+"),
        (link, "is a link"),
        pytest.param(
            pipe,
            "is not a file",
            marks=pytest.mark.skipif(
                not hasattr(os, "mkfifo"), reason="Windows has no such pipes"
            ),
        ),
        (lambda path: (path.unlink(), path.mkdir()), "is not a file|directory"),
    ],
    ids=["missing", "shorter", "link", "pipe", "folder"],
)
def test_what_is_not_the_file_that_was_written_is_not_opened(
    shard, change, message
):
    path, record = shard
    change(path)
    for use in (open_shard, read_shard, verify_shard):
        with pytest.raises(ShardError, match=message) as error:
            use(path.parent, record)
        assert str(path) in str(error.value)
    assert not is_unchanged(path.parent, record)
    assert adopt_shard(path, ARRAY.shape, ARRAY.dtype) is None


@pytest.mark.parametrize(
    "claim", [{"shape": (3, 2, 4)}, {"dtype": "int16"}, {"shape": (2, 12)}]
)
def test_an_array_of_another_shape_or_dtype_is_refused(shard, claim):
    path, record = shard
    record = dataclasses.replace(record, **claim)
    with pytest.raises(ShardError, match="as its manifest says"):
        read_shard(path.parent, record)
    assert adopt_shard(path, record.shape, record.dtype) is None


def test_a_shard_that_was_copied_gets_its_time_back(shard):
    path, record = shard
    os.utime(path, ns=(0, record.mtime_ns + 10**9))
    assert not is_unchanged(path.parent, record)
    assert verify_shard(path.parent, record) == record
    assert is_unchanged(path.parent, record)


def test_a_shard_that_was_edited_is_told(shard):
    path, record = shard
    damage(path)
    os.utime(path, ns=(0, record.mtime_ns + 10**9))
    with pytest.raises(ShardError, match="was changed after it was written"):
        verify_shard(path.parent, record)
    assert adopt_shard(path, ARRAY.shape, ARRAY.dtype) is None


def test_a_shard_under_another_name_is_not_that_one(shard):
    path, record = shard
    other = path.rename(path.with_name("b.images.npy"))
    assert adopt_shard(other, ARRAY.shape, ARRAY.dtype) is None
    other.rename(path)
    adopted, array = adopt_shard(path, ARRAY.shape, ARRAY.dtype)
    assert (adopted.checksum, adopted.bytes) == (record.checksum, record.bytes)
    np.testing.assert_array_equal(array, ARRAY)


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path):
    path = tmp_path / "folder" / "a.json"
    status = write_atomically(path, [b"one, ", b"two"])
    assert path.read_bytes() == b"one, two"
    assert status.st_size == 8

    def chunks():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(CacheWriteError, match=r"No space.*still valid"):
        write_atomically(path, chunks())
    assert path.read_bytes() == b"one, two"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(CacheWriteError, match=r"cannot write b\.json"):
        write_atomically(path / "b.json", [b""])  # below a file


def test_names_tell_content_apart_and_are_short_enough():
    key = {"a": 1, "b": [2, 3]}
    assert digest(key) == digest({"b": [2, 3], "a": 1})
    name = shard_name("leaf.png", "masks", key)
    assert name.startswith("leaf-")
    assert name.endswith(".masks.npy")
    assert shard_name("leaf.png", "masks", {**key, "a": 2}) != name
    for long in ("x" * 250 + ".png", "葉" * 80 + ".png"):
        assert len(os.fsencode(shard_name(long, "box_labels", key))) < 255
