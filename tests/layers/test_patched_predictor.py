"""The predictor gives what patch by patch prediction gives, in the graph."""

import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from checks import check_layer
from keras import ops

from keras_patching import PatchedPredictor, PatchGrid


def draw(shape, dtype="float32"):
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


def conv_model(channels=3, filters=2, size=(None, None), **kwargs):
    return keras.Sequential(
        [
            keras.Input((*size, channels)),
            keras.layers.Conv2D(filters, 3, padding="same", **kwargs),
        ]
    )


def dynamic_model(layer, channels=3):
    return keras.Sequential([keras.Input((None, None, channels)), layer])


def predict_by_hand(patch_model, image, grid, pad_value=0, pad_mode=None):
    """Cut one image, predict every patch, and write each in its place."""
    height, width, _ = image.shape
    bottom, right = grid.padded_size
    padding = ((0, bottom - height), (0, right - width), (0, 0))
    if pad_mode is None:
        image = np.pad(image, padding, constant_values=pad_value)
    else:
        image = np.pad(image, padding, pad_mode)
    h, w = grid.patch_size
    result = None
    for y, x in grid.origins:
        patch = image[None, y : y + h, x : x + w].astype("float32")
        output = ops.convert_to_numpy(patch_model(patch))[0]
        if result is None:
            result = np.zeros((bottom, right, output.shape[-1]), output.dtype)
        result[y : y + h, x : x + w] = output
    return result[:height, :width]


@pytest.mark.parametrize(
    "options",
    [
        {"overlap": 2, "multiple_of": 2, "blend": "gaussian", "pad_value": 3},
        {"overlap": "auto", "predict_patch_size": 12},
        {"overlap": "auto", "predict_patch_size": (4, None)},
        {"stitch": False, "patch_batch_size": 2},
        {"pad_mode": "reflect"},
    ],
    ids=["gaussian", "tiles", "rows", "patches", "mirrored"],
)
def test_it_is_a_layer_as_all_others_of_keras(options, tmp_path):
    check_layer(
        PatchedPredictor,
        lambda: {"patch_model": conv_model(), "patch_size": 8, **options},
        draw((1, 19, 9, 3)) / 200,
        tmp_path,
    )


def test_an_identity_reproduces_the_image_for_any_geometry():
    rng = np.random.default_rng(0)
    for _ in range(24):
        multiple = int(rng.integers(1, 4))
        patch = multiple * rng.integers(1, 8, 2)
        overlap = [int(rng.integers(0, p - multiple + 1)) for p in patch]
        layer = PatchedPredictor(
            keras.layers.Identity(),
            tuple(int(p) for p in patch),
            overlap=tuple(overlap),
            multiple_of=multiple,
            patch_batch_size=int(rng.integers(1, 6)),
        )
        image = draw((int(rng.integers(1, 3)), *rng.integers(1, 40, 2), 2))
        predicted = dynamic_model(layer, 2).predict(image, verbose=0)
        np.testing.assert_array_equal(predicted, image, err_msg=repr(layer))


@pytest.mark.parametrize("patch_batch_size", [None, "auto", 1, 4])
def test_patches_are_predicted_as_by_hand(patch_batch_size):
    patch_model = conv_model()
    layer = PatchedPredictor(
        patch_model, (16, 12), patch_batch_size=patch_batch_size, pad_value=9
    )
    images = draw((2, 37, 30, 3))
    expected = [
        predict_by_hand(patch_model, image, PatchGrid((37, 30), (16, 12)), 9)
        for image in images
    ]
    predicted = dynamic_model(layer).predict(images, verbose=0)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("pad_mode", ["reflect", "edge"])
@pytest.mark.parametrize("size", [(37, 30), (5, 1)])
def test_beyond_an_image_are_its_own_pixels(pad_mode, size):
    patch_model = conv_model()
    layer = PatchedPredictor(patch_model, (16, 12), pad_mode=pad_mode)
    (image,) = images = draw((1, *size, 3))
    grid = PatchGrid(size, (16, 12))
    expected = predict_by_hand(patch_model, image, grid, pad_mode=pad_mode)
    predicted = dynamic_model(layer).predict(images, verbose=0)
    np.testing.assert_allclose(predicted[0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pad_mode": "wrap"}, "`pad_mode` must be one of .*'wrap'"),
        ({"pad_mode": "edge", "overlap": "auto"}, "an overlap in numbers"),
    ],
)
def test_impossible_padding_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PatchedPredictor(conv_model(), 8, **options)


def test_training_and_inference_see_the_same_patches():
    layer = PatchedPredictor(conv_model(), 16, overlap=4)
    images = draw((2, 37, 30, 3))
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(images, training=True)),
        ops.convert_to_numpy(layer(images, training=False)),
        rtol=1e-4,
        atol=1e-3,
    )


def test_one_unpadded_patch_is_what_the_patch_model_gives():
    patch_model = conv_model()
    image = draw((3, 16, 16, 3))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(PatchedPredictor(patch_model, 16)(image)),
        ops.convert_to_numpy(patch_model(image)),
    )


def test_outputs_that_are_not_images_come_back_patch_by_patch():
    patch_model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.GlobalMaxPooling2D()]
    )
    layer = PatchedPredictor(patch_model, 8)
    images = draw((2, 20, 9, 3))
    output = ops.convert_to_numpy(layer(images))
    assert output.shape == (2, 3, 2, 3)
    np.testing.assert_array_equal(
        output[1, 2, 0], images[1, 16:, :8].max((0, 1))
    )
    assert layer(images[:, :8, :8]).shape == (2, 1, 1, 3)


def test_unstitched_outputs_keep_the_grid_even_of_one_patch():
    layer = PatchedPredictor(conv_model(), 8, stitch=False)
    assert layer(draw((2, 20, 9, 3))).shape == (2, 3, 2, 8, 8, 2)
    assert layer(draw((2, 8, 8, 3))).shape == (2, 1, 1, 8, 8, 2)
    assert layer(draw((2, 5, 8, 3))).shape == (2, 1, 1, 8, 8, 2)


def several_outputs():
    inputs = keras.Input((None, None, 3))
    outputs = {
        "same": keras.layers.Conv2D(2, 3, padding="same")(inputs),
        "half": keras.layers.MaxPooling2D()(inputs),
        "twice": keras.layers.UpSampling2D()(inputs),
        "label": keras.layers.GlobalMaxPooling2D()(inputs),
        "class": ops.argmax(inputs, axis=-1, keepdims=True),
    }
    return keras.Model(inputs, outputs)


def test_a_dict_of_outputs_at_several_scales_and_dtypes():
    layer = PatchedPredictor(several_outputs(), 8)
    outputs = layer(draw((2, 19, 9, 3)))
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        "same": (2, 19, 9, 2),
        "half": (2, 10, 5, 3),
        "twice": (2, 38, 18, 3),
        "label": (2, 3, 2, 3),
        "class": (2, 19, 9, 1),
    }
    spec = layer.compute_output_spec(keras.KerasTensor((2, 19, 9, 3)))
    for name, output in outputs.items():
        assert spec[name].shape == tuple(output.shape)
        assert spec[name].dtype == keras.backend.standardize_dtype(output.dtype)


def test_static_and_dynamic_shapes_are_declared():
    layer = PatchedPredictor(conv_model(), 8)
    shapes = [(None, None, None, 3), (2, None, 9, 3), (2, 19, 9, 3)]
    assert [layer.compute_output_shape(shape) for shape in shapes] == [
        (*shape[:3], 2) for shape in shapes
    ]
    unstitched = PatchedPredictor(conv_model(), 8, stitch=False)
    assert unstitched.compute_output_shape((None, None, 9, 3)) == (
        None,
        None,
        2,
        8,
        8,
        2,
    )


def test_asking_for_grids_and_specs_changes_nothing():
    layer = PatchedPredictor(
        conv_model(), 8, overlap="auto", predict_patch_size=8
    )
    before = layer.get_config()
    assert layer.patch_grid((19, 9)).overlap == (2, 2)
    layer.compute_output_spec(keras.KerasTensor((1, 19, 9, 3)))
    assert layer.get_config() == before
    assert not layer.built


def test_outputs_fold_by_what_they_are_and_not_by_the_last_call():
    layer = PatchedPredictor(several_outputs(), 8)
    outputs = layer(draw((2, 19, 9, 3)))
    layer.compute_output_spec(keras.KerasTensor((2, 8, 8, 3)))
    layer(draw((2, 8, 8, 3)))
    folded = layer.fold_grid(outputs)
    assert tuple(folded["same"].shape) == (2, 19, 9, 2)
    assert tuple(folded["label"].shape) == (12, 3)


def test_larger_patches_whose_outputs_do_not_grow_are_refused():
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Resizing(8, 8)]
    )
    layer = PatchedPredictor(patch_model, 8, predict_patch_size=16)
    with pytest.raises(ValueError, match="another part of the patch"):
        layer(draw((1, 32, 16, 3)))


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="It wraps a module of torch."
)
def test_a_module_of_torch_that_declares_no_shape_is_run():
    import torch

    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3, padding=1), torch.nn.BatchNorm2d(2)
    )
    layer = PatchedPredictor(
        keras.layers.TorchModuleWrapper(module),
        8,
        data_format="channels_first",
    )
    output = layer(draw((1, 3, 19, 9)), training=False)
    assert tuple(output.shape) == (1, 2, 19, 9)
    # Finding out what it gives is no training.
    assert float(module[1].running_mean.abs().max()) == 0


def test_batch_normalization_and_dropout_train():
    patch_model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.5),
        ]
    )
    model = dynamic_model(PatchedPredictor(patch_model, 8))
    model.compile("sgd", "mse")
    images = draw((2, 19, 9, 3))
    model.fit(images, images, verbose=0)
    normalization = patch_model.layers[0]
    assert float(np.abs(normalization.moving_mean).max()) > 1
    once, again = (model.predict(images, verbose=0) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    training = ops.convert_to_numpy(model(images, training=True))
    assert (training == 0).mean() > 0.2


def test_integers_are_cast_before_the_patch_model_sees_them():
    layer = PatchedPredictor(conv_model(), 8)
    images = draw((2, 19, 9, 3), "uint8")
    np.testing.assert_allclose(
        dynamic_model(layer).predict(images, verbose=0),
        ops.convert_to_numpy(layer(images.astype("float32"))),
        rtol=1e-4,
        atol=1e-3,
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_the_dtype_is_that_of_the_patch_model(policy):
    patch_model = conv_model(dtype=policy)
    patch_model.add(keras.layers.Activation("linear", dtype="float32"))
    layer = PatchedPredictor(patch_model, 8)
    spec = layer.compute_output_spec(keras.KerasTensor((1, 19, 9, 3)))
    output = layer(draw((1, 19, 9, 3)))
    assert spec.dtype == "float32"
    assert keras.backend.standardize_dtype(output.dtype) == "float32"


def test_channels_first():
    if keras.backend.backend() == "tensorflow":
        patch_model = keras.layers.Identity()  # Its CPU has no such Conv2D.
    else:
        patch_model = keras.layers.Conv2D(
            2, 3, padding="same", data_format="channels_first"
        )
    layer = PatchedPredictor(
        patch_model, 8, overlap=2, data_format="channels_first"
    )
    images = draw((2, 3, 19, 9))
    output = layer(images)
    assert tuple(output.shape) == layer.compute_output_shape(images.shape)
    if keras.backend.backend() == "tensorflow":
        np.testing.assert_array_equal(output, images)
        return
    expected = predict_by_hand(
        lambda patch: ops.transpose(
            patch_model(ops.transpose(patch, (0, 3, 1, 2))), (0, 2, 3, 1)
        ),
        images[0].transpose(1, 2, 0),
        PatchGrid((19, 9), 8),
    )
    plain = PatchedPredictor(patch_model, 8, data_format="channels_first")
    np.testing.assert_allclose(
        ops.convert_to_numpy(plain(images))[0].transpose(1, 2, 0),
        expected,
        rtol=1e-4,
        atol=1e-3,
    )


def test_a_round_trip_in_a_fresh_process_predicts_the_same(tmp_path):
    model = dynamic_model(
        PatchedPredictor(conv_model(), 8, overlap=2, multiple_of=2, pad_value=3)
    )
    images = draw((1, 19, 9, 3))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras_patching, keras, numpy, sys\n"
        "model = keras.saving.load_model(sys.argv[1] + '/model.keras')\n"
        "images = numpy.load(sys.argv[1] + '/images.npy')\n"
        "numpy.save(sys.argv[1] + '/out.npy', model.predict(images, verbose=0))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(
        np.load(tmp_path / "out.npy"), model.predict(images, verbose=0)
    )


def test_a_layer_with_another_tiling_is_in_all_else_the_same():
    arguments = {
        "overlap": 4,
        "multiple_of": 2,
        "blend": "mean",
        "stitch": True,
        "pad_value": 7,
        "pad_mode": "edge",
        "patch_batch_size": 3,
        "predict_patch_size": (16, None),
        "shrink": True,
        "test_time_augmentation": "left_right",
        "data_format": "channels_last",
    }
    layer = PatchedPredictor(conv_model(), 8, **arguments, dtype="float16")
    named = inspect.signature(PatchedPredictor).parameters
    assert named.keys() == {
        *("patch_model", "patch_size", "kwargs"),
        *arguments,
    }
    other = layer.with_tiling(overlap=2)
    expected = {**layer.get_config(), "name": other.name, "overlap": (2, 2)}
    assert other.get_config() == expected
    assert other.layer is layer.layer
    assert layer.overlap == (4, 4)


def test_a_shape_that_is_not_known_yet_says_what_is_missing():
    layer = PatchedPredictor(conv_model(), None)
    with pytest.raises(NotImplementedError, match=r"call `set_patch_size"):
        layer.compute_output_shape((None, 9, 9, 3))


def test_a_valid_convolution_is_an_error_that_says_what_to_do():
    layer = PatchedPredictor(keras.layers.Conv2D(2, 3), 8)
    with pytest.raises(ValueError, match=r'padding="same".*stitch=False'):
        layer(draw((1, 19, 9, 3)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"patch_size": 0},
        {"patch_size": 8, "overlap": 8},
        {"patch_size": 8, "multiple_of": 3},
        {"patch_size": 8, "blend": "max"},
        {"patch_size": 8, "patch_batch_size": 0},
        {"patch_size": 8, "data_format": "channels_middle"},
    ],
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="Received"):
        PatchedPredictor(keras.layers.Identity(), **arguments)


def test_a_batch_that_is_not_of_images_is_refused():
    layer = PatchedPredictor(keras.layers.Identity(), 8)
    with pytest.raises(ValueError, match=r"\(batch, height, width, channels\)"):
        layer(draw((19, 9, 3)))
