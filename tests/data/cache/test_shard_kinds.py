"""A kind of shard is an entry of one table: cutting to exporting follow it."""

import functools

import numpy as np
import pytest

from keras_patching import PatchingSequence
from keras_patching.data import export_patches, read_mask, write_image
from keras_patching.data.cache.opening import load_cache
from keras_patching.data.cache.patch_cache import PatchCache
from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.cache.shard_kinds import SHARD_KINDS, ShardKind
from keras_patching.data.images.listing import list_images
from keras_patching.data.inspection.contact_sheet import contact_sheet
from keras_patching.data.inspection.contents import CacheContents
from keras_patching.data.inspection.report import describe
from keras_patching.data.patched_dataset import tile_source
from keras_patching.data.pixel_options import PixelOptions

PATCH = (6, 8)


@pytest.fixture
def kinds(monkeypatch):
    """Kinds that a stranger adds: heights per pixel, and stems to point at."""
    entries = {
        "heights": ShardKind(("height", "width"), drawn="heatmap"),
        "stems": ShardKind((None, 2), padding=-1, drawn="points"),
    }
    for name, entry in entries.items():
        monkeypatch.setitem(SHARD_KINDS, name, entry)


def build(folder, stems=((1, 2), (2, 1))):
    """Two images of 2 patches, the first of which has more stems than one."""
    (folder / "images").mkdir()
    for name in ("a.png", "b.png"):
        write_image(folder / "images" / name, np.full((6, 16, 3), 9, "uint8"))
    cache = PatchCache(
        folder / "images", "growing", PATCH, {"value_range": [0, 255]}
    )
    pixels = PixelOptions(PATCH, 3, [0.0, 255.0])
    sources = [
        tile_source(
            path, cache.header(path), pixels, functools.partial(plans, count)
        )
        for path, count in zip(
            list_images(folder / "images").values(), stems, strict=True
        )
    ]
    return cache.build(sources, verbose=False)


def plans(counts, grid):
    stems = np.full((2, max(counts), 2), -1, "float32")
    for patch, count in zip(stems, counts, strict=True):
        patch[:count] = np.arange(count)[:, None] + (1, 2)
    heights = np.full((2, *PATCH), sum(counts), "float32")
    return [
        ShardPlan(kind, array.shape, array.dtype, array.tolist(), array.copy)
        for kind, array in (("heights", heights), ("stems", stems))
    ]


def test_a_new_kind_is_fed_under_its_name_and_padded(kinds, tmp_path):
    sequence = PatchingSequence(build(tmp_path), shuffle=False)
    images, labels = sequence[0]
    assert images.shape == (4, *PATCH, 3)
    assert labels.keys() == {"heights", "stems"}
    assert labels["heights"].shape == (4, *PATCH)
    assert (labels["heights"] == 3).all()
    assert labels["stems"].shape == (4, 2, 2)
    number = (labels["stems"] >= 0).all(axis=2).sum(axis=1)
    assert number.tolist() == [1, 2, 2, 1]
    held_out = PatchingSequence(sequence.manifest_path, names=["b.png"])
    assert held_out.read_labels()["stems"].shape == (2, 2, 2)


def test_a_new_kind_is_exported_and_drawn_as_its_entry_says(kinds, tmp_path):
    manifest_path = build(tmp_path)
    export_patches(manifest_path, tmp_path / "out", verbose=False)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"images", "heights"}
    heights = tmp_path / "out/heights/a_0000_y0000_x0000.tif"
    assert (read_mask(heights) == 3).all()
    rows = (tmp_path / "out/images/points.csv").read_text().splitlines()
    assert rows[0] == "a_0000_y0000_x0000,2.0,1.0"
    assert len(rows[1].split(",")) == 5
    contents = CacheContents(manifest_path)
    assert "heights, stems" in describe(contents)
    assert np.ptp(contact_sheet(contents)) > 0


def test_shards_of_a_wrong_shape_are_refused(kinds, monkeypatch, tmp_path):
    manifest_path = build(tmp_path)
    assert load_cache(manifest_path)
    wider = ShardKind(("height", "width", None), drawn="heatmap")
    monkeypatch.setitem(SHARD_KINDS, "heights", wider)
    with pytest.raises(ValueError, match=r"heights of a\.png cannot be"):
        load_cache(manifest_path)


def test_shards_of_no_known_kind_are_refused(kinds, monkeypatch, tmp_path):
    manifest_path = build(tmp_path)
    monkeypatch.delitem(SHARD_KINDS, "heights")
    with pytest.raises(ValueError, match="no kind of shards 'heights'"):
        load_cache(manifest_path)
    with pytest.raises(ValueError, match="no kind of shards 'heights'"):
        plans([1, 1], None)


def test_a_kind_is_drawn_in_a_way_that_there_is():
    with pytest.raises(ValueError, match="Received: drawn='volume'"):
        ShardKind((None, 2), drawn="volume")
