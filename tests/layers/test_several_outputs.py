"""A patch model may return a list or a dict: each output on its own scale."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_patching import PatchedModel, PatchedPredictor, PatchGrid

PATCH = (8, 6)
NAMES = ("pixels", "halves", "label")  # not the order that dicts are sorted in
LOSSES = ("mse", "mae", "mse")
LOSS_WEIGHTS = (1.0, 0.5, 2.0)
RATE = 0.1


def draw(*shape):
    return np.random.default_rng(0).random(shape).astype("float32")


def structure_of(container, values):
    if container is list:
        return list(values)
    return dict(zip(NAMES, values, strict=True))


def values_of(structure):
    if isinstance(structure, dict):
        return [structure[name] for name in NAMES]
    return structure


def heads_model(container):
    """A linear head on each of the features below."""
    inputs = keras.Input((None, None, 3))
    features = [
        inputs - ops.mean(inputs, axis=(1, 2), keepdims=True),
        keras.layers.MaxPooling2D()(inputs),
        keras.layers.GlobalMaxPooling2D()(inputs),
    ]
    heads = [
        keras.layers.Dense(2, use_bias=False, name=name)(feature)
        for name, feature in zip(NAMES, features, strict=True)
    ]
    return keras.Model(inputs, structure_of(container, heads))


def weights_of(patch_model):
    return [
        ops.convert_to_numpy(patch_model.get_layer(name).kernel)
        for name in NAMES
    ]


def features_of_patch(patch):
    height, width = PATCH
    pairs = patch.reshape(height // 2, 2, width // 2, 2, -1)
    return patch - patch.mean((0, 1)), pairs.max((1, 3)), patch.max((0, 1))


def features_of_image(image):
    """Cut an image, and put what each patch gives in its place."""
    (height, width, channels), (h, w) = image.shape, PATCH
    grid = PatchGrid((height, width), PATCH)
    bottom, right = grid.padded_size
    image = np.pad(image, ((0, bottom - height), (0, right - width), (0, 0)))
    pixels = np.zeros((bottom, right, channels))
    halves = np.zeros((bottom // 2, right // 2, channels))
    labels = np.zeros((grid.rows, grid.cols, channels))
    for y, x in grid.origins:
        whole, half, label = features_of_patch(image[y : y + h, x : x + w])
        pixels[y : y + h, x : x + w] = whole
        halves[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = half
        labels[y // h, x // w] = label
    return (
        pixels[:height, :width],
        halves[: (height + 1) // 2, : (width + 1) // 2],
        labels,
    )


def features_of(images, function):
    features = zip(*map(function, images), strict=True)
    return [np.stack(feature) for feature in features]


def loss_and_slope(name, error):
    if name == "mse":
        return np.mean(error**2), 2 * error / error.size
    return np.mean(np.abs(error)), np.sign(error) / error.size


def step_by_hand(features, weights, targets):
    """Give the loss, and the weights after one step of gradient descent."""
    total, after = 0.0, []
    for feature, weight, target, loss, factor in zip(
        features, weights, targets, LOSSES, LOSS_WEIGHTS, strict=True
    ):
        value, slope = loss_and_slope(loss, feature @ weight - target)
        gradient = feature.reshape(-1, 3).T @ slope.reshape(-1, 2)
        total += factor * value
        after.append(weight - RATE * factor * gradient)
    return total, after


def check_one_step(model, patch_model, images, features, targets):
    """Train one step, and compare with the step by hand."""
    container = type(patch_model.output)
    expected_loss, expected = step_by_hand(
        features, weights_of(patch_model), targets
    )
    model.compile(
        keras.optimizers.SGD(RATE),
        structure_of(container, LOSSES),
        loss_weights=structure_of(container, LOSS_WEIGHTS),
    )
    targets = structure_of(container, targets)
    history = model.fit(images, targets, len(images), verbose=0).history
    np.testing.assert_allclose(history["loss"], [expected_loss], rtol=1e-4)
    for weight, wanted in zip(weights_of(patch_model), expected, strict=True):
        np.testing.assert_allclose(weight, wanted, atol=1e-5)


def around_layer(patch_model):
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, PatchedPredictor(patch_model, PATCH)(inputs))


def around_model(patch_model):
    return PatchedModel(patch_model, PATCH)


@pytest.mark.parametrize("container", [list, dict])
@pytest.mark.parametrize("around", [around_layer, around_model])
@pytest.mark.parametrize("size", [(19, 13), PATCH])
def test_each_output_is_predicted_on_its_own_scale(container, around, size):
    patch_model = heads_model(container)
    images = draw(2, *size, 3)
    predicted = around(patch_model).predict(images, verbose=0)
    assert isinstance(predicted, container)
    for output, feature, weight in zip(
        values_of(predicted),
        features_of(images, features_of_image),
        weights_of(patch_model),
        strict=True,
    ):
        np.testing.assert_allclose(output, feature @ weight, atol=1e-5)


@pytest.mark.parametrize("container", [list, dict])
@pytest.mark.parametrize("stitch", [True, False])
def test_each_output_of_a_patch_trains_by_its_own_loss(container, stitch):
    patch_model = heads_model(container)
    patches = draw(4, *PATCH, 3)
    check_one_step(
        PatchedModel(patch_model, PATCH, stitch=stitch),
        patch_model,
        patches,
        features_of(patches, features_of_patch),
        [draw(4, 8, 6, 2), draw(4, 4, 3, 2), draw(4, 2)],
    )


@pytest.mark.parametrize("container", [list, dict])
def test_each_output_of_whole_images_trains_by_its_own_loss(container):
    patch_model = heads_model(container)
    images = draw(2, 19, 13, 3)
    check_one_step(
        around_layer(patch_model),
        patch_model,
        images,
        features_of(images, features_of_image),
        [draw(2, 19, 13, 2), draw(2, 10, 7, 2), draw(2, 3, 3, 2)],
    )
