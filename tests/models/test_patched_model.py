"""A model that trains on patches and predicts whole images."""

import ast
import os
import re
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from checks import check_task_model

from keras_patching import PatchedModel


def draw(shape, dtype="float32"):
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


def conv_model(size=(None, None)):
    return keras.Sequential(
        [
            keras.Input((*size, 3)),
            keras.layers.Conv2D(2, 3, padding="same"),
        ]
    )


def patch_mean_model():
    """What it returns depends on where patches lie."""
    inputs = keras.Input((None, None, 3))
    mean = keras.ops.mean(inputs, axis=(1, 2), keepdims=True)
    outputs = keras.layers.Dense(1)(mean + 0 * inputs)
    return keras.Model(inputs, outputs)


@pytest.fixture
def model():
    return PatchedModel(conv_model(), patch_size=(8, 12))


def test_it_is_a_model_as_all_others_of_keras(tmp_path):
    options = {
        "patch_size": (8, 12),
        "overlap": 2,
        "multiple_of": 2,
        "blend": "mean",
        "pad_value": 5,
        "pad_mode": "edge",
        "patch_batch_size": 3,
        "predict_patch_size": (12, 20),
    }
    check_task_model(
        PatchedModel,
        lambda: {"patch_model": conv_model(), **options},
        draw((2, 8, 12, 3)) / 200,
        np.zeros((2, 8, 12, 2)),
        draw((1, 19, 30, 3)) / 200,
        tmp_path,
        loss="mse",
    )


def test_fit_on_patches_then_predict_and_evaluate_images(model):
    model.compile("sgd", "mse")
    model.fit(
        draw((4, 8, 12, 3)) / 200, np.zeros((4, 8, 12, 2)), epochs=2, verbose=0
    )
    images = draw((3, 19, 30, 3)) / 200
    predicted = model.predict(images, verbose=0)
    assert predicted.shape == (3, 19, 30, 2)
    loss = model.evaluate(images, np.zeros((3, 19, 30, 2)), verbose=0)
    np.testing.assert_allclose(loss, np.mean(predicted**2), rtol=1e-4)


def test_a_new_patch_size_changes_the_next_call_of_the_same_shape():
    model = PatchedModel(patch_mean_model(), patch_size=8)
    model.compile("sgd", "mse")
    images, targets = draw((2, 24, 24, 3)), np.zeros((2, 24, 24, 1))
    results = []
    for size in [(8, 8), (12, 24), (8, 8)]:
        model.set_patch_size(*size)
        predicted = model.predict(images, verbose=0)
        loss = model.evaluate(images, targets, verbose=0)
        np.testing.assert_allclose(loss, np.mean(predicted**2), rtol=1e-4)
        results.append(predicted)
    np.testing.assert_array_equal(results[0], results[2])
    assert np.abs(results[0] - results[1]).max() > 1
    assert np.ptp(results[1][0, 12:, :]) < 1e-3


def warnings_of(model, *shapes):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # Torch has some of its own.
        warnings.simplefilter("always", UserWarning)
        for shape in shapes:
            model.predict(draw(shape), verbose=0)
    return [str(warning.message) for warning in caught]


def test_seams_are_told_once_with_what_leaves_none():
    model = PatchedModel(conv_model(), patch_size=(8, 12))
    assert warnings_of(model, (2, 8, 12, 3)) == []
    (told,) = warnings_of(model, (1, 9, 12, 3), (1, 30, 40, 3))
    assert 'overlap="auto"' in told
    assert "(1, 1) pixels beyond" in told
    advised = re.search(r"predict_patch_size=(\(\d+, \d+\))", told)[1]
    model.set_tiling(
        overlap="auto", predict_patch_size=ast.literal_eval(advised)
    )
    whole = model.patch_model.predict(draw((1, 30, 40, 3)), verbose=0)
    tiled = model.predict(draw((1, 30, 40, 3)), verbose=0)
    np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "options", [{"overlap": 2}, {"overlap": "auto"}, {"stitch": False}]
)
def test_where_patches_overlap_or_stay_apart_no_seams_are_told(options):
    model = PatchedModel(conv_model(), patch_size=(8, 12), **options)
    assert warnings_of(model, (1, 30, 40, 3)) == []


def test_a_net_that_looks_at_single_pixels_leaves_no_seams():
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 1)]
    )
    model = PatchedModel(net, patch_size=8)
    assert warnings_of(model, (1, 30, 40, 3)) == []


def test_what_costs_less_than_dear_patches_without_seams_is_told_once():
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(1, 9, padding="same"),
        ]
    )
    model = PatchedModel(net, 12, overlap="auto", predict_patch_size=(12, 12))
    assert warnings_of(model, (1, 20, 12, 3)) == []  # Two patches, or 2.4.
    told, *others = warnings_of(model, (1, 64, 64, 3), (1, 64, 64, 3))
    assert not others
    cost = model.recomputation((64, 64))
    assert cost > 4
    assert f"{cost:.1f} pixels are computed for each" in told
    assert "streams rows" in told
    advised = re.findall(
        r"predict_patch_size=(\(.+?\)) computes ([\d.]+)", told
    )
    assert len(advised) == 2
    for patch_size, promised in advised:
        other = PatchedModel(
            net,
            12,
            overlap=8,
            shrink=True,
            predict_patch_size=ast.literal_eval(patch_size),
        )
        assert f"{other.recomputation((64, 64)):.1f}" == promised
        assert warnings_of(other, (1, 64, 64, 3)) == []


def test_prediction_without_seams_after_training_on_small_patches(tmp_path):
    patch_model = conv_model()
    model = PatchedModel(
        patch_model,
        patch_size=(8, 12),
        overlap="auto",
        predict_patch_size=(16, None),
    )
    model.compile("sgd", "mse")
    patches, targets = draw((4, 8, 12, 3)) / 200, np.zeros((4, 8, 12, 2))
    model.fit(patches, targets, verbose=0)
    images = draw((2, 41, 30, 3)) / 200
    whole = patch_model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        tiled = each.predict(images, verbose=0)
        np.testing.assert_allclose(tiled, whole, atol=1e-5)
    loaded.fit(patches, targets, verbose=0)
    # Three steps of 16 rows.
    assert loaded.recomputation((41, 30)) == 48 / 41


def test_batch_normalization_learns_and_is_not_learnt_in_prediction():
    patch_model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Resizing(8, 8),  # Is in training mode if not told.
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Conv2D(2, 3, padding="same"),
        ]
    )
    model = PatchedModel(patch_model, 8)
    model.compile("sgd", "mse")
    model.fit(draw((4, 8, 8, 3)) + 50, np.zeros((4, 8, 8, 2)), verbose=0)
    kept = patch_model.layers[1].moving_mean.numpy()
    assert (kept > 20).all()
    image = draw((1, 16, 24, 3))
    tiles = image.reshape(2, 8, 3, 8, 3).swapaxes(1, 2).reshape(6, 8, 8, 3)
    one_by_one = patch_model.predict(tiles, batch_size=1, verbose=0)
    predicted = model.predict(image, verbose=0)
    predicted = predicted.reshape(2, 8, 3, 8, 2).swapaxes(1, 2)
    np.testing.assert_allclose(
        predicted.reshape(6, 8, 8, 2), one_by_one, rtol=1e-4, atol=1e-4
    )
    model.evaluate(image, np.zeros((1, 16, 24, 2)), verbose=0)
    np.testing.assert_array_equal(
        patch_model.layers[1].moving_mean.numpy(), kept
    )


def test_the_tiling_can_be_changed_after_training(tmp_path):
    model = PatchedModel(conv_model(), patch_size=8)
    image = draw((1, 50, 61, 3)) / 200
    whole = model.patch_model.predict(image, verbose=0)
    assert np.abs(model.predict(image, verbose=0) - whole).max() > 1e-3
    model.set_tiling(overlap="auto", predict_patch_size=(16, None))
    np.testing.assert_allclose(
        model.predict(image, verbose=0), whole, atol=1e-5
    )
    with pytest.raises(ValueError, match="overlap"):
        model.set_tiling(overlap=20)
    with pytest.raises(TypeError, match="overlap_size"):
        model.set_tiling(overlap_size=2)
    with pytest.raises(ValueError, match="without seams"):
        model.set_tiling(overlap="auto", predict_patch_size=2)
    model.save(tmp_path / "model.keras")
    for each in (model, keras.saving.load_model(tmp_path / "model.keras")):
        assert each.recomputation((50, 61)) < 1.3
        np.testing.assert_allclose(
            each.predict(image, verbose=0), whole, atol=1e-5
        )
    with pytest.raises(ValueError, match='blend="crop"'):
        model.set_tiling(blend="mean")  # What is left out stays.
    assert model.recomputation((50, 61)) < 1.3
    model.set_tiling(overlap=2, blend="mean")
    assert model.predictor.predict_patch_size == (16, None)
    model.set_tiling(overlap=0, predict_patch_size=None)
    assert np.abs(model.predict(image, verbose=0) - whole).max() > 1e-3


def test_losses_that_layers_add_count_in_training_only():
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 3, activity_regularizer="l2"),
            keras.layers.ZeroPadding2D(1),
        ]
    )
    model = PatchedModel(patch_model, patch_size=8)
    model.compile("sgd", "mse")
    image = draw((1, 20, 20, 3)) / 200
    targets = np.zeros((1, 20, 20, 2))
    loss = model.evaluate(image, targets, verbose=0)
    predicted = model.predict(image, verbose=0)
    np.testing.assert_allclose(loss, np.mean(predicted**2), rtol=1e-4)
    patch = image[:, :8, :8]
    predicted = model.predict(patch, verbose=0)
    history = model.fit(patch, targets[:, :8, :8], verbose=0).history
    assert history["loss"][0] > 1.01 * np.mean(predicted**2)


def test_the_data_format_is_saved(tmp_path):
    patch_model = keras.Sequential(
        [keras.Input((3, None, None)), keras.layers.Activation("relu")]
    )
    model = PatchedModel(
        patch_model, patch_size=8, data_format="channels_first"
    )
    images = draw((1, 3, 20, 30))
    expected = model.predict(images, verbose=0)
    assert expected.shape == images.shape
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), expected)


@pytest.mark.parametrize("pad_value", [-1, 300, 0.5])
def test_padding_that_integers_cannot_hold_is_not_wrapped(pad_value):
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.AveragePooling2D(8)]
    )
    model = PatchedModel(patch_model, patch_size=8, pad_value=pad_value)
    image = draw((1, 5, 9, 3), "uint8")
    np.testing.assert_allclose(
        model.predict(image, verbose=0),
        model.predict(image.astype("float32"), verbose=0),
        rtol=1e-5,
    )


def test_images_of_narrow_floats_are_numbers(model):
    images = keras.ops.convert_to_tensor(draw((1, 9, 20, 3)), "bfloat16")
    assert model.predict(images, verbose=0).shape == (1, 9, 20, 2)


def test_a_larger_patch_to_predict_is_checked():
    with pytest.raises(ValueError, match=r"patch_size=\(16, 16\)"):
        PatchedModel(conv_model((8, 8)), 8, predict_patch_size=16)
    with pytest.raises(ValueError, match=r"\(8, 8\).*\(8, None\)"):
        PatchedModel(conv_model((8, 8)), 8, predict_patch_size=(8, None))


def test_set_patch_size_takes_height_and_width_by_name(model):
    model.set_patch_size(height=16, width=8)
    assert model.patch_size == (16, 8)
    model.set_patch_size(16)
    assert model.patch_size == (16, 16)


def test_without_a_patch_size_every_call_names_set_patch_size():
    model = PatchedModel(conv_model())
    model.compile("sgd", "mse")
    for call in (model.predict, model.evaluate, model.fit):
        with pytest.raises(ValueError, match="set_patch_size"):
            call(draw((1, 8, 8, 3)))


def test_a_patch_model_of_fixed_size_names_both_shapes():
    model = PatchedModel(conv_model((8, 12)))
    with pytest.raises(ValueError, match=r"\(8, 12\).*patch_size=\(16, 16\)"):
        model.set_patch_size(16)
    model.set_patch_size(8, 12)
    assert model.predict(draw((1, 9, 9, 3)), verbose=0).shape == (1, 9, 9, 2)


@pytest.mark.parametrize(
    "images",
    [
        draw((2, 8, 12)),
        draw((2, 8, 12, 4)),
        draw((0, 8, 12, 3)),
        draw((2, 0, 12, 3)),
        [draw((8, 12, 3)), draw((9, 12, 3))],
        np.full((2, 8, 12, 3), None),
    ],
    ids=["rank", "channels", "no images", "no pixels", "list", "objects"],
)
def test_a_wrong_input_is_refused_and_the_weights_survive_it(model, images):
    model.compile("sgd", "mse")
    good = draw((1, 19, 30, 3))
    before = model.predict(good, verbose=0)
    for call in (model.predict, model.evaluate, model.fit):
        with pytest.raises(ValueError, match="Received"):
            call(images)
    np.testing.assert_array_equal(model.predict(good, verbose=0), before)


def test_weights_survive_an_error_inside_predict(model):
    good = draw((1, 19, 30, 3))
    before = model.predict(good, verbose=0)

    def failing_images():
        yield good
        raise RuntimeError("the disk is gone")

    with pytest.raises(Exception, match="the disk is gone"):
        model.predict(failing_images(), steps=2, verbose=0)
    np.testing.assert_array_equal(model.predict(good, verbose=0), before)


def test_a_data_set_of_another_patch_size_is_refused(model):
    class Patches(keras.utils.PyDataset):
        patch_size = (8, 8)

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return draw((2, 8, 8, 3)), np.zeros((2, 8, 8, 2))

    patches = Patches(workers=2)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"\(8, 12\).*\(8, 8\)"):
        model.fit(patches)
    model.set_patch_size(8)
    model.fit(patches, validation_data=patches, verbose=0)


def test_large_images_are_predicted_one_at_a_time(model):
    sizes = []

    class Sizes(keras.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            sizes.append(len(logs["outputs"]))

    model.predict(draw((3, 19, 30, 3)), callbacks=[Sizes()], verbose=0)
    model.predict(draw((3, 8, 12, 3)), callbacks=[Sizes()], verbose=0)
    assert sizes == [1, 1, 1, 3]


def test_unstitched_outputs_train_with_one_target_per_patch():
    patch_model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1),
        ]
    )
    model = PatchedModel(patch_model, patch_size=8, stitch=False)
    model.compile(keras.optimizers.Adam(0.1), "mse", metrics=["mae"])
    patches = np.linspace(0, 1, 64)[:, None, None, None] * np.ones((1, 8, 8, 3))
    history = model.fit(
        patches, patches[:, 0, 0, :1], epochs=20, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0] / 4
    predicted = model.predict(np.ones((1, 20, 8, 3)), verbose=0)
    assert predicted.shape == (1, 3, 1, 1)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only jax distributes"
)
def test_devices_share_what_divides_and_images_one_by_one():
    code = """
import keras, keras_patching, numpy, pytest
keras.distribution.set_distribution(keras.distribution.DataParallel())
patch_model = keras.Sequential(
    [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3, padding="same")]
)
model = keras_patching.PatchedModel(patch_model, 8)
model.compile("sgd", "mse")
images = numpy.random.default_rng(0).random((6, 20, 20, 3)).astype("float32")
together = model.predict(images, verbose=0)
assert together.shape == (6, 20, 20, 2)
alone = model.predict(images[5:], batch_size=1, verbose=0)
numpy.testing.assert_allclose(alone[0], together[5], atol=1e-5)
report = keras_patching.verify_tiling(model, images[:1])
assert report.largest_difference > 0

class Patches(keras.utils.PyDataset):
    patch_size, num_samples, batch_size = (8, 8), 18, 8
    def __len__(self):
        return 3
    def __getitem__(self, index):
        raise AssertionError("dispatched")

patches = Patches()
x, y = images[:, :8, :8], numpy.zeros((6, 8, 8, 2))
before = model.get_weights()
for call in (
    lambda: model.fit(x, y),
    lambda: model.fit(x[:4], y[:4], validation_split=0.5),
    lambda: model.fit(x[:4], y[:4], validation_data=(x, y)),
    lambda: model.fit(patches),
    lambda: model.fit(x[:4], y[:4], validation_data=patches),
    lambda: model.evaluate(x, y),
    lambda: model.evaluate(patches),
    lambda: model.train_on_batch(x, y),
):
    with pytest.raises(ValueError, match="4 devices.*drop_remainder"):
        call()
for old, new in zip(before, model.get_weights(), strict=True):
    numpy.testing.assert_array_equal(old, new)
patches.drop_remainder = True
class Predict(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        model.predict(images[:1], verbose=0)
model.fit(x[:4], y[:4], callbacks=[Predict()], verbose=0)
print("done")
"""
    flags = "--xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert "done" in done.stdout, done.stderr


class Subclassed(keras.Model):
    """A patch model that tells its output shape by running only."""

    def __init__(self):
        super().__init__()
        self.convolution = keras.layers.Conv2D(2, 3, padding="same")

    def call(self, inputs):
        return self.convolution(inputs)


def test_a_subclassed_patch_model_trains_evaluates_and_predicts():
    model = PatchedModel(Subclassed(), patch_size=8)
    model.compile("sgd", "mse")
    patches = draw((4, 8, 8, 3)) / 200
    model.fit(patches, np.zeros((4, 8, 8, 2)), epochs=2, verbose=0)
    images = draw((1, 19, 9, 3)) / 200
    predicted = model.predict(images, verbose=0)
    loss = model.evaluate(images, np.zeros((1, 19, 9, 2)), verbose=0)
    np.testing.assert_allclose(loss, np.mean(predicted**2), rtol=1e-4)


class Noise(keras.layers.Layer):
    """Draws at inference too, as Monte Carlo methods do."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        return inputs + keras.random.normal(
            keras.ops.shape(inputs), seed=self.generator
        )

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_patch_model_that_draws_at_inference_predicts():
    patch_model = keras.Sequential([keras.Input((8, 8, 3)), Noise()])
    model = PatchedModel(patch_model, patch_size=8, patch_batch_size=4)
    images = np.zeros((1, 80, 80, 3), "float32")
    noise = model.predict(images, verbose=0)
    assert 0.9 < noise.std() < 1.1


def test_weights_survive_a_fit_that_fails(model):
    model.compile("adam", "mse")
    patches, targets = draw((4, 8, 12, 3)), np.zeros((4, 8, 12, 2))
    model.fit(patches, targets, verbose=0)
    before = model.predict(patches, verbose=0)
    with pytest.raises(Exception, match=r"."):
        model.fit(patches, np.zeros((4, 5, 7, 9)), verbose=0)
    np.testing.assert_array_equal(model.predict(patches, verbose=0), before)
    model.fit(patches, targets, verbose=0)


def test_arguments_may_be_given_in_keras_order(model):
    model.compile("sgd", "mse", None, ["mae"])
    images = draw((1, 19, 30, 3))
    assert model.predict(images, 1, 0).shape == (1, 19, 30, 2)
    assert len(model.evaluate(images, np.zeros((1, 19, 30, 2)), 1, 0)) == 2
