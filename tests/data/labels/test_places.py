"""Truth that cannot be of its image is refused before it is scored."""

import numpy as np
import pytest

from keras_patching.data.labels.box_labels import as_true_boxes
from keras_patching.data.labels.point_labels import as_true_points

SIZE = (40, 60)


def check_boxes(boxes):
    truth = {"boxes": boxes, "labels": np.zeros(len(boxes), int)}
    return as_true_boxes(truth, "targets[0]", SIZE, 1)["boxes"]


@pytest.mark.parametrize(
    "points", [[], [(0, 0), (39.9, 59.9)], [(0, 1)], np.zeros((0, 2))]
)
def test_points_inside_are_taken(points):
    taken = as_true_points(points, "targets[0]", SIZE)
    np.testing.assert_array_equal(taken, np.reshape(points, (-1, 2)))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(5, 50), (50, 5)], r"is \(40, 60\)\. Received: y 5 to 50, x 5 to 50"),
        ([(50, 5), (9, 39)], r"With y and x swapped all would lie inside"),
        ([(-1, 5)], "`targets.0.` must be points"),
        ([(0.25, 0.5), (1, 0)], "They are fractions: multiply y by the height"),
    ],
)
def test_points_that_cannot_be_of_the_image_are_refused(points, words):
    with pytest.raises(ValueError, match=words):
        as_true_points(points, "targets[0]", SIZE)


@pytest.mark.parametrize(
    "boxes", [[], [(0, 0, 60, 40)], [(-3, -3, 9, 9), (50, 30, 70, 50)]]
)
def test_boxes_may_reach_beyond_the_edge(boxes):
    np.testing.assert_array_equal(
        check_boxes(boxes), np.reshape(boxes, (-1, 4))
    )


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([(5, 45, 9, 55)], "With x and y swapped all would lie inside"),
        ([(30, 20, 8, 8)], "The second corner comes before the first"),
        ([(0.25, 0.5, 0.5, 1)], "They are fractions: multiply x by the width"),
        ([(1, 2, 3, 4), (70, 50, 80, 60)], r"boxes.*x1 1 to 70, y1 2 to 50, x"),
    ],
)
def test_boxes_that_cannot_be_of_the_image_are_refused(boxes, words):
    with pytest.raises(ValueError, match=words):
        check_boxes(boxes)
