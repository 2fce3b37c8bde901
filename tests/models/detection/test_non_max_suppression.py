"""What suppression keeps is what a brute-force search keeps."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.models.detection import neighbours
from keras_patching.models.detection.non_max_suppression import (
    MATCH_METRICS,
    non_max_suppression,
)


def reference_iou(a, b, metric):
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
            and reference_iou(boxes[k], boxes[i], metric) > threshold
            for k in kept
        ):
            kept.append(i)
    return kept


def draw_boxes(rng, count, extent, largest):
    """Draw boxes on half pixels, some without area."""
    corners = rng.integers(-4, 2 * extent, (count, 2)) / 2
    sizes = rng.integers(0, 2 * largest, (count, 2)) / 2
    return np.hstack([corners, corners + sizes])


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 10, 80]),
    st.sampled_from([0, 0.3, 0.5, 1]),
    st.sampled_from(sorted(MATCH_METRICS)),
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
        patch.setattr(neighbours, "_MOST_PAIRS", most_pairs)
        kept = non_max_suppression(boxes, scores, labels, threshold, metric)
    expected = reference_suppress(boxes, scores, labels, threshold, metric)
    assert kept.tolist() == expected


def test_a_part_of_an_object_is_dropped_by_the_smaller_area():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 3]]
    keep = [
        non_max_suppression(boxes, [1, 0.5], [0, 0], 0.5, m)
        for m in ("iou", "ios")
    ]
    assert [len(k) for k in keep] == [2, 1]


def test_ten_thousand_boxes_in_one_place_need_little_memory():
    rng = np.random.default_rng(0)
    boxes = rng.random((10_000, 4)) + np.array([5, 5, 50, 50])
    scores = rng.random(len(boxes))
    tracemalloc.start()
    try:
        kept = non_max_suppression(
            boxes, scores, np.zeros(len(boxes), int), 0.5
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept.tolist() == [scores.argmax()]
    assert peak < 300e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"match_metric": "giou"}, "`match_metric` must be one of"),
        ({"iou_threshold": 50}, "`iou_threshold` must be from 0 to 1"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments, message):
    arguments = {"iou_threshold": 0.5, **arguments}
    with pytest.raises(ValueError, match=message):
        non_max_suppression([[0, 0, 1, 1]], [1], [0], **arguments)
