"""The page of a cache shows patches with their labels, and counts them."""

import json

import numpy as np
import pytest
from page_reader import PageReader

from keras_patching import (
    load_dataset_from_directory_with_segmentation_masks,
    load_heatmap_dataset_with_csv_from_directory,
    load_yolo_dataset_from_directory,
)
from keras_patching.data.images.image_io import write_image
from keras_patching.data.inspection.cache_page import (
    cache_page,
    write_cache_pages,
)
from keras_patching.data.inspection.contents import CacheContents

BLUE = [86, 180, 233]


def page_of(sequence, **kwargs):
    contents = CacheContents(sequence.manifest_path)
    return PageReader(cache_page(contents, **kwargs))


def load_masks(tmp_path, patch_size=16):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir(exist_ok=True)
    image = np.full((16, 32, 3), 90, "uint8")
    mask = np.zeros((16, 32), "uint8")
    mask[:8, :16] = 1
    mask[0, 16:] = 255
    write_image(tmp_path / "images" / "a.png", image)
    write_image(tmp_path / "masks" / "a.png", mask)
    return load_dataset_from_directory_with_segmentation_masks(
        tmp_path / "images",
        tmp_path / "masks",
        patch_size=patch_size,
        num_classes=2,
        ignore_value=255,
        verbose=False,
    )


def test_it_shows_masks_areas_and_what_is_not_labelled(tmp_path):
    page = page_of(load_masks(tmp_path))
    assert [row[1][0] for row in page.rows] == [
        "a_0000_y0000_x0000",
        "a_0001_y0000_x0016",
    ]
    areas = [[float(number) for _, number in row[2:]] for row in page.rows]
    np.testing.assert_allclose(areas, [[0.5, 0.5, 0], [15 / 16, 0, 1 / 16]])
    assert "unlabelled" in page.head[-1]
    mask = np.asarray(page.pictures()[1])
    assert mask[3, 3].tolist() == [*BLUE, 128]
    assert mask[12, 3, 3] == 0
    of_second = np.asarray(page.pictures()[5])
    assert of_second[0, 0].tolist()[:3] == [128, 128, 128]


def test_it_shows_heatmaps_and_points(tmp_path):
    write_image(tmp_path / "a.png", np.full((32, 64, 3), 90, "uint8"))
    (tmp_path / "points.csv").write_text("a,8,9,12,20")
    page = page_of(
        load_heatmap_dataset_with_csv_from_directory(
            tmp_path,
            "points.csv",
            patch_size=32,
            density_map_sigma=2.0,
            verbose=False,
        )
    )
    objects = {row[1][0]: float(row[2][1]) for row in page.rows}
    assert objects == {"a_0000_y0000_x0000": 2, "a_0001_y0000_x0032": 0}
    assert page.named("circle", cx="8", cy="9")
    heatmap = np.asarray(page.pictures()[1])
    assert heatmap[9, 8, 3] > 150
    assert heatmap[31, 31, 3] == 0


def test_it_shows_the_boxes_of_each_class_and_the_stage(tmp_path):
    write_image(tmp_path / "a.png", np.full((64, 64, 3), 90, "uint8"))
    objects = [
        {"all_points_x": [x, x + 8], "all_points_y": [y, y + 6], "label": name}
        for x, y, name in ((4, 4, "<maize>"), (40, 30, "weed"))
    ]
    labels = {"a.png": {"objects": objects}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    page = page_of(
        load_yolo_dataset_from_directory(
            tmp_path / "labels.json",
            tmp_path,
            patch_size=32,
            grid_size=2,
            class_names=("<maize>", "weed"),
            verbose=False,
        )
    )
    assert page.head[2:] == ["Stage", "<maize>boxes", "weedboxes"]
    stages = {row[2][0] for row in page.rows}
    assert stages == {"grid", "augmented", "random"}
    for row in page.rows:
        assert float(row[3][1]) + float(row[4][1]) <= 2
    switches = page.named("input", type="checkbox")
    assert [each["value"] for each in switches] == ["boxes-0", "boxes-1"]
    boxes = sum(float(cell[1]) for row in page.rows for cell in row[3:])
    assert len(page.named("rect")) == boxes > 0


def test_it_says_what_the_cache_is(tmp_path):
    sequence = load_masks(tmp_path)
    page = page_of(sequence, num_patches=1)
    assert sequence.manifest_path.name in page.text
    assert "1 of 2 patches" in page.text or "2 of 2 patches" in page.text
    assert "16 x 16" in page.text


@pytest.mark.parametrize("count", [1, 2])
def test_each_cache_has_a_page(tmp_path, count):
    sequences = [load_masks(tmp_path, size) for size in (16, 8)[:count]]
    caches = [CacheContents(each.manifest_path) for each in sequences]
    paths = write_cache_pages(tmp_path / "out" / "page.html", caches)
    assert len({*paths}) == count
    for path, cache in zip(paths, caches, strict=True):
        assert cache.manifest_path.name in path.read_text("utf-8")
    if count == 1:
        assert paths == [tmp_path / "out" / "page.html"]
