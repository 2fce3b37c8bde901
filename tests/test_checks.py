"""Arguments are what they must be, or the error says what was found."""

import numpy as np
import pytest

from keras_patching._checks import as_boxes, as_points, check_integer


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_an_integer_of_python_or_numpy_becomes_an_int(value):
    number = check_integer(value, "seed", 0)
    assert number == 3
    assert type(number) is int


@pytest.mark.parametrize(
    "value", [True, np.True_, 2.0, "2", None, -1, np.array(2.5), np.array([2])]
)
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(ValueError, match=r"`seed` must .* Received: seed="):
        check_integer(value, "seed", 0)


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 4)), np.zeros((1, 0))])
def test_no_objects_are_an_empty_array(empty):
    assert as_boxes(empty, "boxes").shape == (0, 4)
    assert as_points(empty, "points").shape == (0, 2)


def test_places_become_float64_whatever_they_are_given_as():
    for given in ([[1, 2]], [(1, 2)], np.array([[1, 2]], "uint8")):
        points = as_points(given, "points")
        assert points.dtype == "float64"
        np.testing.assert_array_equal(points, [[1, 2]])


@pytest.mark.parametrize(
    ("points", "received"),
    [
        ([1, 2], r"shape=\(2,\)"),
        ([[1, 2, 3]], r"shape=\(1, 3\)"),
        ([["1", "2"]], "dtype=<U1"),
        ([[1, None]], "dtype=object"),
        ([[True, False]], "dtype=bool"),
        ([[1, 2], [3]], "inhomogeneous"),
        ({"y": 1}, "dtype=object"),
    ],
)
def test_what_are_no_places_is_told_with_its_name(points, received):
    with pytest.raises(
        ValueError, match=rf"`targets\[3\]` .*\(n, 2\).* Received: .*{received}"
    ):
        as_points(points, "targets[3]")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_place_that_is_no_number_is_told_with_its_row(value):
    with pytest.raises(ValueError, match=r"finite.* Received: boxes\[1\]="):
        as_boxes([[1, 2, 3, 4], [1, 2, value, 4]], "boxes")
