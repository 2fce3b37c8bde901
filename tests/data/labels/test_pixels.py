"""One convention of pixels: pixel `i` is from `i` to `i + 1` for everything."""

import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.labels.density_maps import density_map
from keras_patching.data.labels.masks import count_pixels
from keras_patching.data.patches.patch_augmentation import (
    augment_boxes,
    augment_pixels,
)
from keras_patching.data.patches.yolo_patch_sampler import boxes_in_patch
from keras_patching.geometry import PatchGrid
from keras_patching.models.counting.heatmap_labels import points_per_patch
from keras_patching.models.counting.peaks import find_peaks
from keras_patching.visualization import overlay_boxes, overlay_points

SIZE = (40, 60)
MOVES = (
    {"turns": 1},
    {"turns": 2},
    {"turns": 3},
    {"flip": "horizontal"},
    {"flip": "vertical"},
)


def boxes_around(points, margin=0.0):
    corners = np.hstack([points, points])[:, [1, 0, 3, 2]]
    return corners + np.array([-1, -1, 1, 1]) * margin


def some_points(count=9):
    rng = np.random.default_rng(0)
    return rng.uniform(0, SIZE, (count, 2))


@pytest.mark.parametrize("num_classes", [1, 2, 16, 17, 200])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
def test_pixels_are_counted_per_patch_and_class(num_classes, dtype):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 201, (3, 5, 7)).astype(dtype)
    expected = [
        [(mask == number).sum() for number in range(num_classes)]
        for mask in masks
    ]
    assert count_pixels(masks, num_classes) == {"pixels": expected}


@pytest.mark.parametrize("move", MOVES)
def test_a_map_of_moved_points_is_the_moved_map(move):
    points = some_points()
    moved = augment_boxes(boxes_around(points), move, SIZE)[:, [1, 0]]
    turned = augment_pixels(density_map(points, SIZE, sigma=2.0), move)
    np.testing.assert_allclose(
        density_map(moved, turned.shape, sigma=2.0), turned, atol=2e-5
    )


def test_the_middle_of_a_pixel_is_marked_in_it_and_found_there():
    point = np.array([[7.5, 11.5]])
    heatmap = density_map(point, SIZE, sigma=2.0)
    assert np.unravel_index(heatmap.argmax(), SIZE) == (7, 11)
    ((found, _),) = find_peaks(heatmap[None, ..., None], 0.01, 2.0)
    np.testing.assert_array_equal(found, point)


def test_a_patch_owns_a_point_as_it_owns_a_box_around_it():
    points = np.vstack([some_points(200), [(16.0, 32.0), (15.9, 31.9)]])
    grid = PatchGrid(SIZE, 16)
    owned = points_per_patch(points, grid)
    for origin, inside in zip(grid.origins, owned, strict=True):
        boxes = boxes_around(points, margin=3)
        indices, _ = boxes_in_patch(boxes, origin, grid.patch_size)
        expected = points[indices] - origin
        found = inside[inside[:, 0] >= 0]
        np.testing.assert_allclose(
            found[np.lexsort(found.T)],
            expected[np.lexsort(expected.T)],
            atol=1e-5,
        )


@pytest.mark.parametrize("point", [(20.5, 30.5), (20, 30), (9.5, 44.0)])
def test_rings_and_boxes_are_drawn_around_one_place(point):
    image = np.full((*SIZE, 3), 100, "uint8")
    box = boxes_around(np.array([point]), margin=7.5)
    for picture in (
        overlay_points(image, [point], radius=6),
        overlay_boxes(image, box),
    ):
        changed = np.argwhere((picture != 100).any(axis=-1)) + 0.5
        middle = (changed.min(axis=0) + changed.max(axis=0)) / 2
        assert np.abs(middle - point).max() <= 0.5


def test_what_is_located_is_read_as_it_is_written(tmp_path):
    heatmap = density_map([(7.5, 11.5), (30.5, 2.5)], SIZE, sigma=2.0)
    ((found, _),) = find_peaks(heatmap[None, ..., None], 0.01, 2.0)
    kp.data.write_image(tmp_path / "a.png", np.zeros(SIZE, "uint8"))
    rows = "".join(f"a,{x},{y}\n" for y, x in found.tolist())
    (tmp_path / "points.csv").write_text(f"image,x,y\n{rows}")
    read = kp.read_points(tmp_path, "points.csv")["a.png"]
    np.testing.assert_array_equal(density_map(read, SIZE, 2.0), heatmap)
