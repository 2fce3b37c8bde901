"""The default patch model of detection."""

import keras
import numpy as np
import pytest

from keras_patching.models.detection.yolo_net import yolo_net


def random_patches(count, size, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *size, 3)).astype("float32")


@pytest.mark.parametrize(
    ("grid_size", "size"), [((2, 3), (50, 37)), ((7, 7), (16, 16))]
)
def test_there_is_a_prediction_per_cell_whatever_the_patch(grid_size, size):
    net = yolo_net(grid_size, 3, 2, filters=(8, 8, 8, 8))
    predicted = net.predict(random_patches(2, size), verbose=0)
    assert predicted.shape == (2, *grid_size, 3 * 7)


def test_an_untrained_net_finds_few_objects():
    net = yolo_net((4, 4), 3, 1, filters=(8, 8))
    predicted = net.predict(random_patches(4, (32, 32)), verbose=0)
    objectness = predicted.reshape(-1, 6)[:, 4]
    assert (objectness < -2).all()


def test_predictions_of_a_patch_do_not_depend_on_the_others():
    net = yolo_net((4, 4), 3, 1, filters=(8, 8))
    patches = random_patches(2, (32, 32))
    together = net.predict(patches, verbose=0)
    alone = net.predict(patches[:1], verbose=0)
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_the_value_range_is_rescaled():
    patches = random_patches(2, (32, 32))
    predicted = []
    for black, white in ((0, 255), (-2, 2)):
        keras.utils.set_random_seed(0)
        net = yolo_net((2, 2), 1, 1, value_range=(black, white), filters=(8, 8))
        scaled = black + patches / 255 * (white - black)
        predicted.append(net.predict(scaled, verbose=0))
    np.testing.assert_allclose(*predicted, atol=1e-4)


def test_dozens_of_steps_give_the_statistics_of_predictions():
    net = yolo_net((2, 2), 1, 1, filters=(8, 8))
    patches = random_patches(8, (32, 32))
    net.compile(keras.optimizers.SGD(0.0), loss="mse")
    targets = np.zeros((8, 2, 2, 6))
    for _ in range(40):
        trained = net.train_on_batch(patches, targets)
    predicted = net.test_on_batch(patches, targets)
    np.testing.assert_allclose(trained, predicted, rtol=1e-2)
