"""`overlap="auto"`, larger tiles for prediction, and tiles that shrink."""

import ast
import re

import keras
import numpy as np
import pytest

from keras_patching import PatchedPredictor, receptive_field, verify_tiling
from keras_patching.layers import RowStream, register_rule
from keras_patching.models.unet import unet

TOLERANCE = 1e-5


def small_unet(size=(None, None)):
    """Down by 2 and up again; random weights, also of what begins at zero."""
    inputs = keras.Input((*size, 2))
    x = full = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(3, 3, padding="same", bias_initializer="normal")(x)
    x = keras.layers.UpSampling2D()(x)
    x = keras.layers.Concatenate()([x, full])
    return keras.Model(inputs, keras.layers.Conv2D(2, 3, padding="same")(x))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def model_of(layer):
    return keras.Sequential([keras.Input((None, None, 2)), layer])


def predict(model, image):
    return model.predict(image, verbose=0)


def predict_whole(patch_model, image):
    """The image padded to the stride, in one piece."""
    stride = receptive_field(patch_model).stride
    _, height, width, _ = image.shape
    padding = (
        (0, 0),
        (0, -height % stride[0]),
        (0, -width % stride[1]),
        (0, 0),
    )
    whole = patch_model.predict(np.pad(image, padding), verbose=0)
    return whole[:, :height, :width]


def test_a_built_layer_holds_the_numbers_of_its_tiles():
    layer = PatchedPredictor(
        small_unet(), 8, overlap="auto", predict_patch_size=32
    )
    assert layer.get_config()["overlap"] == "auto"
    model_of(layer)
    field = receptive_field(layer.layer)
    config = layer.get_config()
    assert config["overlap"] == layer.overlap == field.overlap
    assert config["multiple_of"] == layer.multiple_of == field.stride


@pytest.mark.parametrize("built", [False, True])
def test_a_round_trip_stays_seamless_for_any_size(built, tmp_path):
    patch_model = small_unet()
    layer = PatchedPredictor(
        patch_model, 16, overlap="auto", predict_patch_size=(32, None)
    )
    if built:
        model_of(layer).save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    else:
        config = layer.get_config()
        model = model_of(PatchedPredictor.from_config(config))
        model.set_weights(layer.get_weights())
    for size in ((75, 41), (9, 90)):
        image = draw(1, *size, 2)
        np.testing.assert_allclose(
            predict(model, image),
            predict_whole(patch_model, image),
            atol=TOLERANCE,
        )


def test_sizes_of_a_graph_are_tiled_like_others():
    # Tensorflow makes the size a dynamic one with the third.
    patch_model = small_unet()
    for predict_patch_size in (None, 32, (32, None), (6, 32)):
        model = model_of(
            PatchedPredictor(
                patch_model,
                32,
                overlap="auto",
                predict_patch_size=predict_patch_size,
            )
        )
        for size in ((75, 41), (9, 90), (90, 9), (81, 67), (7, 7), (32, 32)):
            image = draw(2, *size, 2)
            np.testing.assert_allclose(
                predict(model, image),
                predict_whole(patch_model, image),
                atol=TOLERANCE,
            )


def test_bands_take_numbers_too():
    patch_model = small_unet()
    layer = PatchedPredictor(
        patch_model,
        32,
        overlap=16,
        multiple_of=2,
        predict_patch_size=(32, None),
        blend="mean",
    )
    assert layer.patch_grid((100, 51)).patch_size == (32, 52)
    assert layer.patch_grid((100, 51)).cols == 1
    assert predict(model_of(layer), draw(1, 100, 51, 2)).shape == (
        1,
        100,
        51,
        2,
    )


def test_bands_of_a_net_with_strides_need_a_multiple_of_them():
    bands = {"overlap": 16, "predict_patch_size": (32, None)}
    with pytest.raises(ValueError, match=r"multiple_of=\(2, 2\)"):
        model_of(PatchedPredictor(small_unet(), 32, **bands))
    layer = PatchedPredictor(small_unet(), 32, multiple_of=(1, 2), **bands)
    assert predict(model_of(layer), draw(1, 40, 51, 2)).shape[2] == 51


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="Tensorflow has no channels-first convolution on a CPU.",
)
@pytest.mark.parametrize("predict_patch_size", [16, (16, None), (4, 16)])
def test_channels_first_is_as_seamless(predict_patch_size):
    inputs = keras.Input((2, None, None))
    x = keras.layers.Conv2D(
        3, (5, 3), strides=2, padding="same", data_format="channels_first"
    )(inputs)
    x = keras.layers.UpSampling2D(data_format="channels_first")(x)
    predictor = PatchedPredictor(
        keras.Model(inputs, x),
        16,
        overlap="auto",
        predict_patch_size=predict_patch_size,
        data_format="channels_first",
    )
    report = verify_tiling(predictor, [draw(2, 51, 40), draw(2, 9, 60)])
    assert report.largest_difference <= TOLERANCE
    assert report.difference.shape in {(51, 40), (9, 60)}
    assert predictor.patch_grid((51, 40)).cols == (
        1 if predict_patch_size == (16, None) else 3
    )


@pytest.mark.parametrize("blend", ["crop", "mean", "gaussian"])
def test_patches_shrink_in_graphs_of_unknown_size(blend):
    # Tensorflow makes the size a dynamic one with the third.
    layer = PatchedPredictor(
        keras.Sequential([keras.Input((None, None, 2)), keras.layers.Dense(2)]),
        32,
        overlap=8,
        shrink=True,
        blend=blend,
    )
    model = model_of(layer)
    for size in ((75, 41), (40, 90), (50, 60), (9, 70)):
        image = draw(1, *size, 2)
        np.testing.assert_allclose(
            predict(model, image),
            predict(layer.layer, image),
            atol=TOLERANCE,
        )


@pytest.mark.parametrize(
    "tiling",
    [{"shrink": True}, {"predict_patch_size": 64}, {"overlap": 4, "shrink": 1}],
)
def test_a_patch_model_of_fixed_size_is_not_given_others(tiling):
    layer = PatchedPredictor(small_unet((32, 32)), 32, **tiling)
    with pytest.raises(ValueError, match=r"exactly \(32, 32\)"):
        model_of(layer)


def test_a_tiling_that_fails_leaves_the_one_before():
    layer = PatchedPredictor(small_unet(), 32, overlap=4)
    with pytest.raises(ValueError, match="without seams"):
        layer.set_tiling(overlap="auto", predict_patch_size=8)
    with pytest.raises(ValueError, match="set_tiling"):
        layer.set_patch_size(4)
    assert (layer.overlap, layer.patch_size) == ((4, 4), (32, 32))
    layer.set_tiling(predict_patch_size=64)
    with pytest.raises(ValueError, match="positive"):
        layer.set_patch_size(-5)
    assert layer.recomputation((32, 32)) == 1


def test_training_patches_are_not_those_of_prediction():
    patch_model = small_unet()
    layer = PatchedPredictor(
        patch_model, 8, overlap="auto", predict_patch_size=64
    )
    patches = draw(3, 8, 8, 2)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(layer(patches)),
        keras.ops.convert_to_numpy(patch_model(patches)),
    )


def test_recomputation_is_what_is_computed_per_pixel():
    def recomputation(patch, size=(96, 96), **kwargs):
        return PatchedPredictor(small_unet(), patch, **kwargs).recomputation(
            size
        )

    assert recomputation(32) == 1
    assert recomputation(64) == 128**2 / 96**2
    assert recomputation(64, overlap=32) == (2 * 64) ** 2 / 96**2
    # The overlap is 12: two tiles of 54 cover 96, where those of 64 waste 20.
    assert receptive_field(small_unet()).overlap == (12, 12)
    tiles = {"overlap": "auto", "predict_patch_size": 64}
    assert recomputation(32, **tiles) == (2 * 54) ** 2 / 96**2
    tiles = {"overlap": "auto", "predict_patch_size": 128}
    assert recomputation(32, **tiles) == 1
    assert recomputation(32, **tiles, size=(95, 95)) == 96**2 / 95**2


def test_nothing_is_computed_twice_but_rows_of_the_last_steps():
    net = small_unet()

    def recomputation(size, predict_patch_size=None):
        tiling = {"overlap": "auto", "predict_patch_size": predict_patch_size}
        return PatchedPredictor(net, 32, **tiling).recomputation(size)

    assert recomputation((96, 96)) == 1
    assert recomputation((95, 95)) == 96**2 / 95**2
    (output,) = RowStream(net, 16).outputs
    assert output.lag == 5
    assert recomputation((96, 96), (16, None)) == 7 * 16 / 96
    assert recomputation((90, 96), (16, None)) == 6 * 16 / 90
    assert recomputation((4096, 4096)) < 1.05
    # Strips share 12 columns: two of 54 cover 96.
    assert recomputation((90, 96), (8, 64)) == 12 * 8 * 2 * 54 / (90 * 96)


def test_rows_of_a_patch_model_of_fixed_size_are_streamed():
    free = small_unet()
    fixed = small_unet((32, 32))
    fixed.set_weights(free.get_weights())
    model = model_of(PatchedPredictor(fixed, 32, overlap="auto"))
    image = draw(1, 75, 41, 2)
    np.testing.assert_allclose(
        predict(model, image), predict_whole(free, image), atol=TOLERANCE
    )
    assert predict(model, image[:, :9]).shape == (1, 9, 41, 2)


def test_a_layer_that_cannot_run_rows_makes_tiles_and_says_so():
    class Blur(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.average_pool(inputs, 3, 1, padding="same")

    @register_rule(Blur)
    def blur_rule(layer, fields):
        return fields[0].window(3)

    net = keras.Sequential([keras.Input((None, None, 2)), Blur(name="blur")])
    layer = PatchedPredictor(net, 12, overlap="auto")
    with pytest.warns(match="layer 'blur'.* tiles that overlap by"):
        model = model_of(layer)
    assert layer.overlap == (2, 2)
    assert layer.row_stream((4096, 4096)) is None
    image = draw(1, 31, 20, 2)
    np.testing.assert_allclose(
        predict(model, image), predict_whole(net, image), atol=TOLERANCE
    )


def test_rows_are_chosen_by_what_they_take():
    layer = PatchedPredictor(unet(2), 128, overlap="auto")
    model_of_three = keras.Sequential([keras.Input((None, None, 3)), layer])
    assert model_of_three.built
    assert layer.row_stream((128, 128)) is None
    assert layer.row_stream((512, 512)) is None
    narrow, wide = (layer.row_stream((4096, w)).rows for w in (1024, 4096))
    assert narrow > wide
    # Layers keep 4.7 kB of each column, and 256 MB in all at most.
    assert layer.patch_grid((4096, 60_000)).cols > 1
    assert layer.recomputation((4096, 60_000)) < 1.1


def test_images_of_a_batch_are_streamed_in_turn():
    net = small_unet()
    layer = PatchedPredictor(net, 32, overlap="auto")
    images = draw(2, 600, 514, 2)
    np.testing.assert_allclose(
        predict(model_of(layer), images), predict(net, images), atol=TOLERANCE
    )


def test_the_default_net_has_a_documented_overlap():
    with keras.StatelessScope(initialize_variables=False):
        net = unet(2)
    tiles = {"overlap": "auto", "predict_patch_size": 512}
    layer = PatchedPredictor(net, 128, **tiles)
    grid = layer.patch_grid((1024, 1024))
    assert (grid.overlap, grid.multiple_of) == ((96, 96), (8, 8))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"blend": "gaussian"}, 'blend="crop"'),
        ({"stitch": False}, "stitch=True"),
        ({"multiple_of": 4}, "finds `multiple_of` itself"),
        ({"overlap": "most"}, "overlap='most'"),
        ({"overlap": 8, "predict_patch_size": (8, None)}, "`overlap` must"),
        ({"overlap": 8, "predict_patch_size": "all"}, "predict_patch_size="),
        ({"overlap": 8, "predict_patch_size": 0}, "must be positive"),
        (
            {"overlap": 0, "predict_patch_size": 8, "stitch": False},
            "are stitched",
        ),
        ({"overlap": 0, "shrink": True, "stitch": False}, "are stitched"),
    ],
)
def test_what_cannot_be_seamless_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PatchedPredictor(small_unet(), 64, **{"overlap": "auto", **kwargs})


@pytest.mark.parametrize("patch", [12, 33])
def test_tiles_that_cannot_hold_the_overlap_are_refused(patch):
    layer = PatchedPredictor(
        small_unet(), 32, overlap="auto", predict_patch_size=patch
    )
    with pytest.raises(ValueError, match="predict_patch_size="):
        model_of(layer)


@pytest.mark.parametrize("patch", [12, (512, 33), (None, 8)])
def test_the_message_names_patches_and_overlaps_that_will_do(patch):
    layer = PatchedPredictor(small_unet(), 32)
    layer.build((None, None, None, 2))
    with pytest.raises(ValueError, match="about 2 pixels") as error:
        layer.set_tiling(overlap="auto", predict_patch_size=patch)
    message = str(error.value)
    sizes = re.findall(r"predict_patch_size=\((\d+), (\d+)\)", message)
    smallest, cheaper = [tuple(map(int, size)) for size in sizes]
    layer.set_tiling(overlap="auto", predict_patch_size=smallest)
    assert layer.overlap == (12, 12)
    assert smallest == (14, 14)
    layer.set_tiling(overlap="auto", predict_patch_size=cheaper)
    assert 1.8 < layer.recomputation((2048, 2048)) < 2.1
    seams = re.findall(r"overlap=(\(.*?\)), multiple_of=(\(.*?\))", message)
    for overlap, multiple_of in seams:
        layer.set_tiling(
            overlap=ast.literal_eval(overlap),
            multiple_of=ast.literal_eval(multiple_of),
            predict_patch_size=patch,
        )
    assert bool(seams) == (patch != (512, 33))


@pytest.mark.parametrize(
    "pad_value", ["reflect", None, [0, 0, 0], np.nan, True]
)
def test_pixels_beyond_the_image_have_one_number(pad_value):
    with pytest.raises(ValueError, match="`pad_value` must be one number"):
        PatchedPredictor(small_unet(), 64, pad_value=pad_value)


@pytest.mark.parametrize("patch_batch_size", [0, -1, True, 1.5, "all"])
def test_a_number_of_patches_at_once_is_a_positive_integer(patch_batch_size):
    with pytest.raises(ValueError, match="`patch_batch_size` must be"):
        PatchedPredictor(small_unet(), 64, patch_batch_size=patch_batch_size)


def test_a_layer_that_sees_the_whole_image_is_named():
    inputs = keras.Input((None, None, 2))
    x = keras.layers.GlobalAveragePooling2D(name="squeeze", keepdims=True)(
        inputs
    )
    patch_model = keras.Model(inputs, keras.layers.Multiply()([inputs, x]))
    with pytest.raises(ValueError, match=r"squeeze.*overlap=<pixels>"):
        model_of(PatchedPredictor(patch_model, 64, overlap="auto"))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only tensorflow's graphs have sizes that they do not know.",
)
def test_patches_of_unknown_size_train_as_they_are():
    import tensorflow as tf

    layer = PatchedPredictor(small_unet(), 16, predict_patch_size=64)
    patches, targets = draw(4, 16, 16, 2), np.ones((4, 16, 16, 2), "float32")
    expected = np.mean((predict(layer.layer, patches) - 1) ** 2)
    unknown = tf.TensorSpec((None, None, None, 2))
    batches = tf.data.Dataset.from_generator(
        lambda: [(patches, targets)], output_signature=(unknown, unknown)
    )
    model = model_of(layer)
    model.compile("sgd", "mse")
    history = model.fit(
        batches.repeat(), steps_per_epoch=1, shuffle=False, verbose=0
    ).history
    np.testing.assert_allclose(history["loss"][0], expected, rtol=1e-4)


def test_rows_of_a_step_that_the_stride_does_not_divide_are_refused():
    layer = PatchedPredictor(
        small_unet(), 32, overlap="auto", predict_patch_size=(65, None)
    )
    with pytest.raises(ValueError, match=r"predict_patch_size=\(65, None\)"):
        model_of(layer)


def test_tiles_may_be_asked_for_and_given_up_again():
    layer = PatchedPredictor(small_unet(), 32, overlap="auto")
    layer.build((None, None, None, 2))
    layer.set_tiling(predict_patch_size=64)
    assert layer.overlap == (12, 12)
    layer.set_tiling(predict_patch_size=None)
    assert layer.overlap == "auto"
    assert layer.recomputation((90, 96)) == 1


@pytest.mark.parametrize("patch_batch_size", [None, 2])
def test_strips_are_run_at_once_or_a_few_at_a_time(patch_batch_size):
    net = small_unet()
    layer = PatchedPredictor(
        net,
        32,
        overlap="auto",
        predict_patch_size=(8, 32),
        patch_batch_size=patch_batch_size,
    )
    image = draw(2, 40, 100, 2)
    np.testing.assert_allclose(
        predict(model_of(layer), image), predict(net, image), atol=TOLERANCE
    )


@pytest.mark.parametrize(
    ("dtype", "values"), [("uint8", (0, 256)), ("int32", (-9, 9))]
)
def test_images_become_what_the_input_of_a_net_is(dtype, values):
    inputs = keras.Input((None, None, 2), dtype=dtype)
    x = keras.ops.cast(inputs + 10, "float32") / 10  # uint8 starts anew.
    net = keras.Model(inputs, keras.layers.Conv2D(2, 3, padding="same")(x))
    layer = PatchedPredictor(
        net, 32, overlap="auto", predict_patch_size=(8, None)
    )
    image = np.random.default_rng(0).uniform(*values, (1, 40, 24, 2))
    image = image.astype("float32")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(layer(image)),
        keras.ops.convert_to_numpy(net(image)),
        atol=1e-4,
    )


class TwoConvolutions(keras.Model):
    """Two convolutions, and a dict of what both give."""

    def __init__(self):
        super().__init__()
        self.first = keras.layers.Conv2D(3, 3, padding="same")
        self.second = keras.layers.Conv2D(2, 5, padding="same")

    def call(self, images):
        first = self.first(images)
        return {"second": self.second(first), "first": first}


def test_rows_of_a_subclassed_model_are_streamed_in_predict():
    net = TwoConvolutions()
    image = draw(1, 40, 24, 2)
    expected = net.predict(image, verbose=0)
    layer = PatchedPredictor(
        net, 16, overlap="auto", predict_patch_size=(8, None)
    )
    predicted = predict(model_of(layer), image)
    assert predicted.keys() == expected.keys()
    for name, output in predicted.items():
        np.testing.assert_allclose(output, expected[name], atol=TOLERANCE)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only tensorflow's graphs have sizes that they do not know.",
)
def test_images_of_unknown_size_are_streamed_together_or_alone():
    import tensorflow as tf

    net = small_unet()
    layer = PatchedPredictor(net, 32, overlap="auto")
    layer.build((None, None, None, 2))
    graph = tf.function(
        layer, input_signature=[tf.TensorSpec((None,) * 3 + (2,))]
    )
    small, large = draw(4, 33, 20, 2), draw(1, 600, 514, 2)
    for image in (small, large):
        np.testing.assert_allclose(
            graph(image), predict_whole(net, image), atol=TOLERANCE
        )


def test_sizes_that_a_graph_does_not_know_are_interpolated():
    inputs = keras.Input((None, None, 2))
    x = keras.layers.MaxPooling2D()(inputs)
    x = keras.layers.UpSampling2D(interpolation="bilinear")(x)
    net = keras.Model(inputs, x)
    model = model_of(
        PatchedPredictor(net, 32, overlap="auto", predict_patch_size=(8, None))
    )
    for size in ((38, 54), (34, 34), (2, 46)):
        image = draw(1, *size, 2)
        expected = keras.ops.convert_to_numpy(net(image))
        np.testing.assert_allclose(
            predict(model, image), expected, atol=TOLERANCE
        )
