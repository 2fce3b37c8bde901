"""Test-time augmentation of task models, and where its passes differ."""

import keras
import networks
import numpy as np
import pytest

import keras_patching as kp

# Turned images are tiled, and small tiles are dear: models say so.
pytestmark = pytest.mark.filterwarnings("ignore:Rows c", "ignore:An image of")

IMAGES = np.random.default_rng(0).random((1, 40, 30, 3)).astype("float32")


def net(channels, activation):
    layer = keras.layers.Conv2D(
        channels, 3, padding="same", activation=activation
    )
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    return networks.fill(model)


def segmenter(activation):
    return kp.SemanticSegmentationModel(
        3,
        net(3, activation),
        patch_size=8,
        overlap="auto",
        value_range=(0, 1),
    )


def counter(**arguments):
    return kp.HeatmapObjectCountingModel(
        net(1, "relu"), patch_size=8, value_range=(0, 1), **arguments
    )


def predictions_of(model):
    """Predict an image mirrored and turned, and turn the results back."""
    predicted = []
    for turns in range(4):
        for step in (1, -1):
            image = np.rot90(IMAGES[:, ::step], turns, (1, 2))
            found = model.predict(np.ascontiguousarray(image), verbose=0)
            predicted.append(np.rot90(found, -turns, (1, 2))[:, ::step])
    return np.stack(predicted)


def softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits.copy()))


@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_classes_and_doubt_are_those_of_all_passes(activation, tmp_path):
    model = segmenter(activation)
    each = predictions_of(model)
    each = softmax(each) if activation == "linear" else each
    model.set_tiling(test_time_augmentation="all")
    model.save(tmp_path / "model.keras")
    for loaded in (model, keras.saving.load_model(tmp_path / "model.keras")):
        predicted = loaded.predict(IMAGES, verbose=0)
        mean = softmax(predicted) if activation == "linear" else predicted
        np.testing.assert_allclose(mean, each.mean(0), atol=1e-6)
        (classes,) = loaded.predict_images(
            IMAGES, transform="classes", verbose=False
        )
        np.testing.assert_array_equal(
            classes, loaded.decode_predictions(predicted)[0]
        )
        (doubt,) = loaded.predict_images(
            IMAGES, transform="doubt", verbose=False
        )
        expected = each.std(0)[0].max(-1)
        np.testing.assert_allclose(doubt, expected, atol=1e-6)
    target = np.zeros((1, 40, 30), "uint8")
    scores = model.evaluate_full_images(IMAGES, target)
    assert scores["iou_0"] == pytest.approx((classes == 0).mean())


def test_the_count_is_the_mean_of_those_of_all_passes(tmp_path):
    model = counter(overlap="auto", density_scale=7.0)
    each = predictions_of(model)
    model.set_tiling(test_time_augmentation="all")
    (found,) = model.predict_images(IMAGES, verbose=False)
    assert found["count"] == pytest.approx(each.sum() / 8, rel=1e-5)
    (path,) = model.predict_images(
        IMAGES,
        transform="doubt",
        out=str(tmp_path / "{name}.npy"),
        verbose=False,
    )
    expected = each.std(0)[0, ..., 0]
    np.testing.assert_allclose(np.load(path), expected, atol=1e-6)


def test_the_members_of_an_ensemble_count_too():
    nets = [net(3, "softmax") for _ in range(2)]
    networks.fill(nets[1], seed=1)
    models = [
        kp.SemanticSegmentationModel(
            3, each, patch_size=8, overlap="auto", value_range=(0, 1)
        )
        for each in nets
    ]
    each = np.concatenate([predictions_of(model) for model in models])
    both = kp.inference.load_ensemble(models)
    for symmetries, passes in ((None, each[::8]), ("all", each)):
        both.set_tiling(test_time_augmentation=symmetries)
        (doubt,) = both.predict_images(IMAGES, transform="doubt", verbose=False)
        expected = passes.std(0)[0].max(-1)
        np.testing.assert_allclose(doubt, expected, atol=1e-6)


def test_one_prediction_leaves_no_doubt():
    with pytest.raises(ValueError, match="test_time_augmentation"):
        counter().predict_images(IMAGES, transform="doubt", verbose=False)


def test_what_is_not_stitched_is_not_averaged():
    model = kp.PatchedModel(net(1, "relu"), patch_size=8, stitch=False)
    with pytest.raises(ValueError, match="boxes of mirrored"):
        model.set_tiling(test_time_augmentation="all")
