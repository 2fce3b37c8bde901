"""What boxes share is the same in numpy and in graphs."""

import numpy as np
import pytest
from keras import ops

from keras_patching.box_geometry import (
    intersection_over_smaller,
    iou,
    pairwise_iou,
)
from keras_patching.ops import boxes as graph_boxes


@pytest.mark.parametrize(
    ("box", "other", "expected", "of_smaller"),
    [
        ((0, 0, 4, 4), (0, 0, 4, 4), 1, 1),
        ((0, 0, 4, 4), (2, 0, 6, 4), 1 / 3, 1 / 2),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 16, 1),
        ((0, 0, 4, 4), (4, 0, 8, 4), 0, 0),  # side by side
        ((0, 0, 4, 4), (9, 9, 10, 10), 0, 0),
        ((2, 2, 2, 2), (2, 2, 2, 2), 0, 0),  # without area
        ((-1, -1, -1, -1), (0, 0, 4, 4), 0, 0),  # padding
    ],
)
def test_the_share_of_what_two_boxes_have_in_common(
    box, other, expected, of_smaller
):
    box, other = np.array(box, "float32"), np.array(other, "float32")
    for one, two in ((box, other), (other, box)):
        assert iou(one, two) == pytest.approx(expected)
        found = intersection_over_smaller(one, two)
        assert found == pytest.approx(of_smaller)
        in_graph = graph_boxes.iou(*map(ops.convert_to_tensor, (one, two)))
        assert float(in_graph) == pytest.approx(expected)


def test_each_box_is_compared_with_each_other():
    corners = np.random.default_rng(0).uniform(0, 9, (7, 2))
    boxes = np.hstack([corners, corners + 4])
    found = pairwise_iou(boxes[:3], boxes[3:])
    expected = [[iou(one, two) for two in boxes[3:]] for one in boxes[:3]]
    np.testing.assert_allclose(found, expected)
