"""The loss of counting compares density maps, scaled up."""

import numpy as np
import pytest
from checks import check_loss

from keras_patching.losses import DensityMapLoss


def draw():
    return np.random.default_rng(0).random((2, 3, 8, 8)).astype("float32")


def test_it_is_a_loss_as_all_others_of_keras(tmp_path):
    true, predicted = draw()
    options = {"scale": 5.0, "name": "other"}
    check_loss(DensityMapLoss, options, true, predicted[..., None], tmp_path)


def test_the_loss_is_that_of_the_scaled_maps():
    true, predicted = draw()
    loss = DensityMapLoss(scale=50.0)
    expected = np.mean((50 * (true - predicted)) ** 2)
    for maps in (true, true[..., None]):
        found = float(loss(maps, predicted[..., None]))
        assert found == pytest.approx(expected, rel=1e-5)


def test_weights_are_of_images_or_of_pixels():
    true, predicted = draw()
    of_images = np.array([1.0, 0.5, 2.0])
    errors = (true - predicted) ** 2
    expected = np.mean(errors * of_images[:, None, None])
    for weights in (of_images, np.tile(of_images[:, None, None], (8, 8))):
        found = float(DensityMapLoss(1.0)(true, predicted[..., None], weights))
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_pixels_of_weight_0_are_as_if_they_were_not_there(reduction):
    true, predicted = draw()
    loss = DensityMapLoss(1.0, reduction=reduction)
    expected = float(loss(true, predicted[..., None]))
    padding = ((0, 0), (0, 3), (0, 4))
    weights = np.pad(np.ones_like(true), padding)
    padded, beyond = (
        np.pad(each, padding, constant_values=value)
        for each, value in ((true, 0.0), (predicted, 7.0))
    )
    for each in (weights, weights[..., None]):
        found = float(loss(padded, beyond[..., None], each))
        assert found == pytest.approx(expected, rel=1e-5)
    assert float(loss(padded, beyond[..., None], 0 * weights)) == 0


def test_images_of_weight_0_are_as_if_they_were_not_there():
    true, predicted = draw()
    loss, weights = DensityMapLoss(1.0), np.array([2.0, 0.0, 1.0])
    rest = weights != 0
    expected = loss(true[rest], predicted[rest, ..., None], weights[rest])
    for each in (weights, np.tile(weights[:, None, None], (8, 8))):
        found = float(loss(true, predicted[..., None], each))
        assert found == pytest.approx(float(expected), rel=1e-5)
