"""Detectors with a decoding and a loss of their own are tiled and trained."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import own_detectors
import pytest
from own_detectors import BrightestPixel

import keras_patching as kp
from keras_patching.models.detection.decoding import as_parts

PATCH = 16
BOXES = np.array(
    [[[2, 4, 6, 8], [4, 6, 10, 12]], [[8, 6, 10, 12], [-1] * 4]], "float32"
)
TARGETS = {"boxes": BOXES, "labels": np.array([[0, 0], [0, -1]])}
PATCHES = np.zeros((2, PATCH, PATCH, 1), "uint8")
# The mean of all coordinates: of x1, y1, x2, y2 in pixels.
MEAN = (5 + 8 + 9) / 3


def model_of(detector, **options):
    return kp.ObjectDetectionModel(
        detector, channels=1, patch_size=PATCH, **options
    )


def points_found(model):
    """Places of the boxes that are found around three bright points."""
    image = np.zeros((1, 40, 36, 1), "uint8")
    for y, x in ((3, 5), (20, 22), (36, 2)):
        image[0, y, x] = 200
    raw = model.predict(image, verbose=0)
    (found,) = model.merge_predictions(raw, image.shape[1:3], 0.5)
    return {(int(y), int(x)) for x, y, *_ in found["boxes"].round()}


@pytest.mark.parametrize("box_format", ["xyxy", "yxyx", "xywh", "rel_yxyx"])
def test_boxes_of_each_format_are_put_where_they_are(box_format):
    model = model_of(BrightestPixel(box_format), overlap=8)
    assert points_found(model) == {(3, 5), (20, 22), (36, 2)}


def test_boxes_are_judged_in_the_format_of_the_detector():
    for box_format, mean in (("yxyx", MEAN), ("rel_xyxy", MEAN / PATCH)):
        detector = BrightestPixel(box_format)
        detector.compile(loss={"number": "mae"})
        model = model_of(detector)
        model.compile("sgd")
        scores = model.evaluate(PATCHES, TARGETS, verbose=0, return_dict=True)
        assert scores == {"loss": pytest.approx(mean)}


def test_it_trains_with_the_losses_that_it_is_given():
    model = model_of(BrightestPixel())
    model.compile(keras.optimizers.SGD(0.5), loss={"number": "mse"})
    history = model.fit(PATCHES, TARGETS, verbose=0, epochs=3).history
    assert history["loss"] == pytest.approx([MEAN**2, 0, 0], abs=1e-4)


IN_A_FRESH_PROCESS = """
import sys, warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "__array__ implementation")
import keras_patching as kp
import keras, numpy as np, own_detectors
model = keras.saving.load_model(sys.argv[1])
assert int(model.optimizer.iterations) == 1, model.optimizer.iterations
boxes = np.full((2, 1, 4), 3, "float32")
labels = np.zeros((2, 1), int)
images = np.zeros((2, 16, 16, 1), "uint8")
images[:, 3, 5] = 200
(found, _) = model.merge_predictions(model.predict(images, verbose=0), (16, 16))
print(found["boxes"].tolist())
print(model.evaluate(images, {"boxes": boxes, "labels": labels}, verbose=0))
"""


def test_a_fresh_process_loads_it_with_its_losses_and_goes_on(tmp_path):
    scaled = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.Identity()]
    )
    scaled.add(BrightestPixel())  # as behind a `Rescaling`
    model = model_of(scaled)
    # The first step moves the number to 1.
    model.compile(keras.optimizers.Adam(1.0), loss={"number": "mae"})
    model.fit(PATCHES, TARGETS, verbose=0)
    model.save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, tmp_path / "model.keras"],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(own_detectors.__file__).parent,
    )
    assert done.returncode == 0, done.stderr
    boxes, loss = done.stdout.splitlines()
    assert boxes == "[[5.0, 3.0, 9.0, 7.0]]"
    assert float(loss) == pytest.approx(3 - 1, abs=1e-4)


def test_a_net_of_several_outputs_trains_with_a_loss_for_each(tmp_path):
    inputs = keras.Input((None, None, 1))
    cells = keras.layers.AveragePooling2D(8)(inputs)
    outputs = {
        "box": keras.layers.Conv2D(4, 1)(cells),
        "objectness": keras.layers.Conv2D(1, 1, activation="sigmoid")(cells),
    }
    model = model_of(
        keras.Model(inputs, outputs), prediction_decoder=boxes_of_cells
    )
    losses = {"box": "mse", "objectness": "binary_crossentropy"}
    targets = {
        "box": np.ones((2, 2, 2, 4), "float32"),
        "objectness": np.ones((2, 2, 2, 1), "float32"),
    }
    model.compile("sgd", loss=losses)
    model.fit(PATCHES, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    history = loaded.fit(PATCHES, targets, verbose=0).history
    assert {"loss", "box_loss", "objectness_loss"} <= set(history)
    raw = loaded.predict(PATCHES, verbose=0)
    assert len(loaded.merge_predictions(raw, (PATCH, PATCH))[0]["boxes"]) == 4


@keras.saving.register_keras_serializable(package="tests")
def boxes_of_cells(outputs):
    """Boxes of one pixel, apart from each other, under KerasHub's names."""
    count = len(outputs["box"])
    corners = np.arange(4, dtype="float32").reshape(1, 4, 1)
    boxes = np.concatenate([corners, corners, corners + 1, corners + 1], -1)
    return {
        "boxes": boxes.repeat(count, 0),
        "confidence": np.ones((count, 4), "float32"),
        "classes": np.zeros((count, 4), int),
    }


def test_what_detectors_give_is_read_under_the_names_that_they_use():
    boxes = np.arange(16, dtype="float32").reshape(2, 2, 4)
    scores = np.array([[0.5, 0.25], [0.75, 0]], "float32")
    labels = np.array([[1, 0], [2, 0]])
    rows = np.concatenate([boxes, scores[..., None], labels[..., None]], -1)
    named = {"boxes": boxes, "confidence": scores, "classes": labels}
    for form in (rows, {**named, "num_detections": np.array([2, 1])}):
        found = as_parts(form)
        for name, values in (
            ("boxes", boxes),
            ("scores", [[0.5, 0.25], [0.75, -1]]),
            ("labels", labels),
        ):
            values = np.asarray(values)
            read = keras.ops.convert_to_numpy(found[name])
            np.testing.assert_array_equal(read, values)


def test_a_detector_of_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"finds 3 classes.*1 names"):
        model_of(BrightestPixel(num_classes=3))


def test_a_box_of_a_class_without_a_name_is_refused():
    def decode(outputs):
        found = boxes_of_cells({"box": outputs["number"]})
        return {**found, "classes": found["classes"] + 7}

    model = model_of(BrightestPixel(), prediction_decoder=decode)
    raw = model.predict(PATCHES, verbose=0)
    for use in (model.merge_predictions, model.decode_predictions):
        with pytest.raises(ValueError, match=r"label 7.* names 1 classes"):
            use(raw, image_size=(PATCH, PATCH))


def test_a_detector_that_does_not_decode_needs_a_decoder():
    class Judged(keras.Sequential):
        def compute_loss(self, x, y, y_pred, sample_weight=None):
            return keras.ops.mean(y_pred)

    net = Judged([keras.Input((None, None, 1)), keras.layers.Conv2D(1, 1)])
    with pytest.raises(ValueError, match="pass a `prediction_decoder`"):
        model_of(net)
    model_of(net, prediction_decoder=boxes_of_cells)


def test_metrics_that_cannot_see_boxes_are_refused():
    model = model_of(BrightestPixel())
    for kind in ("metrics", "weighted_metrics"):
        with pytest.raises(ValueError, match=r"FullImageEvaluation.*metrics="):
            model.compile("sgd", {"number": "mse"}, **{kind: ["mae"]})
    model.compile("sgd", {"number": "mse"}, metrics=None)
