"""Outlines of regions, traced band by band, hold what the regions do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy_regions import number, random_map

from keras_patching.models.segmentation.outlines import OutlineTracer


def trace(numbered, cuts=()):
    count = numbered.max()
    rows = [np.flatnonzero((numbered == i + 1).any(1)) for i in range(count)]
    tracer = OutlineTracer(numbered.shape[1], [each[-1] + 1 for each in rows])
    found = []
    for band in np.split(numbered, cuts):
        found += tracer.add(band)
    return found + tracer.finish()


def drawn():
    return st.integers(0, 2**32).map(np.random.default_rng).map(random_map)


def lines_of(ring):
    """Give the lines of a ring: pairs of ends, the last back to the first."""
    return zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True)


def filled(rings, shape):
    """Fill what is to the right of an odd number of upright lines."""
    crossed = np.zeros((shape[0], shape[1] + 1), "int64")
    for ring in rings:
        for (y, x), (next_y, next_x) in lines_of(ring):
            if x == next_x:
                crossed[min(y, next_y) : max(y, next_y), x] += 1
    return np.cumsum(crossed, axis=1)[:, :-1] % 2 == 1


def area(ring):
    y, x = ring.T
    return (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2


@given(drawn())
def test_filled_again_they_are_the_regions(drawn):
    mask, cuts = drawn
    numbered = number(mask)
    found = trace(numbered, cuts)
    assert sorted(n for n, _ in found) == list(range(1, numbered.max() + 1))
    for n, rings in found:
        np.testing.assert_array_equal(filled(rings, mask.shape), numbered == n)


@given(drawn())
def test_rings_are_valid_polygons_the_outer_one_first(drawn):
    mask, cuts = drawn
    for _, (outer, *holes) in trace(number(mask), cuts):
        assert area(outer) > 0
        assert all(area(hole) < 0 for hole in holes)
        for ring in outer, *holes:
            assert len({tuple(point) for point in ring.tolist()}) == len(ring)
            # Lines are level and upright, one after the other.
            level = [y == then for (y, _), (then, _) in lines_of(ring)]
            upright = [x == then for (_, x), (_, then) in lines_of(ring)]
            assert level == [True, False] * (len(ring) // 2)
            assert upright == [False, True] * (len(ring) // 2)


def test_a_ring_with_a_hole_that_touches_it_at_a_corner():
    numbered = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]])
    ((_, (outer, hole)),) = trace(numbered, [1, 2])
    assert outer.tolist() == [[0, 0], [0, 3], [2, 3], [2, 2], [3, 2], [3, 0]]
    assert sorted(hole.tolist()) == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_regions_are_given_as_soon_as_they_have_ended():
    tracer = OutlineTracer(2, [1, 3])
    assert tracer.add(np.array([[1, 0]])) == []
    ((n, (ring,)),) = tracer.add(np.array([[0, 2]]))
    assert n == 1
    assert ring.tolist() == [[0, 0], [0, 1], [1, 1], [1, 0]]
    assert tracer.add(np.array([[0, 2]])) == []
    assert [n for n, _ in tracer.finish()] == [2]
