"""Scores on whole images reach the logs, and callbacks that watch them."""

import keras
import numpy as np
import pytest
from checks import check_callback

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    SemanticSegmentationModel,
)
from keras_patching.callbacks import FullImageEvaluation
from keras_patching.data.images.image_io import write_image


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (8, 16, 16, 3)).astype("uint8")
    return images, (images[..., 0] > 127).astype("uint8")


def make_model():
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    model = SemanticSegmentationModel(2, patch_model, patch_size=16)
    model.compile(keras.optimizers.SGD(0.1))
    return model


@pytest.fixture
def model():
    return make_model()


def full_images(data):
    images, masks = data
    images = [np.concatenate(images[:3], axis=0), images[3][:9]]
    return images, [np.concatenate(masks[:3], axis=0), masks[3][:9]]


def test_it_is_a_callback_as_all_others_of_keras(data):
    def make():
        keras.utils.set_random_seed(0)
        images, targets = full_images(data)
        training = {"x": data[0], "y": data[1]}
        return make_model(), training, {"images": images, "targets": targets}

    check_callback(FullImageEvaluation, make)


def test_scores_of_every_epoch_are_in_the_history(model, data):
    callback = FullImageEvaluation(*full_images(data))
    history = model.fit(
        *data, epochs=3, verbose=0, callbacks=[callback]
    ).history
    assert len(history["val_full_mean_iou"]) == 3
    scores = model.evaluate_full_images(*full_images(data))
    assert history["val_full_mean_iou"][-1] == pytest.approx(scores["mean_iou"])
    assert history["val_full_iou_1"][-1] == pytest.approx(scores["iou_1"])


def test_other_callbacks_can_watch_them(model, data, tmp_path):
    model.fit(
        *data,
        epochs=2,
        verbose=0,
        callbacks=[
            FullImageEvaluation(*full_images(data), every=2),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "best.keras",
                "val_full_mean_iou",
                mode="max",
                save_best_only=True,
            ),
        ],
    )
    assert (tmp_path / "best.keras").exists()


def test_counting_is_scored_on_points(data):
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    images, _ = full_images(data)
    points = [np.array([[3.0, 5.0], [30.0, 8.0]]), np.zeros((0, 2))]
    callback = FullImageEvaluation(images, points)
    callback.set_model(HeatmapObjectCountingModel(patch_model, patch_size=16))
    logs = {}
    callback.on_epoch_end(0, logs)
    assert set(logs) == {
        "val_full_count_mae",
        "val_full_count_relative_error",
        "val_full_precision",
        "val_full_recall",
        "val_full_f1",
    }


def test_detection_is_scored_on_boxes(data):
    (image, _), _ = full_images(data)
    truth = {"boxes": np.array([[3.0, 5, 9, 12]]), "labels": np.array([0])}
    net = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Conv2D(6, 1),
        ]
    )
    model = ObjectDetectionModel(
        net, 2, anchors=((7, 6),), patch_size=16, overlap=8
    )
    callback = FullImageEvaluation([image], [truth])
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert set(logs) == {"val_full_ap50", "val_full_ap50_95"}
    assert all(0 <= score <= 1 for score in logs.values())


@pytest.mark.parametrize(
    ("images", "targets", "every"), [([], [], 1), ([1], [], 1), ([1], [1], 0)]
)
def test_impossible_arguments_are_refused(images, targets, every):
    with pytest.raises(ValueError, match="Received"):
        FullImageEvaluation(images, targets, every)


def write_folders(tmp_path, data):
    for name, arrays in zip(
        ("images", "masks"), full_images(data), strict=True
    ):
        (tmp_path / name).mkdir()
        for stem, array in zip("ab", arrays, strict=True):
            write_image(tmp_path / name / f"{stem}.png", array)
    return tmp_path / "images", tmp_path / "masks"


def test_folders_and_paths_are_scored_as_arrays_are(model, data, tmp_path):
    images, masks = write_folders(tmp_path, data)
    expected = model.evaluate_full_images(*full_images(data))
    paths = [masks / "b.png", masks / "a.png"]
    for given in (
        (images, masks),
        (str(images), str(masks)),
        ([images / "b.png", images / "a.png"], masks),
        ([images / "b.png", images / "a.png"], paths),
        (images, {"a.png": masks / "a.png", "b.png": masks / "b.png"}),
    ):
        callback = FullImageEvaluation(*given)
        callback.set_model(model)
        logs = {}
        callback.on_epoch_end(0, logs)
        assert logs["val_full_mean_iou"] == pytest.approx(expected["mean_iou"])


def test_what_does_not_pair_is_said_before_a_training(model, data, tmp_path):
    images, masks = write_folders(tmp_path, data)
    (masks / "b.png").unlink()
    before = model.get_weights()
    for given, message in (
        ((images, masks), r"b\.png: has no mask"),
        ((images, images / "nothing"), "no such folder"),
        ((images, full_images(data)[1][::-1]), "as high and wide"),
    ):
        callback = FullImageEvaluation(*given)
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            model.fit(*data, verbose=0, callbacks=[callback])
    for kept, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, was)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((16, 16, 3)), r"pass one image as \[image\]"),
        ("nothing", "no such folder"),
        (__file__, r"For one file pass \["),
    ],
)
def test_images_that_are_none_are_refused(images, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        FullImageEvaluation(images, [np.zeros((16, 16))] * 16)
