"""Counts and places are scored by their definition."""

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


# Of so few places many may lie near the others' mirror images.
@pytest.mark.filterwarnings("ignore:With y and x of the true points swapped")
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


@pytest.mark.parametrize(
    ("points", "truth", "tolerance", "message"),
    [
        ([[[1, 2]]], [[[1, 2]]], -1, "`tolerance`.*tolerance=-1"),
        ([[[1, 2]]], [[[1, 2]]], None, "`tolerance`"),
        ([[[1, 2, 3, 4]]], [[[1, 2]]], 3, r"`points\[0\]`.*\(n, 2\)"),
        ([[1, 2]], [[[1, 2]]], 3, r"`points\[0\]`.*\(n, 2\)"),
        ([[[1, 2]]], [[[np.nan, 2]]], 3, r"true_points\[0\]"),
        ([[[1, 2]]], [], 3, "1 and 0"),
    ],
)
def test_places_that_cannot_be_compared_are_refused(
    points, truth, tolerance, message
):
    with pytest.raises(ValueError, match=message):
        localization_scores(points, truth, tolerance)


def test_a_tolerance_of_0_is_the_same_place():
    points, truth = [[[1, 2], [5, 6]]], [[[1, 2], [5, 7]]]
    assert localization_scores(points, truth, tolerance=0)["recall"] == 0.5


def test_true_points_with_swapped_axes_are_warned_of():
    truth = np.random.default_rng(0).uniform(0, 99, (2, 6, 2))
    with pytest.warns(UserWarning, match="12 of 12 are hits, and . as they"):
        scores = localization_scores(truth, truth[:, :, ::-1], tolerance=2)
    assert scores["f1"] < 0.2
    assert localization_scores(truth, truth + 1, tolerance=2)["f1"] == 1
    far = localization_scores(truth, truth + 30, tolerance=2)  # no warning
    assert far["f1"] < 0.5


def test_a_count_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        count_errors([np.nan], [1])


def test_counts_of_different_images_are_refused():
    with pytest.raises(ValueError, match="one number per image"):
        count_errors([1, 2], [1])
