"""Scores agree with their definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patching.metrics import count_errors, localization_scores

places = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=0, max_size=5
)


def most_hits(points, true_points, tolerance):
    """Try every way of pairing."""
    shorter, longer = sorted((points, true_points), key=len)
    return max(
        sum(
            np.hypot(a[0] - b[0], a[1] - b[1]) <= tolerance
            for a, b in zip(shorter, chosen, strict=True)
        )
        for chosen in itertools.permutations(longer, len(shorter))
    )


@settings(max_examples=60)
@given(st.lists(st.tuples(places, places), min_size=1, max_size=3))
def test_as_many_points_are_matched_as_can_be(images):
    points, true_points = zip(*images, strict=True)
    hits = sum(most_hits(*image, tolerance=3) for image in images)
    scores = localization_scores(points, true_points, tolerance=3)
    found, true = sum(map(len, points)), sum(map(len, true_points))
    assert scores["precision"] == (hits / found if found else 0)
    assert scores["recall"] == (hits / true if true else 0)


def test_errors_of_counts_are_per_image_and_per_object():
    errors = count_errors([8.0, 0.0, 33.0], [10, 0, 30])
    assert errors["count_mae"] == pytest.approx(5 / 3)
    assert errors["count_relative_error"] == pytest.approx(5 / 40)
    assert np.isnan(count_errors([1.0], [0])["count_relative_error"])


def test_counts_of_different_images_are_refused():
    with pytest.raises(ValueError, match="one number per image"):
        count_errors([1, 2], [1])
