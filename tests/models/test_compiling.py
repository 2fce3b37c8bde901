"""`compile` takes loss and metrics of the task, or those it is given."""

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.models.detection.yolo_net import yolo_net

SIZE = 8
IMAGES = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), "uint8")
BOXES = np.full((4, 2, 4), -1, "float32")
BOXES[:, 0] = [1, 1, 6, 5]
OBJECTS = {"boxes": BOXES, "labels": np.array([[0, -1]] * 4)}


def head(channels, activation):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(channels, 1, activation=activation),
        ]
    )


def segmenter():
    net = head(2, "softmax")
    model = kp.SemanticSegmentationModel(2, net, patch_size=SIZE)
    return model, np.zeros((4, SIZE, SIZE), "uint8")


def counter():
    model = kp.HeatmapObjectCountingModel(head(1, "linear"), patch_size=SIZE)
    return model, np.zeros((4, SIZE, SIZE), "float32")


def detector():
    net = yolo_net((2, 2), 1, 1, filters=(2, 2))
    model = kp.ObjectDetectionModel(net, 2, ((4, 5),), patch_size=SIZE)
    return model, OBJECTS


TASKS = pytest.mark.parametrize(
    ("make", "loss", "metric"),
    [
        (segmenter, kp.SegmentationLoss, "mean_iou"),
        (counter, kp.DensityMapLoss, "count_mae"),
        (detector, kp.YoloLoss, "box_iou"),
    ],
)


@TASKS
def test_a_fit_shows_the_metric_of_the_task_also_after_loading(
    make, loss, metric, tmp_path
):
    model, targets = make()
    model.compile("sgd")
    assert isinstance(model.loss, loss)
    fit = model.fit(
        IMAGES, targets, validation_data=(IMAGES, targets), verbose=0
    )
    assert {"loss", metric, "val_loss", f"val_{metric}"} <= set(fit.history)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.loss, loss)
    scores = loaded.evaluate(IMAGES, targets, verbose=0, return_dict=True)
    for name, score in scores.items():
        assert score == pytest.approx(fit.history[f"val_{name}"][0], rel=1e-5)


@TASKS
def test_a_loss_and_metrics_of_the_user_are_taken(make, loss, metric):
    model, targets = make()
    mine = loss(*[2] * (loss is kp.SegmentationLoss), name="mine")
    for metrics, shown in (
        ("auto", {"loss", metric}),
        (None, {"loss"}),
    ):
        model.compile("sgd", mine, metrics=metrics, run_eagerly=True)
        scores = model.evaluate(IMAGES, targets, verbose=0, return_dict=True)
        assert set(scores) - {"unassigned_objects"} == shown
    assert model.loss is mine


@TASKS
def test_no_loss_is_no_loss(make, loss, metric):
    model, _ = make()
    model.compile("sgd", loss=None)
    assert model.loss is None


def test_masks_that_are_no_class_ids_have_no_metric_of_the_task():
    model, masks = segmenter()
    model.compile("sgd")
    model.evaluate(IMAGES, masks, verbose=0)
    model.compile("sgd", "categorical_crossentropy")
    one_hot = np.eye(2, dtype="float32")[masks]
    scores = model.evaluate(IMAGES, one_hot, verbose=0, return_dict=True)
    assert set(scores) == {"loss"}


def test_metrics_of_a_detector_see_what_its_loss_sees():
    model, objects = detector()
    seen = []

    def number_of_objects(y_true, y_pred):
        seen.append((tuple(y_true.shape[1:]), tuple(y_pred.shape[1:])))
        return y_true[..., 4]

    model.compile("sgd", metrics=[number_of_objects], run_eagerly=True)
    model.evaluate(IMAGES, objects, verbose=0)
    assert set(seen) == {((2, 2, 1, 6), (2, 2, 1, 6))}
