"""Merged boxes are those of a brute-force search, and of the truth."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patching.geometry import PatchGrid
from keras_patching.models.detection import merging
from keras_patching.models.detection.merging import (
    merge,
    own_boxes,
    suppress_in_image,
)

GRIDS = [
    PatchGrid((20, 33), 16),
    PatchGrid((9, 5), 16),
    PatchGrid((40, 37), 16, overlap=7),
    PatchGrid((40, 37), (12, 16), overlap=(10, 5)),
    PatchGrid((50, 30), 16, overlap=10, multiple_of=4),
]
seeds = st.integers(0, 2**32 - 1)


def overlap_of(a, b, metric):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    shared = width * height
    return shared / (min(areas) if metric == "ios" else sum(areas) - shared)


def reference_suppress(boxes, scores, labels, threshold, metric="iou"):
    """Compare every box with every better one that was kept."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if not any(
            labels[i] == labels[k]
            and overlap_of(boxes[k], boxes[i], metric) > threshold
            for k in kept
        ):
            kept.append(i)
    return kept


def reference_owned(box, row, col, grid):
    """Return a box of a patch in the image, None if it is not its own."""
    y, x = grid.origins[row * grid.cols + col]
    x1, y1, x2, y2 = box[0] + x, box[1] + y, box[2] + x, box[3] + y
    ends = []
    for low, high, index, axis in (
        (x1, x2, col, grid.x_axis),
        (y1, y2, row, grid.y_axis),
    ):
        last = index == axis.count - 1
        end = axis.length if last else axis.border(index + 1)
        if not axis.border(index) <= (low + high) / 2 < end:
            return None
        ends.append((max(low, 0), min(high, axis.length)))
    (x1, x2), (y1, y2) = ends
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def draw_boxes(rng, count, extent, largest):
    """Draw boxes on half pixels, some without area."""
    corners = rng.integers(-4, 2 * extent, (count, 2)) / 2
    sizes = rng.integers(0, 2 * largest, (count, 2)) / 2
    return np.hstack([corners, corners + sizes])


def draw_detections(rng, grid, count=6):
    """Draw what any detector may say, with ties and padding."""
    shape = (grid.rows, grid.cols, count)
    boxes = draw_boxes(rng, np.prod(shape), max(grid.patch_size), 12)
    return {
        "boxes": boxes.reshape(*shape, 4),
        "scores": rng.integers(-2, 9, shape) / 8,
        "labels": rng.integers(0, 2, shape),
    }


@given(
    seeds,
    st.sampled_from([1, 10, 80]),
    st.sampled_from([0, 0.3, 0.5, 1]),
    st.sampled_from(merging.METRICS),
    st.sampled_from([4, 60, 10**6]),
)
def test_the_boxes_kept_are_those_of_comparing_all_pairs(
    seed, largest, threshold, metric, most_pairs
):
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 60)
    boxes = draw_boxes(rng, count, extent=40, largest=largest)
    scores, labels = rng.integers(0, 9, count) / 8, rng.integers(0, 3, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_MOST_PAIRS", most_pairs)
        kept = suppress_in_image(boxes, scores, labels, threshold, metric)
    expected = reference_suppress(boxes, scores, labels, threshold, metric)
    assert kept.tolist() == expected


@given(seeds, st.sampled_from(GRIDS), st.sampled_from(merging.METRICS))
def test_merged_boxes_are_those_of_one_by_one(seed, grid, metric):
    detections = draw_detections(np.random.default_rng(seed), grid)
    merged = merge(detections, grid, 0.4, metric)
    owned = []  # (box, score, label)
    for row, col, i in np.ndindex(detections["scores"].shape):
        if detections["scores"][row, col, i] >= 0:
            box = detections["boxes"][row, col, i]
            box = reference_owned(box, row, col, grid)
            values = (detections[k][row, col, i] for k in ("scores", "labels"))
            owned += [(box, *values)] if box else []
    boxes, scores, labels = ([o[k] for o in owned] for k in range(3))
    kept = reference_suppress(boxes, scores, labels, 0.4, metric)
    found = list(
        zip(
            map(tuple, merged["boxes"].tolist()),
            merged["scores"].tolist(),
            merged["labels"].tolist(),
            strict=True,
        )
    )
    assert found == [owned[i] for i in kept]


@given(seeds, st.sampled_from(GRIDS), st.sampled_from([0.0, 3.0]))
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
    ("box", "col", "placed"),
    [
        ([1, 1, 3, 20], 0, [1, 1, 3, 16]),
        ([-2, -3, 5, 9], 0, [0, 0, 5, 9]),
        ([13, 1, 14.5, 9], 0, [13, 1, 14.5, 9]),
        ([13, 1, 15, 9], 0, None),  # its centre is on the border
        ([1, 1, 3, 9], 1, [13, 1, 15, 9]),
        ([12, 1, 18, 9], 1, [24, 1, 28, 9]),
        ([13, 1, 19, 9], 1, None),  # its centre is beyond the image
        ([1, 9, 3, 24], 0, None),
        ([4, 9, 4, 12], 0, None),
        ([np.nan, 9, 4, 12], 0, None),
    ],
)
def test_a_box_is_placed_by_the_patch_that_owns_its_centre(box, col, placed):
    grid = PatchGrid((16, 28), 16, overlap=4)  # the border is at 14
    boxes, kept = own_boxes([box], [0], [col], grid)
    assert boxes.tolist() == ([placed] if placed else [])
    assert kept.tolist() == ([0] if placed else [])


def test_a_margin_finds_what_two_patches_place_to_either_side_of_a_border():
    grid = PatchGrid((16, 28), 16, overlap=4)  # the border is at 14
    detections = {
        "boxes": [[[[10.5, 2, 18.5, 9]], [[-2.5, 2, 5.5, 9]]]],
        "scores": [[[0.8], [0.9]]],
        "labels": [[[0], [0]]],
    }
    assert len(merge(detections, grid)["boxes"]) == 0
    merged = merge(detections, grid, margin=1)
    assert merged["boxes"].tolist() == [[9.5, 2, 17.5, 9]]


def test_a_part_of_an_object_is_dropped_by_the_smaller_area():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 3]]
    keep = [
        suppress_in_image(boxes, [1, 0.5], [0, 0], 0.5, m)
        for m in ("iou", "ios")
    ]
    assert [len(k) for k in keep] == [2, 1]


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


def test_ten_thousand_boxes_in_one_place_need_little_memory():
    rng = np.random.default_rng(0)
    boxes = rng.random((10_000, 4)) + np.array([5, 5, 50, 50])
    scores = rng.random(len(boxes))
    tracemalloc.start()
    try:
        kept = suppress_in_image(boxes, scores, np.zeros(len(boxes), int), 0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept.tolist() == [scores.argmax()]
    assert peak < 300e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "giou"}, "`metric` must be one of"),
        ({"iou_threshold": 50}, "`iou_threshold` must be from 0 to 1"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments, message):
    arguments = {"iou_threshold": 0.5, **arguments}
    with pytest.raises(ValueError, match=message):
        suppress_in_image([[0, 0, 1, 1]], [1], [0], **arguments)


def test_patches_of_another_grid_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2, n\)"):
        merge({"scores": np.zeros((2, 1, 3))}, PatchGrid((16, 28), 16, 4))
