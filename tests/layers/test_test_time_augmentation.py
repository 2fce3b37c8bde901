"""Predictions averaged over mirrors and quarter-turns, without seams."""

import checks
import keras
import networks
import numpy as np
import pytest

from keras_patching import PatchedModel, receptive_field
from keras_patching.layers import TestTimeAugmentation
from keras_patching.layers.symmetries import SYMMETRIES, Turn

# Small tiles are dear, and models say so.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Rows c"),
    pytest.mark.filterwarnings("ignore:An image of"),
]

TURN_AND_BACK = {
    "left_right": [(lambda a: a[:, :, ::-1],) * 2],
    "turns": [
        (
            lambda a, k=k: np.rot90(a, k, axes=(1, 2)),
            lambda a, k=k: np.rot90(a, -k, axes=(1, 2)),
        )
        for k in (1, 2, 3)
    ],
    "mirrors": [
        (lambda a: a[:, :, ::-1],) * 2,
        (lambda a: a[:, ::-1],) * 2,
        (lambda a: a[:, ::-1, ::-1],) * 2,
    ],
}
TURN_AND_BACK["all"] = [
    *TURN_AND_BACK["turns"],
    *(
        (
            lambda a, k=k: np.rot90(a[:, :, ::-1], k, axes=(1, 2)),
            lambda a, k=k: np.rot90(a, -k, axes=(1, 2))[:, :, ::-1],
        )
        for k in range(4)
    ),
]


def predictions_of(net, image, symmetries):
    """Predict a whole image, mirrored and turned, one after the other."""
    pairs = [(lambda a: a, lambda a: a), *TURN_AND_BACK[symmetries]]
    outputs = [
        [np.asarray(each) for each in outputs]
        for outputs in (
            keras.tree.flatten(
                keras.tree.map_structure(
                    lambda each, back=back: back(
                        keras.ops.convert_to_numpy(each)
                    ),
                    net.predict(np.ascontiguousarray(turn(image)), verbose=0),
                )
            )
            for turn, back in pairs
        )
    ]
    return [np.stack(each) for each in zip(*outputs, strict=True)]


def padded(image, stride):
    _, height, width, _ = image.shape
    more = (-height % stride[0], -width % stride[1])
    return np.pad(image, [(0, 0), (0, more[0]), (0, more[1]), (0, 0)])


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def augmented(net, symmetries):
    """Return a model that predicts in small tiles, or few rows a step."""
    model = PatchedModel(net, 24, overlap="auto")
    field = receptive_field(TestTimeAugmentation(net, symmetries))
    size = tuple(map(sum, zip(field.overlap, field.stride, strict=True)))
    if symmetries == "left_right":
        size = 2 * field.stride[0], None
    model.set_tiling(test_time_augmentation=symmetries, predict_patch_size=size)
    return model


def compare(net, symmetries, image, model):
    stride = receptive_field(model.predictor.inference_layer()).stride
    whole = predictions_of(net, padded(image, stride), symmetries)
    found = keras.tree.flatten(model.predict(image, verbose=0))
    for one, other in zip(found, whole, strict=True):
        mean = other.mean(axis=0)[:, : one.shape[1], : one.shape[2]]
        np.testing.assert_allclose(one, mean, atol=2e-5)


def test_names_are_groups_of_symmetries():
    image = draw(1, 3, 4, 1)
    for name, symmetries in SYMMETRIES.items():
        turned = {each.tobytes() for each in map_turns(image, symmetries)}
        expected = [image, *(turn(image) for turn, _ in TURN_AND_BACK[name])]
        assert turned == {each.tobytes() for each in expected}
        assert len(turned) == len(symmetries)


def map_turns(image, symmetries):
    for each in symmetries:
        turned = Turn(each, "channels_last")(image)
        back = Turn(each.inverse, "channels_last")(turned)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(back), image)
        yield keras.ops.convert_to_numpy(turned)


@pytest.mark.parametrize(
    ("make", "symmetries"),
    [
        (networks.default_unet, "left_right"),
        (networks.strided_unet, "mirrors"),
        (networks.asymmetric, "all"),
        (networks.quarter_scale, "turns"),
    ],
)
def test_no_net_leaves_a_seam(make, symmetries):
    net = networks.fill(make())
    model = augmented(net, symmetries)
    compare(net, symmetries, draw(1, 91, 72, 1), model)
    assert model.recomputation((91, 72)) > 1


@pytest.mark.parametrize("seed", range(2))
def test_nets_at_random_leave_no_seam(seed):
    net = networks.fill(networks.random_network(seed))
    rng = np.random.default_rng(seed)
    size = rng.integers(60, 120, 2)
    symmetries = str(rng.choice(["mirrors", "turns", "left_right"]))
    model = augmented(net, symmetries)
    compare(net, symmetries, draw(1, *size, 2, seed=seed), model)


def test_left_right_is_streamed_and_lanes_may_be_wider():
    net = networks.fill(networks.default_unet())
    model = PatchedModel(net, 24, overlap="auto")
    model.set_tiling(
        test_time_augmentation="left_right", predict_patch_size=(16, None)
    )
    images = [draw(90, width, 1) for width in (72, 51, 64)]
    found = model.predict_images(images, verbose=False)
    for image, one in zip(images, found, strict=True):
        whole = predictions_of(net, padded(image[None], (8, 8)), "left_right")
        mean = whole[0].mean(axis=0)[0, :90, : image.shape[1]]
        np.testing.assert_allclose(one, mean, atol=2e-5)


def test_turned_images_are_tiled_which_is_said():
    model = PatchedModel(networks.default_unet(), 24, overlap="auto")
    with pytest.warns(UserWarning, match="Rows cannot be streamed where"):
        model.set_tiling(test_time_augmentation="turns")
    assert model.predictor.row_stream((4096, 4096)) is None
    # Tiles that nobody asked for do not compute much twice.
    assert model.recomputation((4096, 4096)) < 2.5
    model.set_patch_size(480)
    assert model.predictor.patch_grid((480, 4096)).patch_size[0] == 480
    model.set_tiling(test_time_augmentation=None)
    assert model.predictor.row_stream((4096, 4096)) is not None


def small_net(size=(None, None), activation="softmax", channels=2):
    net = keras.Sequential(
        [
            keras.Input((*size, 2)),
            keras.layers.Conv2D(
                channels, 3, padding="same", activation=activation
            ),
        ]
    )
    return networks.fill(net)


@pytest.mark.parametrize("spread", [False, True])
def test_the_layer_keeps_what_keras_promises(spread, tmp_path):
    def arguments():
        return {
            "patch_model": small_net(),
            "symmetries": "turns",
            "spread": spread,
            "from_logits": True,
        }

    images = draw(2, 12, 20, 2)
    if not spread:
        checks.check_layer(TestTimeAugmentation, arguments, images, tmp_path)
    else:
        layer = checks.check_config(TestTimeAugmentation, arguments())
        checks.check_declaration(layer, images, layer(images))


@pytest.mark.parametrize("seed", range(2))
def test_mean_and_spread_are_those_of_all_passes(seed):
    net, image = small_net(), draw(1, 12, 20, 2, seed=seed)
    (whole,) = predictions_of(net, image, "all")
    found = TestTimeAugmentation(net, spread=True)(image)
    found = {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}
    np.testing.assert_allclose(found["mean"], whole.mean(0), atol=1e-6)
    np.testing.assert_allclose(found["spread"], whole.std(0), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_of_logits_probabilities_are_averaged(channels):
    net = small_net(activation=None, channels=channels)
    image = draw(1, 8, 6, 2)
    (logits,) = predictions_of(net, image, "mirrors")

    def probabilities(logits):
        if channels == 1:
            return 1 / (1 + np.exp(-logits))
        exp = np.exp(logits)
        return exp / exp.sum(axis=-1, keepdims=True)

    layer = TestTimeAugmentation(net, "mirrors", spread=True, from_logits=True)
    found = layer(image)
    found = {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}
    each = probabilities(logits)
    np.testing.assert_allclose(
        probabilities(found["mean"]), each.mean(0), atol=1e-6
    )
    np.testing.assert_allclose(found["spread"], each.std(0), atol=1e-6)


def test_training_and_weights_know_nothing_of_it(tmp_path):
    plain = PatchedModel(small_net(), 8, overlap="auto")
    model = PatchedModel(
        small_net(), 8, overlap="auto", test_time_augmentation="all"
    )
    x, y = draw(4, 8, 8, 2), np.zeros((4, 8, 8, 2), "float32")
    for each in (plain, model):
        each.compile(keras.optimizers.SGD(0.1), "mse")
        each.fit(x, y, shuffle=False, verbose=0)
    for one, other in zip(
        plain.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    image = draw(1, 50, 41, 2)
    model.save_weights(tmp_path / "with.weights.h5")
    plain.load_weights(tmp_path / "with.weights.h5")
    plain.set_tiling(test_time_augmentation="all")
    expected = model.predict(image, verbose=0)
    np.testing.assert_allclose(
        plain.predict(image, verbose=0), expected, atol=1e-6
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(image, verbose=0), expected)
    (plain,) = map(keras.ops.convert_to_numpy, [model.patch_model(image)])
    assert np.abs(plain - expected).max() > 1e-3
    for each in (loaded, model):
        each.set_tiling(test_time_augmentation=None)
        np.testing.assert_allclose(
            each.predict(image, verbose=0),
            keras.ops.convert_to_numpy(model.patch_model(image)),
            atol=1e-6,
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TestTimeAugmentation(small_net(), "flips"), "left_right"),
        (lambda: TestTimeAugmentation(small_net((8, 6))), 'use "mirrors"'),
        (
            lambda: TestTimeAugmentation(
                keras.Sequential(
                    [keras.Input((8, 8, 2)), keras.layers.Flatten()]
                )
            )(draw(1, 8, 8, 2)),
            "averages images",
        ),
    ],
)
def test_what_cannot_be_averaged_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_image_and_its_mirror_image_are_no_images_to_tile():
    inputs = keras.Input((None, None, 2))
    turned = Turn(SYMMETRIES["left_right"][1], "channels_last")(inputs)
    with pytest.raises(ValueError, match="Turn it back"):
        receptive_field(keras.Model(inputs, turned))
    with pytest.raises(ValueError, match="mirror image"):
        receptive_field(
            keras.Model(inputs, keras.layers.Add()([inputs, turned]))
        )
