"""Models leave Python as files, for images of any size where that is possible.

Each file is run by its own runtime. ONNX and OpenVINO come with the extra
`export`, LiteRT with tensorflow.
"""

import itertools

import keras
import numpy as np
import pytest
from exports import run_exported

import keras_patching as kp
from keras_patching.models.litert_check import write_checked

BACKEND = keras.backend.backend()
SUFFIXES = {
    "tf_saved_model": "",
    "onnx": ".onnx",
    "openvino": ".xml",
    "litert": ".tflite",
    "torch": ".pt2",
}
ANY_SIZE = {
    "tensorflow": ["tf_saved_model", "onnx", "openvino", "litert"],
    "jax": ["tf_saved_model"],
    "torch": [],
}[BACKEND]
NEEDED = {
    "tf_saved_model": ["tensorflow"],
    "onnx": ["tf2onnx", "onnxruntime"],
    "openvino": ["openvino"],
}
# Of Keras, which brings tf2onnx and numpy together, and calls jax2tf.
OLD_ARGUMENTS = pytest.mark.filterwarnings(
    "ignore:In the future `np.object`:FutureWarning",
    "ignore:The `native_serialization` parameter:DeprecationWarning",
)
SIZES = ((2, 40, 21), (1, 7, 33))


def net(channels=2, filters=2):
    inputs = keras.Input((None, None, channels))
    full = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    half = keras.layers.MaxPooling2D()(full)
    x = keras.layers.Concatenate()([keras.layers.UpSampling2D()(half), full])
    return keras.Model(inputs, keras.layers.Conv2D(filters, 1)(x))


def patched_model(**tiling):
    return kp.PatchedModel(net(), 16, **tiling)


def counting_model():
    return kp.HeatmapObjectCountingModel(
        net(3, 1), density_map_sigma=1.5, patch_size=16, value_range=(0, 1)
    )


def detection_model():
    # After a Resizing, Keras takes a call for training unless it is told.
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Resizing(4, 4),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(30, 3, 2, padding="same"),
        ]
    )
    return kp.ObjectDetectionModel(
        patch_model, grid_size=2, patch_size=32, overlap=8, value_range=(0, 1)
    )


MODELS = {
    "overlap": lambda: patched_model(overlap=6, multiple_of=2, blend="mean"),
    "auto": lambda: patched_model(overlap="auto"),
    "counting": counting_model,
    "detection": detection_model,
}

# LiteRT refuses one, see below; tests of the layer have the others.
ELSEWHERE = {("litert", "auto")}
if BACKEND == "tensorflow":
    ELSEWHERE |= {("tf_saved_model", "auto"), ("tf_saved_model", "overlap")}
CASES = sorted(set(itertools.product(ANY_SIZE, MODELS)) - ELSEWHERE)


def images_for(model, *shape):
    shape = *shape, model.predictor.channels
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


def assert_same(model, run, sizes):
    for size in sizes:
        images = images_for(model, *size)
        with model.predictor.without_loops():  # As with loops, and faster.
            expected = model(images, training=False)
            expected = keras.ops.convert_to_numpy(expected)
        np.testing.assert_allclose(run(images), expected, rtol=0, atol=1e-4)


def of_one_size(model, *shape):
    shape = *shape, model.predictor.channels
    return [keras.InputSpec(dtype="float32", shape=shape)]


def test_a_call_is_no_training_unless_it_is_told():
    model = detection_model()
    images = images_for(model, *SIZES[0])
    found = keras.ops.convert_to_numpy(model(images))
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@OLD_ARGUMENTS
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_file_predicts_images_of_any_size_as_the_model(name, kind, tmp_path):
    for needed in NEEDED.get(name, []):
        pytest.importorskip(needed)
    model = MODELS[kind]()
    path = tmp_path / f"exported{SUFFIXES[name]}"
    model.export(path, format=name, verbose=False)
    assert_same(model, run_exported(path, name), SIZES)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="It is of tensorflow.")
def test_litert_takes_whole_images_of_one_size(tmp_path):
    model, path = patched_model(overlap="auto"), tmp_path / "exported.tflite"
    path.write_text("An earlier one.")
    with pytest.raises(ValueError, match="batches of one size, `input_sig"):
        model.export(path, format="litert", verbose=False)
    assert path.read_text() == "An earlier one."
    signature = of_one_size(model, *SIZES[0])
    model.export(path, "litert", verbose=False, input_signature=signature)
    assert_same(model, run_exported(path, "litert"), SIZES[:1])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="It is of tensorflow.")
def test_a_litert_file_that_predicts_something_else_is_not_written(tmp_path):
    model, path = patched_model(), tmp_path / "exported.tflite"
    other = patched_model()
    signature = of_one_size(model, *SIZES[0])

    def write(path):
        with other.predictor.without_loops():
            keras.Model.export(other, path, "litert", False, signature)

    with pytest.raises(ValueError, match="LiteRT predicts something else"):
        write_checked(write, model, path, *signature)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(BACKEND != "torch", reason="It is a format of torch.")
@pytest.mark.parametrize("kind", MODELS)
def test_torch_exports_images_of_one_size(kind, tmp_path):
    model, path = MODELS[kind](), tmp_path / "exported.pt2"
    signature = of_one_size(model, *SIZES[0])
    model.export(path, "torch", verbose=False, input_signature=signature)
    assert_same(model, run_exported(path, "torch"), SIZES[:1])


@pytest.mark.parametrize("name", sorted(SUFFIXES.keys() - set(ANY_SIZE)))
def test_a_format_that_does_not_work_is_refused_before_it_is_written(
    name, tmp_path
):
    model, path = patched_model(), tmp_path / f"exported{SUFFIXES[name]}"
    way = "batches of one size" if name == "torch" else "KERAS_BACKEND=tensorf"
    batches = [keras.InputSpec(dtype="float32", shape=(None, 32, 32, 2))]
    signatures = [None, batches]
    if (BACKEND, name) != ("torch", "torch"):
        signatures.append(of_one_size(model, 1, 32, 32))
    for signature in signatures:
        with pytest.raises(ValueError, match=way):
            model.export(path, format=name, input_signature=signature)
    assert not list(tmp_path.iterdir())


def test_patches_of_one_size_cannot_be_run_whole():
    patch_model = keras.Sequential(
        [keras.Input((16, 16, 2)), keras.layers.Conv2D(2, 3, padding="same")]
    )
    model = kp.PatchedModel(patch_model, 16, overlap="auto")
    with (
        pytest.raises(ValueError, match=r"keras.Input\(\(None, None, channels"),
        model.predictor.without_loops(),
    ):
        pass


@pytest.mark.parametrize("kind", MODELS)
def test_without_loops_the_prediction_is_the_same(kind):
    model = MODELS[kind]()
    images = images_for(model, *SIZES[0])
    expected = model.predict(images, verbose=0)
    with model.predictor.without_loops():
        found = keras.ops.convert_to_numpy(model(images, training=False))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("pad_mode", ["reflect", "edge"])
def test_without_loops_the_same_lies_beyond_an_image(pad_mode):
    patch_model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")]
    )
    layer = kp.layers.PatchedPredictor(patch_model, 8, pad_mode=pad_mode)
    images = np.random.default_rng(0).random((1, 11, 13, 1), "float32")
    expected = keras.ops.convert_to_numpy(layer(images))
    with layer.without_loops():
        found = keras.ops.convert_to_numpy(layer(images))
    np.testing.assert_allclose(found, expected, atol=1e-5)
