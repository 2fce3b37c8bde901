import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patching.inference import covered_pixels
from keras_patching.inference.covered_pixels import count_pixels

ends = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)
boxes = st.tuples(ends, ends).map(
    lambda xy: (xy[0][0], xy[1][0], xy[0][1], xy[1][1])
)
box_lists = st.lists(boxes, max_size=12)


def as_map(boxes):
    pixels = np.zeros((20, 20), bool)
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2] = True
    return pixels


@settings(max_examples=100)
@given(box_lists, box_lists, box_lists)
def test_counts_are_those_of_maps_of_pixels(one, second, third):
    covered = as_map(one)
    expected = [
        (covered & each).sum()
        for each in (covered, *map(as_map, (second, third)))
    ]
    assert count_pixels(one, [second, third]) == expected


def test_many_boxes_are_counted_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    origins = rng.integers(0, 15, (50, 2))
    boxes = np.concatenate([origins, origins + 3], axis=1)
    expected = count_pixels(boxes, [boxes[:5]])
    monkeypatch.setattr(covered_pixels, "_MOST_CELLS", 40)
    assert count_pixels(boxes, [boxes[:5]]) == expected
    assert expected[0] == as_map(boxes).sum()
