"""Regions of a map in bands are those of the whole map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy_regions import number, random_map

from keras_patching.models.segmentation.regions import RegionFinder


def find(mask, cuts=(), background=(0,)):
    """Give regions and numbered map, of a map that comes in bands."""
    finder = RegionFinder(mask.shape[1], background)
    found = [finder.add(band) for band in np.split(mask, cuts)]
    regions, numbers = finder.finish(), finder.numbers()
    rows = [np.repeat(numbers[names], lengths) for lengths, names in found]
    return regions, np.concatenate(rows).reshape(mask.shape)


def drawn():
    return st.integers(0, 2**32).map(np.random.default_rng).map(random_map)


@given(drawn(), st.sampled_from([(0,), (0, 2), (1,)]))
def test_they_are_numbered_as_scipy_numbers_the_whole_map(drawn, background):
    mask, cuts = drawn
    _, numbered = find(mask, cuts, background)
    np.testing.assert_array_equal(numbered, number(mask, background))


@pytest.mark.slow
def test_they_are_those_of_scipy_on_a_thousand_maps():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        mask, cuts = random_map(rng)
        _, numbered = find(mask, cuts)
        np.testing.assert_array_equal(numbered, number(mask))


@settings(max_examples=30)
@given(drawn())
def test_they_are_measured_as_in_the_whole_map(drawn):
    mask, cuts = drawn
    regions, numbered = find(mask, cuts)
    assert len(regions.areas) == numbered.max()
    for place in range(numbered.max()):
        is_of = numbered == place + 1
        pixels = np.argwhere(is_of)
        assert set(mask[is_of]) == {regions.classes[place]}
        assert regions.areas[place] == len(pixels)
        (y1, x1), (y2, x2) = pixels.min(axis=0), pixels.max(axis=0) + 1
        assert regions.boxes[place].tolist() == [x1, y1, x2, y2]
        np.testing.assert_allclose(
            regions.centers[place], pixels.mean(axis=0) + 0.5
        )
        padded = np.pad(is_of, 1)
        upright = (padded[:, 1:] != padded[:, :-1]).sum()
        level = (padded[1:] != padded[:-1]).sum()
        assert regions.sides[place].tolist() == [upright, level]


def test_arms_that_meet_at_the_bottom_are_one_region_in_all_rows():
    mask = np.array([[1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]])
    regions, numbered = find(mask, [1, 2])
    np.testing.assert_array_equal(numbered, mask)
    assert regions.areas.tolist() == [11]


def test_pixels_that_meet_at_a_corner_or_of_two_classes_are_apart():
    mask = np.array([[1, 0, 2], [0, 1, 1]])
    _, numbered = find(mask, [1])
    assert numbered.tolist() == [[1, 0, 2], [0, 3, 3]]


def test_a_region_of_many_bands_takes_one_name():
    band = np.tile(np.array([0, 1, 1, 0, 2], "uint8"), (8, 1))
    finder = RegionFinder(5)
    for _ in range(1000):
        finder.add(band)
    regions = finder.finish()
    assert regions.areas.tolist() == [16000, 8000]
    assert len(finder.numbers()) == 3
