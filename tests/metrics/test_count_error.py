"""Counts of patches are compared as counts of whole images are."""

import numpy as np
import pytest
from checks import check_metric

from keras_patching.metrics import CountError, count_errors

RNG = np.random.default_rng(0)
TRUE, FOUND = RNG.random((2, 5, 6, 7)).astype("float32")


def test_it_is_the_mean_error_of_the_sums():
    error = CountError()
    error.update_state(TRUE[:2], FOUND[:2, ..., None])
    error.update_state(TRUE[2:, ..., None], FOUND[2:, ..., None])
    counts, true_counts = (maps.sum(axis=(1, 2)) for maps in (FOUND, TRUE))
    expected = count_errors(counts, true_counts)["count_mae"]
    assert float(error.result()) == pytest.approx(expected, rel=1e-5)
    assert error.name == "count_mae"


def test_weights_are_of_images_or_of_pixels():
    errors = np.abs((FOUND - TRUE).sum(axis=(1, 2)))
    of_images = np.array([1, 0, 0, 3, 0], "float32")
    error = CountError()
    error.update_state(TRUE, FOUND[..., None], of_images)
    expected = (errors[0] + 3 * errors[3]) / 4
    assert float(error.result()) == pytest.approx(expected, rel=1e-5)
    of_pixels = np.zeros_like(TRUE)
    of_pixels[:, 2:4] = 1
    for weights in (of_pixels, of_pixels[..., None]):
        for true in (TRUE, TRUE[..., None]):
            error = CountError()
            error.update_state(true, FOUND[..., None], weights)
            inside = np.abs((FOUND - TRUE)[:, 2:4].sum(axis=(1, 2)))
            expected = inside.mean()
            assert float(error.result()) == pytest.approx(expected, rel=1e-5)
    of_pixels[1:] = 0  # Images that are not there at all.
    error = CountError()
    error.update_state(TRUE, FOUND[..., None], of_pixels)
    assert float(error.result()) == pytest.approx(inside[0], rel=1e-5)


def test_it_is_a_metric_as_keras_has_them(tmp_path):
    found = np.round(FOUND[..., None] * 128) / 128  # As bfloat16 holds them.
    arguments = {"name": "off", "dtype": "float32"}
    check_metric(CountError, arguments, TRUE, found, tmp_path)
