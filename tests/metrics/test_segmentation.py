"""Metrics of masks count labelled pixels, for every head."""

import keras
import numpy as np
import pytest
from checks import check_metric

from keras_patching import SemanticSegmentationModel
from keras_patching.metrics import DiceScore, MeanIoU, PixelAccuracy

IGNORED = 255


def draw(num_classes):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, num_classes, (3, 8, 8)).astype("uint8")
    truth[rng.random(truth.shape) < 0.3] = IGNORED
    return truth, rng.integers(0, num_classes, (3, 8, 8))


def as_outputs(classes, num_classes, channels, activation):
    """What a head gives that predicts these classes."""
    if channels == 1:
        values = np.where(classes == 1, 0.2, -0.2)[..., None]
    else:
        values = np.eye(num_classes)[classes] * 0.4 - 0.2
    if activation != "linear":
        values = values + 0.5
    return values.astype("float32")


HEADS = [
    (3, 3, "softmax"),
    (3, 3, "linear"),
    (2, 1, "sigmoid"),
    (2, 1, "linear"),
]


@pytest.mark.parametrize("cls", [PixelAccuracy, MeanIoU, DiceScore])
def test_it_is_a_metric_as_all_others_of_keras(cls, tmp_path):
    truth, found = draw(3)
    options = {"activation": "linear", "ignore_value": IGNORED, "name": "other"}
    if cls is not PixelAccuracy:
        options["num_classes"] = 3
    outputs = as_outputs(found, 3, 3, "linear")
    check_metric(cls, options, truth, outputs, tmp_path)


@pytest.mark.parametrize(("num_classes", "channels", "activation"), HEADS)
def test_scores_are_those_of_counted_pixels(num_classes, channels, activation):
    truth, found = draw(num_classes)
    outputs = as_outputs(found, num_classes, channels, activation)
    metrics = [
        PixelAccuracy(activation, IGNORED),
        MeanIoU(num_classes, activation, IGNORED),
        DiceScore(num_classes, activation, IGNORED),
    ]
    for metric in metrics:
        metric.update_state(truth[:2], outputs[:2])
        metric.update_state(truth[2:, ..., None], outputs[2:])
    is_labelled = truth != IGNORED
    truth, found = truth[is_labelled], found[is_labelled]
    shared = [((truth == c) & (found == c)).sum() for c in range(num_classes)]
    either = [((truth == c) | (found == c)).sum() for c in range(num_classes)]
    shared, either = np.array(shared), np.array(either)
    expected = [
        (truth == found).mean(),
        (shared / either).mean(),
        (2 * shared / (shared + either)).mean(),
    ]
    for metric, score in zip(metrics, expected, strict=True):
        assert float(metric.result()) == pytest.approx(score, rel=1e-5)
        metric.reset_state()
        assert float(metric.result()) == 0


@pytest.mark.parametrize("make", [PixelAccuracy, DiceScore, MeanIoU])
def test_weights_are_of_images_or_of_pixels(make):
    kwargs = {} if make is PixelAccuracy else {"num_classes": 2}
    truth = np.zeros((8, 8, 8), "uint8")  # As many images as pixels in a row.
    truth[:, 4:] = 1
    outputs = as_outputs(truth.astype(int), 2, 2, "softmax")
    outputs[4:] = outputs[4:, ..., ::-1]  # The last ones are wrong.
    of_images = np.repeat([1.0, 0.0], 4).astype("float32")
    for weights in (of_images, np.tile(of_images[:, None, None], (8, 8))):
        metric = make(**kwargs)
        metric.update_state(truth, outputs, weights)
        assert float(metric.result()) == pytest.approx(1)


def test_absent_classes_and_unlabelled_masks_do_not_count():
    truth = np.zeros((1, 4, 4), "uint8")
    outputs = as_outputs(truth.astype(int), 3, 3, "softmax")
    for metric in (MeanIoU(3), DiceScore(3)):
        metric.update_state(truth, outputs)
        assert float(metric.result()) == pytest.approx(1)
    nothing = np.full_like(truth, IGNORED)
    for metric in (
        PixelAccuracy(ignore_value=IGNORED),
        MeanIoU(3, ignore_value=IGNORED),
        DiceScore(3, ignore_value=IGNORED),
    ):
        metric.update_state(nothing, outputs)
        assert float(metric.result()) == 0


def blind_model(num_classes, channels, activation, **kwargs):
    """Sees class 1 everywhere."""
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(channels, 1, activation=activation),
        ]
    )
    bias = [0.2] if channels == 1 else [0.0, 0.2, -0.2][:channels]
    patch_model.set_weights([np.zeros((1, 1, 3, channels)), np.array(bias)])
    return SemanticSegmentationModel(
        num_classes, patch_model, patch_size=8, **kwargs
    )


IMAGES = np.zeros((2, 8, 8, 3), "uint8")


def half_labelled():
    masks = np.full((2, 8, 8), IGNORED, "uint8")
    masks[:, 4:] = 1
    masks[:, 4:, :2] = 0
    return masks  # Three quarters of the labelled pixels are class 1.


@pytest.mark.parametrize(("num_classes", "channels", "activation"), HEADS)
def test_accuracy_is_of_labelled_pixels(num_classes, channels, activation):
    model = blind_model(num_classes, channels, activation, ignore_value=IGNORED)
    model.compile(
        keras.optimizers.SGD(0.0),
        metrics=["accuracy", MeanIoU(num_classes, activation, IGNORED)],
        weighted_metrics=["acc"],
    )
    masks = half_labelled()
    logs = model.evaluate(IMAGES, masks, return_dict=True, verbose=0)
    assert logs["accuracy"] == pytest.approx(0.75)
    assert logs["acc"] == pytest.approx(0.75)
    assert logs["mean_iou"] == pytest.approx(0.375)


@pytest.mark.parametrize(
    "metric",
    [
        "sparse_categorical_accuracy",
        keras.metrics.SparseCategoricalAccuracy(),
        keras.metrics.MeanIoU(2),
        keras.metrics.sparse_categorical_accuracy,
    ],
)
def test_a_metric_that_counts_unlabelled_pixels_is_refused(metric):
    model = blind_model(2, 2, "softmax", ignore_value=IGNORED)
    with pytest.raises(ValueError, match=r"ignore_value=255.*MeanIoU\("):
        model.compile("sgd", metrics=[metric])
    blind_model(2, 2, "softmax").compile("sgd", metrics=[metric])
    # As the message says.
    model.compile(
        "sgd",
        metrics=[
            MeanIoU(num_classes=2, activation="softmax", ignore_value=255)
        ],
    )
    iou = keras.metrics.MeanIoU(2, ignore_class=IGNORED, sparse_y_pred=False)
    model.compile("sgd", metrics=[iou, lambda y_true, y_pred: y_pred[..., 0]])


def test_more_pixels_than_a_float_counts_one_by_one_are_counted():
    right, wrong = 2**24 + 2**22, 2**22
    predictions = np.ones((1, 1, right + wrong, 1), "float32")
    predictions[:, :, right:] = 0
    score = MeanIoU(2, activation="sigmoid")
    score.update_state(np.ones(predictions.shape[:3], "uint8"), predictions)
    # Class 0 is found and never true.
    expected = right / (right + wrong) / 2
    np.testing.assert_allclose(score.result(), expected, rtol=1e-5)
