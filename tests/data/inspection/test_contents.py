"""What a cache holds is told from its manifest, and some patches shown."""

import json
import re

import numpy as np
import pytest

from keras_patching import (
    PatchingSequence,
    load_dataset_from_directory_with_segmentation_masks,
    load_heatmap_dataset_with_csv_from_directory,
    load_heatmap_dataset_with_heatmap_files_from_directory,
    load_yolo_dataset_from_directory,
)
from keras_patching.data.images.image_io import write_image
from keras_patching.data.inspection.contents import (
    CacheContents,
    inspect,
    list_caches,
)
from keras_patching.data.inspection.report import describe, describe_disk_use

SIZE, PATCH = (10, 14), 8


@pytest.fixture
def arrays():
    """Three images and masks of three classes, the last one rare."""
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (3, *SIZE, 3), dtype=np.uint8)
    masks = rng.integers(0, 2, (3, *SIZE), dtype=np.uint8)
    masks[1, 9, 9] = 2
    return images, masks


def build(tmp_path, arrays, patch_size=PATCH, ignore_value=None):
    for name, stack in zip(("images", "masks"), arrays, strict=True):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for index, array in enumerate(stack):
            write_image(folder / f"leaf_{index}.png", array)
    return load_dataset_from_directory_with_segmentation_masks(
        tmp_path / "images",
        tmp_path / "masks",
        patch_size,
        num_classes=3,
        ignore_value=ignore_value,
        verbose=False,
    ).manifest_path


def test_pixels_per_class_are_those_of_the_masks(tmp_path, arrays):
    contents = CacheContents(build(tmp_path, arrays))
    assert contents.class_pixels.shape == (12, 3)
    counts = np.bincount(arrays[1].ravel(), minlength=3)
    assert contents.class_pixels.sum(axis=0).tolist() == counts.tolist()
    assert contents.image_pixels.sum() == arrays[1].size


@pytest.mark.parametrize("ignored", [1, 255])
def test_ignored_pixels_are_told_from_padding(tmp_path, arrays, ignored):
    _, masks = arrays
    masks[0, :2] = ignored
    contents = CacheContents(build(tmp_path, arrays, ignore_value=ignored))
    counts = np.bincount(masks.ravel(), minlength=256)
    pixels = contents.class_pixels.sum(axis=0)
    assert pixels.tolist() == counts[:3].tolist()
    row = f"unlabelled{counts[255]:>20,}"
    assert (row in describe(contents)) == (ignored == 255)


def test_the_description_holds_what_one_asks_for(tmp_path, arrays):
    text = describe(CacheContents(build(tmp_path, arrays)))
    facts = dict(
        line.split(maxsplit=1) for line in text.splitlines()[1:] if line
    )
    assert facts["task"] == "segmentation"
    assert facts["images"] == "3"
    assert facts["patches"] == "12"
    assert facts["num_classes"] == "3"
    assert facts["padding"].startswith("45.3% ")
    assert facts["2"].split() == ["1", "0.002381", "1"]


def facts_of(contents):
    lines = filter(None, describe(contents).splitlines()[1:])
    return dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines)


def test_objects_are_counted_in_all_and_per_patch(tmp_path, arrays):
    build(tmp_path, arrays)
    (tmp_path / "images" / "points.csv").write_text(
        "leaf_0,1.5,2,9,3,9,3\nleaf_1,13,9\nleaf_2\n"
    )
    contents = CacheContents(
        load_heatmap_dataset_with_csv_from_directory(
            tmp_path / "images", "points.csv", PATCH, verbose=False
        ).manifest_path
    )
    assert contents.class_pixels is None
    assert contents.objects.tolist() == [1, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    facts = facts_of(contents)
    assert facts["objects"] == "4"
    assert facts["per patch"] == "0 to 2, 0.3333 on average"
    assert facts["empty patches"] == "9 (75.0%)"
    assert facts["labels"] == "heatmaps, points from points.csv"
    points = [contents.read_patch(index)["points"] for index in (0, 1, 2)]
    assert [each.tolist() for each in points] == [
        [[2, 1.5]],
        [[3, 1], [3, 1]],
        [],
    ]


def test_objects_of_ready_heatmaps_are_their_sum(tmp_path, arrays):
    build(tmp_path, arrays)
    (tmp_path / "heatmaps").mkdir()
    for index in range(3):
        heatmap = np.zeros(SIZE, "float32")
        heatmap[0, :8] = index * 0.1
        write_image(tmp_path / "heatmaps" / f"leaf_{index}.tif", heatmap)
    sequence = load_heatmap_dataset_with_heatmap_files_from_directory(
        tmp_path / "images", tmp_path / "heatmaps", PATCH, verbose=False
    )
    facts = facts_of(CacheContents(sequence.manifest_path))
    assert facts["objects"] == "2.40"
    assert facts["per patch"] == "0.00 to 1.60, 0.2 on average"


BOXES = {
    "leaf_0": [([1, 2, 6, 5], "a"), ([8, 3, 13, 9], "long name of a class")],
    "leaf_1": [([2, 2, 4, 9], "a")],
    "leaf_2": [],
}


def build_detection(tmp_path, arrays, store):
    build(tmp_path, arrays)
    entries = {
        name: {
            "objects": [
                {
                    "all_points_x": box[::2],
                    "all_points_y": box[1::2],
                    "label": label,
                }
                for box, label in objects
            ]
        }
        for name, objects in BOXES.items()
    }
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    return load_yolo_dataset_from_directory(
        tmp_path / "labels.json",
        tmp_path / "images",
        PATCH,
        grid_size=2,
        class_names=("a", "long name of a class", "none"),
        empty_patches=3,
        store=store,
        verbose=False,
    ).manifest_path


@pytest.mark.parametrize("store", ["patches", "images"])
def test_boxes_are_counted_in_images_patches_stages_and_classes(
    tmp_path, arrays, store
):
    manifest = build_detection(tmp_path, arrays, store)
    contents = CacheContents(manifest)
    sequence = PatchingSequence(manifest, batch_size=999, shuffle=False)
    labels = sequence[0][1]["labels"]
    boxes = (labels >= 0).sum()
    assert contents.class_objects.tolist() == [2, 1, 0]
    assert contents.class_boxes.shape == (len(labels), 3)
    assert contents.objects.sum() == contents.class_boxes.sum() == boxes
    facts = facts_of(contents)
    assert facts["labels"] == "boxes from ../labels.json"
    assert facts["objects"] == f"3, which are {boxes} in patches"
    found = re.fullmatch(
        r"(\d+) \(grid (\d+), augmented 8, random (\d+)\)", facts["patches"]
    )
    total, grid, random = map(int, found.groups())
    assert total == grid + 8 + random == len(labels)
    assert random == grid + 8 + 3
    empty = (labels < 0).all(axis=1).sum()
    assert facts["empty patches"].split()[0] == str(empty)
    of_class = labels == 1
    assert facts["long name of a class"].split() == [
        "1",
        str(of_class.sum()),
        str(of_class.any(axis=1).sum()),
    ]
    assert facts["none"].split() == ["0", "0", "0"]


@pytest.mark.parametrize("store", ["patches", "images"])
def test_a_patch_with_boxes_is_the_one_that_is_trained_on(
    tmp_path, arrays, store
):
    manifest = build_detection(tmp_path, arrays, store)
    contents = CacheContents(manifest)
    sequence = PatchingSequence(manifest, batch_size=999, shuffle=False)
    images, targets = sequence[0]
    for index, (image, boxes, labels) in enumerate(
        zip(images, targets["boxes"], targets["labels"], strict=True)
    ):
        patch = contents.read_patch(index)
        assert set(patch) == {"images", "boxes", "labels"}
        np.testing.assert_array_equal(patch["images"], image)
        np.testing.assert_array_equal(patch["boxes"], boxes[labels >= 0])
        np.testing.assert_array_equal(patch["labels"], labels[labels >= 0])


def test_a_patch_is_named_after_its_image_number_and_origin(tmp_path, arrays):
    contents = CacheContents(build(tmp_path, arrays))
    index = contents.names.index("leaf_1_0001_y0000_x0008")
    patch = contents.read_patch(index)
    images, masks = arrays
    np.testing.assert_array_equal(patch["images"][:, :6], images[1, :8, 8:])
    np.testing.assert_array_equal(patch["masks"][:, :6], masks[1, :8, 8:])


def test_shards_that_caches_share_count_once(tmp_path, arrays):
    first = build(tmp_path, arrays)
    second = build(tmp_path, arrays, ignore_value=7)
    caches, faults = inspect(first.parent)
    assert faults == []
    assert sorted(c.manifest_path for c in caches) == sorted([first, second])
    shards = list((first.parent / "shards").iterdir())
    assert len(shards) == 9
    size = sum(path.stat().st_size for path in shards)
    assert f"2 caches, {size:,} bytes" in describe_disk_use(caches)


def test_a_bad_cache_does_not_hide_the_others(tmp_path, arrays):
    manifest = build(tmp_path, arrays)
    manifest.with_name("broken.json").write_text("{")
    caches, (fault,) = inspect(manifest.parent)
    assert [cache.manifest_path for cache in caches] == [manifest]
    assert "broken.json: not a manifest" in fault


def test_folders_without_caches_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no manifest"):
        list_caches(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        list_caches(tmp_path / "missing")
