"""A contact sheet shows patches, their classes and what is unlabelled."""

import json

import numpy as np
import pytest

from keras_patching import (
    load_dataset_from_directory_with_segmentation_masks,
    load_heatmap_dataset_with_csv_from_directory,
    load_yolo_dataset_from_directory,
)
from keras_patching.data.images.image_io import write_image
from keras_patching.data.inspection.contact_sheet import contact_sheet
from keras_patching.data.inspection.contents import CacheContents
from keras_patching.visualization import COLORS, stacked


def make_contents(tmp_path, dtype="uint8", num_classes=3, ignore_value=255):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index in range(4):
        highest = 200 * np.iinfo(dtype).max // 255
        image = rng.integers(0, highest, (40, 40, 3)).astype(dtype)
        mask = np.zeros((40, 40), "uint8")
        mask[4:9, 4:9] = 1
        mask[20:25, 20:25] = num_classes - 1
        write_image(tmp_path / "images" / f"{index}.tif", image)
        write_image(tmp_path / "masks" / f"{index}.png", mask)
    sequence = load_dataset_from_directory_with_segmentation_masks(
        tmp_path / "images",
        tmp_path / "masks",
        patch_size=16,
        num_classes=num_classes,
        ignore_value=ignore_value,
        value_range=(0, np.iinfo(dtype).max),
        verbose=False,
    )
    return CacheContents(sequence.manifest_path)


def shows(sheet, color):
    return (sheet == np.array(color, "uint8")).all(axis=-1).any()


def test_every_class_is_in_the_picture(tmp_path):
    sheet = contact_sheet(make_contents(tmp_path), num_patches=6, columns=3)
    assert sheet.dtype == np.uint8
    assert all(shows(sheet, color) for color in (*COLORS[:2], (128,) * 3))
    assert not shows(sheet, COLORS[2])


def test_more_columns_make_it_wider(tmp_path):
    contents = make_contents(tmp_path)
    narrow = contact_sheet(contents, 6, columns=2)
    wide = contact_sheet(contents, 6, columns=3)
    assert narrow.shape[0] > wide.shape[0]
    assert narrow.shape[1] < wide.shape[1]
    assert stacked(narrow, wide).shape == (
        narrow.shape[0] + wide.shape[0],
        wide.shape[1],
        3,
    )


@pytest.mark.parametrize(("num_classes", "ignore"), [(12, None), (20, 1)])
def test_more_classes_than_colours_are_drawn(tmp_path, num_classes, ignore):
    contents = make_contents(tmp_path, "uint8", num_classes, ignore)
    assert shows(contact_sheet(contents), COLORS[(num_classes - 2) % 7])


def test_deep_images_are_scaled_to_the_screen(tmp_path):
    contents = make_contents(tmp_path, "uint16")
    assert contact_sheet(contents)[60:].std() > 40


def test_heatmaps_and_points_are_laid_over_empty_and_full_patches(tmp_path):
    write_image(tmp_path / "a.png", np.full((64, 64, 3), 90, "uint8"))
    (tmp_path / "points.csv").write_text("a,8,8,3,12,40,8")
    sequence = load_heatmap_dataset_with_csv_from_directory(
        tmp_path, "points.csv", 16, density_map_sigma=2.0, verbose=False
    )
    contents = CacheContents(sequence.manifest_path)
    for num_patches in (3, 16):
        sheet = contact_sheet(contents, num_patches, columns=3)
        cells = sheet[40:]  # below the legend
        assert shows(cells, COLORS[0])
        red, _, blue = np.moveaxis(cells.astype(int), -1, 0)
        assert (red > blue + 100).any()
        assert (cells == 90).all(axis=-1).sum() > 192 * 192


@pytest.mark.parametrize("store", ["patches", "images"])
def test_boxes_have_the_colour_of_their_class(tmp_path, store):
    names = "a", "an image whose name does not fit above a patch"
    for name in names:
        image = np.full((64, 64, 3), 90, "uint8")
        write_image(tmp_path / f"{name}.png", image)
    box = {"all_points_x": [8, 20], "all_points_y": [30, 39], "label": "leaf"}
    other = box | {"all_points_x": [30, 50], "label": "fruit"}
    entries = {
        names[0]: {"objects": [box, other]},
        names[1]: {"objects": [box]},
    }
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    sequence = load_yolo_dataset_from_directory(
        "labels.json",
        tmp_path,
        32,
        grid_size=2,
        class_names=("leaf", "fruit", "root"),
        augment=False,
        store=store,
        verbose=False,
    )
    contents = CacheContents(sequence.manifest_path)
    sheet = contact_sheet(contents, num_patches=12, columns=3)
    cells = sheet[60:]  # below the legend
    assert shows(cells, COLORS[0])
    assert shows(cells, COLORS[1])
    assert not shows(cells, COLORS[2])
    assert shows(sheet, COLORS[2])  # in the legend
    assert shows(cells, (90, 90, 90))
