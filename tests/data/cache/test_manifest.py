"""A manifest says what was written, or it is refused."""

import os

import numpy as np
import pytest

from keras_patching.data.cache.manifest import (
    ManifestError,
    OutdatedManifestError,
    read_manifest,
    refresh_manifest,
    write_manifest,
)
from keras_patching.data.cache.records import FileRecord, Manifest, Source
from keras_patching.data.cache.shards import CacheWriteError, ShardRecord
from keras_patching.data.images.headers import ImageHeader


def shard(kind, shape, dtype):
    return ShardRecord(
        file=f"a.{kind}.npy",
        bytes=1000,
        mtime_ns=7,
        checksum="f" * 32,
        shape=shape,
        dtype=dtype,
        facts={"counts": [1.5, 2.5]},
    )


def make(**changes):
    """A cache of two patches of one image, whose points are kept too."""
    source = Source(
        name="grün.png",
        shards={
            "images": shard("images", (2, 8, 8, 3), "uint8"),
            "heatmaps": shard("heatmaps", (2, 8, 8), "float32"),
            "points": shard("points", (2, 5, 2), "float32"),
        },
        origins=[[0, 0], [0, 8]],
        stages=["tile", "tile"],
    )
    file = FileRecord(9, 1, 2, "0" * 64, (8, 16, 3, "uint8", False, False))
    fields = {
        "task": "counting",
        "patch_size": (8, 8),
        "parameters": {"sigma": 2.0},
        "label_path": "points.csv",
        "hashed_at_ns": 5,
        "files": {"grün.png": file},
        "sources": [source],
    }
    return Manifest(**{**fields, **changes})


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    manifest = make()
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path / manifest.file_name) == manifest
    assert os.listdir(tmp_path) == [manifest.file_name]


def test_it_tells_what_batches_are_made_of():
    manifest = make()
    assert manifest.kinds == ["images", "heatmaps", "points"]
    assert manifest.fed_kinds == ["images", "heatmaps"]
    assert manifest.num_patches == 2
    assert len(manifest.shards) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"task": "segmentation"},
        {"patch_size": (8, 16)},
        {"parameters": {"sigma": 3.0}},
        {"parameters": {"sigma": 2.0, "resize": 0.5}},
        {"label_path": "more.csv"},
    ],
)
def test_patches_of_another_kind_are_another_cache(change):
    assert make(**change).file_name != make().file_name


def test_new_content_takes_the_place_of_the_old():
    newer = make(hashed_at_ns=99, files={}, sources=[])
    assert newer.file_name == make().file_name
    assert newer.file_name.startswith("counting-8x8-")


def edit(text):
    return text.replace('"sigma":2.0', '"sigma":3.0')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit, "changed after it was written"),
        (lambda text: text[:-1], "not a manifest"),
        (lambda text: text + " ", "changed after it was written"),
        (lambda text: "[]", "not a manifest"),
        (lambda text: "{}", "not a manifest"),
        (lambda text: "", "not a manifest"),
        (lambda text: "[" * 10**5, "not a manifest"),
    ],
    ids=["edited", "cut", "longer", "list", "empty dict", "empty", "deep"],
)
def test_any_other_text_is_refused_by_name(change, message, tmp_path):
    write_manifest(tmp_path, make())
    path = tmp_path / make().file_name
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    with pytest.raises(ManifestError, match=message) as error:
        read_manifest(path)
    assert str(path) in str(error.value)
    assert not isinstance(error.value, OutdatedManifestError)


def test_a_missing_manifest_is_told(tmp_path):
    with pytest.raises(ManifestError, match="No such file"):
        read_manifest(tmp_path / "a.json")


def test_one_of_an_older_version_is_told_apart(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"format": "keras_patching.patch_cache", "version": 1}')
    with pytest.raises(OutdatedManifestError, match="another version"):
        read_manifest(path)


def test_a_manifest_that_was_renamed_stays_as_it_is(tmp_path):
    older, newer = make(), make(hashed_at_ns=99)
    write_manifest(tmp_path, older)
    path = tmp_path / older.file_name
    refresh_manifest(path, newer)
    assert read_manifest(path) == newer
    renamed = path.rename(tmp_path / "mine.json")
    refresh_manifest(renamed, older)
    assert read_manifest(renamed) == newer
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheWriteError, match=str(tmp_path / "file")):
        write_manifest(tmp_path / "file", make())


def test_the_record_of_a_file_keeps_its_header(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"pixels")
    header = ImageHeader((30, 40), np.int64(3), np.dtype("uint16"), True, True)
    record = FileRecord.of(b"pixels", path.stat(), header)
    assert record.size == 6
    assert record.image_header == header
    other = FileRecord.of(b"pixel5", path.stat(), header)
    assert other.sha256 != record.sha256


@pytest.mark.parametrize(
    ("size", "mtime", "ctime", "hashed_at", "trusted"),
    [
        (10, 5, 6, 7 + 2 * 10**9, True),
        (10, 5, 6, 6 + 2 * 10**9, False),
        (10, 5, 6, 4, False),
        (11, 5, 6, 10**12, False),
        (10, 4, 6, 10**12, False),
        (10, 5, 7, 10**12, False),
    ],
)
def test_files_are_trusted_by_size_times_and_age(
    size, mtime, ctime, hashed_at, trusted
):
    record = FileRecord(size=10, mtime_ns=5, ctime_ns=6, sha256="")
    fields = dict(st_size=size, st_mtime_ns=mtime, st_ctime_ns=ctime)
    stat = type("Stat", (), fields)
    assert record.is_trusted(stat, hashed_at) == trusted
