"""Exported files hold the patches exactly; nothing is overwritten."""

import json
import shutil

import numpy as np
import pytest

from keras_patching import (
    PatchingSequence,
    load_dataset_from_directory_with_segmentation_masks,
    load_heatmap_dataset_with_csv_from_directory,
    load_heatmap_dataset_with_heatmap_files_from_directory,
    load_heatmap_dataset_with_json_files_from_directory,
    load_yolo_dataset_from_directory,
    read_boxes,
)
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.inspection import export as exporting
from keras_patching.data.inspection.contents import CacheContents


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
    ).manifest_path


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
    ).manifest_path


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
    before, after = points_of(manifest), points_of(again.manifest_path)
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
    again = load_heatmap_dataset_with_heatmap_files_from_directory(
        out / "images", out / "heatmaps", 16, shuffle=False, verbose=False
    )
    for ours, other in zip(
        again[0], PatchingSequence(manifest, shuffle=False)[0], strict=True
    ):
        np.testing.assert_array_equal(ours, other)
    # What was ready heatmaps has no points.
    exporting.export_patches(again.manifest_path, tmp_path / "2", verbose=False)
    names = {path.suffix for path in (tmp_path / "2").glob("*/*")}
    assert names == {".png", ".tif"}


CLASSES = ("leaf", "Blüte")
BOXES = {
    "a.b": [[0.5, 3, 9.25, 8.1], [11, 2, 19, 12], [30, 19, 40, 28]],
    "c d": [[4, 4, 6, 7]],
    "none": [],
}


def build_detection(tmp_path, store="patches"):
    """Three images of boxes of two classes, in patches of 12 x 16 pixels."""
    rng = np.random.default_rng(0)
    (tmp_path / "trays").mkdir(exist_ok=True)
    entries = {}
    for name, boxes in BOXES.items():
        image = rng.integers(0, 255, (28, 40, 3)).astype("uint8")
        write_image(tmp_path / "trays" / f"{name}.png", image)
        entries[name] = {
            "objects": [
                {
                    "all_points_x": [x1, x2],
                    "all_points_y": [y1, y2],
                    "label": CLASSES[index % 2],
                }
                for index, (x1, y1, x2, y2) in enumerate(boxes)
            ]
        }
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    return load_detection(
        tmp_path / "labels.json", tmp_path / "trays", store=store
    ).manifest_path


def load_detection(label_file, image_dir, **kwargs):
    return load_yolo_dataset_from_directory(
        label_file,
        image_dir,
        (12, 16),
        grid_size=2,
        class_names=CLASSES,
        empty_patches=2,
        seed=0,
        verbose=False,
        **kwargs,
    )


def detection_patches(manifest):
    """Give images, and per image its boxes and labels without padding."""
    sequence = PatchingSequence(manifest, batch_size=999, shuffle=False)
    images, targets = sequence[0]
    has_object = targets["labels"] >= 0
    return images, [
        (boxes[some], labels[some])
        for boxes, labels, some in zip(
            targets["boxes"], targets["labels"], has_object, strict=True
        )
    ]


@pytest.mark.parametrize("store", ["patches", "images"])
def test_exported_boxes_are_a_data_set(tmp_path, store):
    manifest = build_detection(tmp_path, store)
    out = tmp_path / "out"
    count = exporting.export_patches(manifest, out, verbose=False)
    images, targets = detection_patches(manifest)
    assert count == len(images) > 20
    names = CacheContents(manifest).names
    exported = read_boxes(out / "labels.json", out / "images", CLASSES)
    assert sorted(exported) == sorted(f"{name}.png" for name in names)
    for name, image, (boxes, labels) in zip(
        names, images, targets, strict=True
    ):
        file = f"{name}.png"
        np.testing.assert_array_equal(read_image(out / "images" / file), image)
        order = np.lexsort((labels, *boxes.T[[2, 3, 0, 1]]))
        found = exported[file]["boxes"].astype("float32")
        np.testing.assert_array_equal(found, boxes[order])
        np.testing.assert_array_equal(exported[file]["labels"], labels[order])
    again = load_detection(out / "labels.json", out / "images")
    assert len(again.image_names) == count


def test_both_stores_are_exported_as_the_same_files(tmp_path):
    files = []
    for store in ("patches", "images"):
        manifest, out = build_detection(tmp_path, store), tmp_path / store
        exporting.export_patches(manifest, out, verbose=False)
        files.append(
            {
                path.relative_to(out): path.read_bytes()
                for path in out.rglob("*.*")
            }
        )
    assert files[0] == files[1]


def test_yolo_rows_are_fractions_of_the_patch_and_name_no_padding(tmp_path):
    manifest = build_detection(tmp_path)
    out = tmp_path / "out"
    exporting.export_patches(manifest, out, verbose=False)
    assert (out / "classes.txt").read_text("utf-8").split() == list(CLASSES)
    _, targets = detection_patches(manifest)
    without_objects = 0
    for name, (boxes, labels) in zip(
        CacheContents(manifest).names, targets, strict=True
    ):
        text = (out / "labels" / f"{name}.txt").read_text()
        rows = np.array([line.split() for line in text.splitlines()], float)
        rows = rows.reshape(-1, 5)
        without_objects += not len(rows)
        assert rows[:, 0].tolist() == labels.tolist()
        center, size = rows[:, 1:3] * (16, 12), rows[:, 3:] * (16, 12)
        np.testing.assert_allclose(center - size / 2, boxes[:, :2], atol=1e-4)
        np.testing.assert_allclose(center + size / 2, boxes[:, 2:], atol=1e-4)
    assert without_objects >= 2


def test_a_copy_of_whole_images_loads_alone_and_draws_other_patches(tmp_path):
    manifest = build_detection(tmp_path, "images")
    copied = exporting.export_copy(manifest, tmp_path / "copy", verbose=False)
    expected, _ = detection_patches(manifest)
    for path in manifest.parent.glob("shards/*"):
        path.unlink()
    images, _ = detection_patches(copied)
    np.testing.assert_array_equal(images, expected)
    sequence = PatchingSequence(copied, batch_size=999, shuffle=False)
    sequence.resample(1)
    assert (sequence[0][0] != expected).any()


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
    build(tmp_path)
    for folder in ("images", "masks"):
        first = tmp_path / folder / "a.b_0.tif"
        shutil.copyfile(first, first.with_name(f"{'x' * 250}.tif"))
    manifest = build(tmp_path)  # names of its patches are too long for files
    with pytest.raises(ValueError, match="nothing was exported"):
        exporting.export_patches(manifest, tmp_path / "out", verbose=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_export_left_does_not_block_its_folder(tmp_path):
    manifest = build(tmp_path)
    left = tmp_path / "out" / ".export-abcd_123"
    left.mkdir(parents=True)
    (left / "half.png").write_text("half")
    assert exporting.export_patches(manifest, tmp_path / "out", verbose=False)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "images",
        "masks",
    ]
    (tmp_path / "out2").mkdir()
    (tmp_path / "out2" / ".export-mine").write_text("kept")
    with pytest.raises(ValueError, match="not empty"):
        exporting.export_patches(manifest, tmp_path / "out2", verbose=False)
