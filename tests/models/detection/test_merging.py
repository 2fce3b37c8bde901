"""Merged boxes are those of the truth, each once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patching.geometry import PatchGrid
from keras_patching.models.detection.merging import (
    merge,
    place_boxes,
)

GRIDS = [
    PatchGrid((20, 33), 16),
    PatchGrid((9, 5), 16),
    PatchGrid((40, 37), 16, overlap=7),
    PatchGrid((40, 37), (12, 16), overlap=(10, 5)),
    PatchGrid((50, 30), 16, overlap=10, multiple_of=4),
]
seeds = st.integers(0, 2**32 - 1)


def draw_detections(rng, grid, count=6):
    """Draw what any detector may say, with ties, padding and empty boxes."""
    shape = (grid.rows, grid.cols, count)
    corners = rng.integers(-4, 2 * max(grid.patch_size), (*shape, 2)) / 2
    sizes = rng.integers(0, 24, (*shape, 2)) / 2
    return {
        "boxes": np.concatenate([corners, corners + sizes], axis=-1),
        "scores": rng.integers(-2, 9, shape) / 8,
        "labels": rng.integers(0, 2, shape),
    }


@given(seeds, st.sampled_from(GRIDS), st.sampled_from([None, 0, 3.0]))
def test_no_box_reaches_out_of_the_image(seed, grid, margin):
    detections = draw_detections(np.random.default_rng(seed), grid)
    merged = merge(detections, grid, margin=margin)
    height, width = grid.image_size
    left, top, right, bottom = merged["boxes"].T
    assert ((left >= 0) & (left < right) & (right <= width)).all()
    assert ((top >= 0) & (top < bottom) & (bottom <= height)).all()
    assert (np.diff(merged["scores"]) <= 0).all()


def seen_by_patches(objects, grid):
    """Say what an ideal detector would: whatever is seen, even in part."""
    shape = (grid.rows, grid.cols, len(objects))
    corners = np.array(grid.origins)[:, None, [1, 0, 1, 0]]
    height, width = grid.patch_size
    boxes = np.clip(objects - corners, 0, (width, height, width, height))
    is_seen = (boxes[..., 2:] > boxes[..., :2]).all(axis=-1)
    scores = np.where(is_seen, 1 - np.arange(len(objects)) / 1000, -1)
    return {
        "boxes": boxes.reshape(*shape, 4),
        "scores": scores.reshape(shape),
        "labels": np.zeros(shape, int),
    }


@st.composite
def grids_with_overlap(draw):
    multiple_of = draw(st.integers(1, 4))
    patch = multiple_of * draw(st.integers(4, 12))
    overlap = draw(st.integers(2 * multiple_of + 1, patch - multiple_of))
    lengths = st.integers(1, 3 * patch)
    image_size = draw(st.tuples(lengths, lengths))
    return PatchGrid(image_size, patch, overlap, multiple_of)


@settings(max_examples=200)
@given(seeds, grids_with_overlap())
def test_an_object_cut_by_a_seam_is_counted_once_and_whole(seed, grid):
    rng = np.random.default_rng(seed)
    # The middle of a shared zone is floored to `multiple_of`.
    largest = grid.overlap[0] - 2 * grid.multiple_of[0] + 1
    size = np.array(grid.image_size[::-1])
    sizes = rng.integers(1, 2 * np.minimum(size, largest) + 1, (15, 2)) / 2
    corners = rng.integers(0, 2 * (size - sizes) + 1) / 2
    objects = np.hstack([corners, corners + sizes])
    # Nothing is suppressed at 1: only ownership tells objects from copies.
    merged = merge(seen_by_patches(objects, grid), grid, iou_threshold=1)
    np.testing.assert_array_equal(merged["boxes"], objects)


@pytest.mark.parametrize(
    ("box", "col", "placed", "outside"),
    [
        ([1, 1, 3, 20], 0, [1, 1, 3, 16], 0),
        ([-2, -3, 5, 9], 0, [0, 0, 5, 9], 0),
        ([13, 1, 14.5, 9], 0, [13, 1, 14.5, 9], 0),
        ([13, 1, 15, 9], 0, [13, 1, 15, 9], 1e-300),  # on the border
        ([14, 1, 16, 9], 0, [14, 1, 16, 9], 1),
        ([0, 1, 1, 9], 1, [12, 1, 13, 9], 1.5),
        ([1, 1, 3, 9], 1, [13, 1, 15, 9], 0),
        ([12, 1, 18, 9], 1, [24, 1, 28, 9], 0),
        ([13, 1, 21, 9], 1, [25, 1, 28, 9], 1),  # its center is in the padding
        ([4, 9, 4, 12], 0, None, np.inf),
        ([np.nan, 9, 4, 12], 0, None, np.inf),
        ([-5, 9, -1, 12], 0, None, np.inf),
    ],
)
def test_boxes_are_placed_and_their_owner_told(box, col, placed, outside):
    grid = PatchGrid((16, 28), 16, overlap=4)  # the border is at 14
    (found,), ((y, x),) = place_boxes([box], [0], [col], grid)
    if placed:
        assert found.tolist() == placed
        assert y == 0
    assert x > 0 if outside == 1e-300 else x == outside


def test_what_two_patches_place_to_either_side_of_a_border_is_found():
    grid = PatchGrid((16, 28), 16, overlap=4)  # the border is at 14
    detections = {
        "boxes": [[[[10.5, 2, 18.5, 9]], [[-2.5, 2, 5.5, 9]]]],
        "scores": [[[0.8], [0.9]]],
        "labels": [[[0], [0]]],
    }
    merged = merge(detections, grid)
    assert merged["boxes"].tolist() == [[9.5, 2, 17.5, 9]]
    assert len(merge(detections, grid, margin=0)["boxes"]) == 0


def seen_with_noise(objects, grid, rng, noise=2.0):
    """Say what a detector would: each patch places what it sees anew."""
    height, width = grid.patch_size
    corners = np.array(grid.origins)[:, None, [1, 0, 1, 0]]
    edges = width, height, width, height
    shape = len(grid.origins), len(objects), 2
    moved = objects + np.tile(rng.normal(0, noise, shape), 2)
    boxes = np.clip(moved - corners, 0, edges)
    visible = np.clip(objects - corners, 0, edges)
    sizes = [(b[..., 2:] - b[..., :2]).prod(-1) for b in (visible, objects)]
    scores = np.where(
        sizes[0] > sizes[1] / 3, rng.uniform(0.3, 1, shape[:2]), -1
    )
    shape = grid.rows, grid.cols, len(objects)
    return {
        "boxes": boxes.reshape(*shape, 4),
        "scores": scores.reshape(shape),
        "labels": np.zeros(shape, int),
    }


def objects_apart(rng, image_size, largest, apart):
    """Draw an object per square of a raster, at some distance of others."""
    height, width = image_size
    y, x = np.meshgrid(
        np.arange(apart, height - apart, apart),
        np.arange(apart, width - apart, apart),
        indexing="ij",
    )
    centers = np.stack([x.ravel(), y.ravel()], axis=1)
    free = (apart - largest) / 4
    centers = centers + rng.uniform(-free, free, centers.shape)
    half = rng.uniform(largest / 2, largest, centers.shape) / 2
    return np.hstack([centers - half, centers + half])


@pytest.mark.parametrize(
    ("patch", "overlap", "largest", "apart"),
    [
        (64, 16, 16, 34),  # as large as the overlap
        (64, 16, 5, 24),  # as small as the noise
        (64, 40, 24, 44),  # up to nine patches see one
        (64, (24, 12), 12, 28),
        (128, 64, 40, 60),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_with_noise_nothing_is_lost_and_nothing_found_twice(
    patch, overlap, largest, apart, seed
):
    rng = np.random.default_rng(seed)
    grid = PatchGrid((420, 380), patch, overlap)
    objects = objects_apart(rng, grid.image_size, largest, apart)
    merged = merge(seen_with_noise(objects, grid, rng), grid)
    assert len(merged["boxes"]) == len(objects)
    distances = np.abs(merged["boxes"][:, None] - objects).max(axis=-1)
    nearest = distances.argmin(axis=1)
    assert sorted(nearest) == list(range(len(objects)))


@pytest.mark.parametrize("corner", [False, True])
@pytest.mark.parametrize("size", [4, 10, 16])
def test_neighbours_at_a_seam_stay_as_many_as_they_are(size, corner):
    grid = PatchGrid((112, 112), 64, overlap=16)  # the borders are at 56
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = 56 + rng.uniform(-8, 8)
        y = 56 + rng.uniform(-8, 8) if corner else 30.0
        gap = size + 4
        centers = np.array([[x, y], [x + gap, y], [x, y + gap]])
        objects = np.hstack([centers - size / 2, centers + size / 2])
        merged = merge(seen_with_noise(objects, grid, rng, noise=0.7), grid)
        assert len(merged["boxes"]) == 3


def detections_of(grid, *found):
    """Make detections of `(patch, box in the image, score, label)`."""
    shape = grid.rows * grid.cols, len(found)
    boxes, scores = np.zeros((*shape, 4)), np.full(shape, -1.0)
    labels = np.zeros(shape, int)
    for index, (patch, box, score, label) in enumerate(found):
        y, x = grid.origins[patch]
        boxes[patch, index] = np.subtract(box, (x, y, x, y))
        scores[patch, index], labels[patch, index] = score, label
    shape = grid.rows, grid.cols, len(found)
    return {
        "boxes": boxes.reshape(*shape, 4),
        "scores": scores.reshape(shape),
        "labels": labels.reshape(shape),
    }


SEAM = PatchGrid((64, 112), 64, overlap=16)  # the border is at 56
SMALL, LARGE = [54, 30, 60, 36], [50, 20, 63, 40]


@pytest.mark.parametrize(
    ("found", "number"),
    [
        # One patch places it beyond the border, and the other misses it.
        ([(0, SMALL, 0.9, 0)], 1),
        # Two patches name one object differently.
        ([(0, [51, 30, 57, 36], 0.9, 0), (1, SMALL, 0.8, 1)], 1),
        # Objects of two classes at one place, which both patches see.
        (
            [
                (patch, np.add(SMALL, patch), 0.9, label)
                for patch in (0, 1)
                for label in (0, 1)
            ],
            2,
        ),
        # A small object in a large one, the small one on the wrong sides.
        (
            [
                (0, LARGE, 0.9, 0),
                (1, LARGE, 0.8, 0),
                (0, [54, 30, 60, 36], 0.7, 0),
                (1, [52, 30, 58, 36], 0.6, 0),
            ],
            2,
        ),
        # A part that the edge of a patch cuts, far from the whole.
        ([(0, [60, 30, 64, 50], 0.9, 0), (1, [60, 30, 90, 50], 0.4, 0)], 1),
        # Only a part, which its owner does not see.
        ([(0, [58, 30, 64, 50], 0.9, 0)], 0),
        # What one patch says twice is one, whoever owns which.
        (
            [
                (0, [52, 30, 64, 50], 0.9, 0),
                (0, [48, 30, 60, 50], 0.8, 0),
                (1, [51, 30, 63, 50], 0.7, 0),
            ],
            1,
        ),
    ],
)
def test_at_a_seam_one_object_is_one_box(found, number):
    assert len(merge(detections_of(SEAM, *found), SEAM)["boxes"]) == number


def test_without_overlap_parts_that_touch_at_a_seam_stay_two():
    grid = PatchGrid((64, 128), 64)
    parts = (0, [58, 30, 64, 36], 0.9, 0), (1, [64, 30, 70, 36], 0.8, 0)
    assert len(merge(detections_of(grid, *parts), grid)["boxes"]) == 2
    # A detector that guesses the whole of what it sees a half of.
    guesses = (0, [59, 30, 71, 40], 0.9, 0), (1, [57, 30, 69, 40], 0.8, 0)
    assert len(merge(detections_of(grid, *guesses), grid)["boxes"]) == 1


def test_an_object_at_the_edge_of_an_image_is_not_lost_to_the_padding():
    grid = PatchGrid((60, 60), 64)
    found = detections_of(grid, (0, [57, 30, 64, 36], 0.9, 0))
    assert merge(found, grid)["boxes"].tolist() == [[57, 30, 60, 36]]


def test_nothing_merges_to_nothing():
    grid = PatchGrid((16, 28), 16, overlap=4)
    merged = merge(
        {
            "boxes": np.zeros((1, 2, 0, 4)),
            "scores": np.zeros((1, 2, 0)),
            "labels": np.zeros((1, 2, 0)),
        },
        grid,
    )
    assert merged["boxes"].shape == (0, 4)
    assert [merged[k].dtype for k in merged] == ["float32", "float32", "int32"]


def test_patches_of_another_grid_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2, n\)"):
        merge({"scores": np.zeros((2, 1, 3))}, PatchGrid((16, 28), 16, 4))


def test_a_margin_below_nothing_is_refused():
    with pytest.raises(ValueError, match="`margin` must be a number"):
        merge(detections_of(SEAM), SEAM, margin=-1)
