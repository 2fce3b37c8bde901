"""Exported files hold the patches exactly; nothing is overwritten."""

import os

import numpy as np
import pytest

from keras_patching import (
    PatchingSequence,
    load_dataset_from_directory_with_segmentation_masks,
    load_heatmap_dataset_with_csv_from_directory,
    load_heatmap_dataset_with_json_files_from_directory,
)
from keras_patching.data import exporting
from keras_patching.data.image_io import read_image, read_mask, write_image
from keras_patching.data.inspecting import CacheContents
from keras_patching.models import counting


def build(tmp_path, dtype="uint8", patch_size=8, num_classes=2):
    rng = np.random.default_rng(0)
    highest = np.iinfo(dtype).max
    for index in range(2):
        image = rng.integers(0, highest, (10, 14, 3)).astype(dtype)
        mask = rng.integers(0, num_classes, (10, 14)).astype("uint16")
        for folder, array in (("images", image), ("masks", mask)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_image(tmp_path / folder / f"a.b_{index}.tif", array)
    return load_dataset_from_directory_with_segmentation_masks(
        tmp_path / "images",
        tmp_path / "masks",
        patch_size,
        num_classes=num_classes,
        value_range=(0, highest),
        verbose=False,
    ).manifest


@pytest.mark.parametrize(
    ("dtype", "num_classes", "suffixes"),
    [("uint8", 2, ("png", "png")), ("uint16", 300, ("tif", "png"))],
)
def test_files_hold_the_patches(tmp_path, dtype, num_classes, suffixes):
    manifest = build(tmp_path, dtype, num_classes=num_classes)
    out = tmp_path / "new" / "out"
    assert exporting.export_patches(manifest, out, verbose=False) == 8
    assert sorted(path.name for path in out.iterdir()) == ["images", "masks"]
    images, masks = PatchingSequence(manifest, shuffle=False)[0]
    for index, name in (
        (1, "a.b_0_0001_y0000_x0008"),
        (6, "a.b_1_0002_y0008_x0000"),
    ):
        image = read_image(out / "images" / f"{name}.{suffixes[0]}")
        mask = read_mask(out / "masks" / f"{name}.{suffixes[1]}")
        assert image.dtype == dtype
        np.testing.assert_array_equal(image, images[index])
        np.testing.assert_array_equal(mask, masks[index])
    assert len(list(out.glob("*/*"))) == 16


def test_exported_folders_are_a_data_set(tmp_path):
    manifest = build(tmp_path)
    exporting.export_patches(manifest, tmp_path / "out", verbose=False)
    again = load_dataset_from_directory_with_segmentation_masks(
        tmp_path / "out/images", tmp_path / "out/masks", 8, shuffle=False
    )
    for ours, other in zip(
        again[0], PatchingSequence(manifest, shuffle=False)[0], strict=True
    ):
        np.testing.assert_array_equal(ours, other)


def build_counting(tmp_path):
    """Two images of four patches; of their points one pair is twice."""
    rng = np.random.default_rng(0)
    (tmp_path / "cells").mkdir()
    for name in ("a.b", "c d"):
        image = rng.integers(0, 255, (20, 28, 3)).astype("uint8")
        write_image(tmp_path / "cells" / f"{name}.png", image)
    (tmp_path / "cells" / "points.csv").write_text(
        "a.b,0,0,7.1,3.3,7.1,3.3,16,15.999,27.9999,19.123456789\nc d\n"
    )
    return load_heatmap_dataset_with_csv_from_directory(
        tmp_path / "cells", "points.csv", 16, density_map_sigma=1, verbose=False
    ).manifest


def points_of(manifest):
    contents = CacheContents(manifest)
    return {
        name: contents.read_patch(index)["points"]
        for index, name in enumerate(contents.names)
    }


@pytest.mark.parametrize("form", ["csv", "json"])
def test_exported_points_are_a_data_set(tmp_path, form):
    manifest = build_counting(tmp_path)
    exporting.export_patches(manifest, tmp_path / "out", verbose=False)
    folder = tmp_path / "out" / "images"
    kwargs = {"shuffle": False, "verbose": False, "density_map_sigma": 1}
    if form == "csv":
        again = load_heatmap_dataset_with_csv_from_directory(
            folder, "points.csv", 16, **kwargs
        )
    else:
        again = load_heatmap_dataset_with_json_files_from_directory(
            folder, 16, **kwargs
        )
    before, after = points_of(manifest), points_of(again.manifest)
    assert sum(map(len, before.values())) == 5
    for (name, ours), (other_name, other) in zip(
        before.items(), after.items(), strict=True
    ):
        assert other_name == f"{name}_0000_y0000_x0000"
        np.testing.assert_array_equal(ours, other)
    images, heatmaps = again[0]
    counts = [len(points) for points in before.values()]
    np.testing.assert_allclose(heatmaps.sum(axis=(1, 2)), counts, rtol=1e-5)
    expected, _ = PatchingSequence(manifest, shuffle=False)[0]
    np.testing.assert_array_equal(images, expected)


def test_exported_heatmaps_are_those_of_the_cache(tmp_path):
    manifest = build_counting(tmp_path)
    out = tmp_path / "out"
    exporting.export_patches(manifest, out, verbose=False)
    again = counting.load_dataset_from_directory_with_segmentation_masks(
        out / "images", out / "heatmaps", 16, shuffle=False, verbose=False
    )
    for ours, other in zip(
        again[0], PatchingSequence(manifest, shuffle=False)[0], strict=True
    ):
        np.testing.assert_array_equal(ours, other)
    # What was ready heatmaps has no points.
    exporting.export_patches(again.manifest, tmp_path / "2", verbose=False)
    names = {path.suffix for path in (tmp_path / "2").glob("*/*")}
    assert names == {".png", ".tif"}


def test_a_copy_loads_alone_and_holds_no_more_than_it_needs(tmp_path):
    manifest = build(tmp_path)
    build(tmp_path, patch_size=4)
    copied = exporting.export_copy(manifest, tmp_path / "copy", verbose=False)
    expected = PatchingSequence(manifest, shuffle=False)[0]
    for path in manifest.parent.glob("shards/*"):
        path.unlink()
    assert copied.parent == tmp_path / "copy"
    assert len(list((tmp_path / "copy").iterdir())) == 2
    assert len(list((tmp_path / "copy" / "shards").iterdir())) == 4
    sequence = PatchingSequence(tmp_path / "copy", shuffle=False)
    for ours, other in zip(sequence[0], expected, strict=True):
        np.testing.assert_array_equal(ours, other)


@pytest.mark.parametrize("export", ["export_patches", "export_copy"])
def test_a_folder_that_is_in_use_is_refused(tmp_path, export):
    manifest = build(tmp_path)
    export = getattr(exporting, export)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"not empty \(it holds images, "):
        export(manifest, tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        export(manifest, tmp_path / "images/a.b_0.tif")
    with pytest.raises(ValueError, match="writing failed"):
        export(manifest, tmp_path / "images/a.b_0.tif/out")
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    export(manifest, tmp_path / "empty", verbose=False)


def test_nothing_is_left_of_an_export_that_failed(tmp_path):
    manifest = build(tmp_path)
    shard = next(manifest.parent.glob("shards/a.b_1-*.masks.npy"))
    stat = shard.stat()
    shard.write_bytes(b"x" * stat.st_size)
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(ValueError, match=r"\w"):
        exporting.export_patches(manifest, tmp_path / "out", verbose=False)
    assert list((tmp_path / "out").iterdir()) == []
