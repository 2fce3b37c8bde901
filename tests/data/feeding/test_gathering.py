"""Many places of files are read in one call, or that it cannot be is told."""

import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.feeding.gathering import FileMap, gather

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="nothing is gathered elsewhere"
)


def map_file(path, size):
    with open(path, "rb") as stream:
        return FileMap(stream.fileno(), size)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Two files of bytes, and maps of them."""
    folder = tmp_path_factory.mktemp("maps")
    contents = [os.urandom(10_000), os.urandom(5_000)]
    for index, content in enumerate(contents):
        (folder / f"{index}").write_bytes(content)
    return contents, [
        map_file(folder / f"{index}", len(content))
        for index, content in enumerate(contents)
    ]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4_000)), min_size=1),
    st.integers(1, 1_000),
)
def test_rows_are_what_lies_at_the_addresses(maps, places, length):
    contents, maps = maps
    targets = np.empty((len(places), length), "uint8")
    assert gather([maps[file].start + start for file, start in places], targets)
    for (file, start), target in zip(places, targets, strict=True):
        assert target.tobytes() == contents[file][start : start + length]


def test_more_places_are_read_than_the_system_takes_in_one_call(maps):
    contents, maps = maps
    places = np.random.default_rng(0).integers(0, 9_000, 2_500)
    targets = np.empty((2_500, 3), "uint16")
    assert gather(maps[0].start + places, targets)
    for start, target in zip(places, targets, strict=True):
        assert target.tobytes() == contents[0][start : start + 6]


def test_a_file_that_was_cut_off_does_not_end_the_process(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"1" * 100_000)
    mapped = map_file(path, 100_000)
    targets = np.empty((2, 1_000), "uint8")
    assert gather([mapped.start, mapped.start + 90_000], targets)
    os.truncate(path, 50_000)
    assert not gather([mapped.start, mapped.start + 90_000], targets)
    assert gather([mapped.start, mapped.start + 40_000], targets)
