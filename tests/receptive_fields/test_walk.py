"""The derived halo is the measured one, and tiles with it have no seams."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from networks import (
    NETWORKS,
    built_on,
    chain,
    conv,
    default_unet,
    depthwise,
    dilated,
    fill,
    random_network,
    separable,
    transposed,
)

from keras_patching import PatchedPredictor
from keras_patching.geometry import round_up
from keras_patching.receptive_fields.walk import (
    ReceptiveField,
    receptive_field,
    register_rule,
)

TOLERANCE = 1e-5
L = keras.layers


# The probe


def measure(model, field, image=0.0, threshold=0.0):
    """Change half planes at all phases of the stride; see what changes.

    Returns the halo on each side: top, bottom, left, right.
    """
    size = [
        2 * round_up(halo + stride + 1, stride)
        for halo, stride in zip(field.halo, field.stride, strict=True)
    ]
    cuts = [
        (axis, size[axis] // 2 + phase)
        for axis in (0, 1)
        for phase in range(field.stride[axis])
    ]
    halves = [half_planes(size, *cut) for cut in cuts]
    planes = np.concatenate([np.zeros((1, *size)), *halves])[..., None]
    images = np.float32(image + planes * np.ones(model.input_shape[-1]))
    halo = np.zeros((2, 2), int)
    for output in keras.tree.flatten(predict(model, images)):
        changed = (np.abs(output - output[0]) > threshold).any(-1)
        for (axis, cut), (first, last) in zip(
            cuts, changed[1:].reshape(-1, 2, *changed.shape[1:]), strict=True
        ):
            scale = size[axis] / output.shape[1 + axis]
            before = np.flatnonzero(first.any(1 - axis)).max()
            after = np.flatnonzero(last.any(1 - axis)).min()
            seen = (
                math.floor(before * scale) - (cut - 1),
                cut - (math.ceil((after + 1) * scale) - 1),
            )
            halo[axis] = np.maximum(halo[axis], seen)
    return tuple(halo.ravel().tolist())


def half_planes(size, axis, cut):
    """Ones before the cut, and ones after it."""
    shape = [1, 1]
    shape[axis] = -1
    before = np.reshape(np.arange(size[axis]) < cut, shape)
    return np.stack(np.broadcast_arrays(before, ~before, np.zeros(size))[:2])


def predict(model, images):
    return model.predict(images, batch_size=len(images), verbose=0)


def sides(field):
    return field.top, field.bottom, field.left, field.right


RULES = {
    "even kernel": lambda: [conv(1, (4, 2))],
    "dilation": lambda: [conv(1, (3, 2), dilation_rate=(2, 3))],
    "1x1, stride 2": lambda: [conv(1, 1, strides=2)],
    "2x2, stride 3": lambda: [conv(1, 2, strides=3)],
    "3x3, stride 2": lambda: [conv(1, 3, strides=2)],
    "4x5, stride 2": lambda: [conv(1, (4, 5), strides=2)],
    "strides 2 and 3, undone": lambda: [
        conv(1, 3, strides=(2, 3)),
        transposed(1, 3, (2, 3)),
    ],
    "depthwise": lambda: [depthwise(4, strides=2)],
    "separable": lambda: [separable(1, 3, dilation_rate=2)],
    "max pooling": lambda: [L.MaxPooling2D()],
    "max pooling, same": lambda: [L.MaxPooling2D(3, 2, padding="same")],
    "average pooling": lambda: [L.AveragePooling2D((2, 3), 1, padding="same")],
    "nearest": lambda: [L.UpSampling2D((3, 3)), conv(1, 3)],
    "bilinear 2": lambda: [L.UpSampling2D(interpolation="bilinear")],
    "bilinear 3": lambda: [L.UpSampling2D(3, interpolation="bilinear")],
    "bilinear 4": lambda: [L.UpSampling2D(4, interpolation="bilinear")],
    "bicubic": lambda: [L.UpSampling2D(interpolation="bicubic")],
    "pooled, bilinear": lambda: [
        L.AveragePooling2D(4),
        L.UpSampling2D(4, interpolation="bilinear"),
    ],
    "transposed 1x1": lambda: [transposed(1, 1, 2)],
    "transposed 2x3": lambda: [transposed(1, (2, 3), 2)],
    "transposed 4x5": lambda: [transposed(1, (4, 5), 2)],
    "transposed 4x5, stride 3": lambda: [transposed(1, (4, 5), 3)],
    "transposed, dilation": lambda: [transposed(1, 3, 1, dilation_rate=2)],
    "transposed, valid": lambda: [
        transposed(1, 4, 2, padding="valid"),
        L.Cropping2D(((2, 0), (1, 1))),
    ],
    "transposed, output_padding": lambda: [
        transposed(1, 3, 2, output_padding=1)
    ],
    "padded before": lambda: [
        L.ZeroPadding2D(((2, 0), (0, 2))),
        conv(1, 3, padding="valid"),
    ],
    "padded, pooled": lambda: [
        L.ZeroPadding2D(1),
        L.MaxPooling2D(3, 2),
    ],
    "padded, strided": lambda: [
        L.ZeroPadding2D(((0, 1), (0, 1))),
        conv(1, 3, strides=2, padding="valid"),
    ],
    "shifted": lambda: [
        L.Cropping2D(((2, 0), (0, 3))),
        L.ZeroPadding2D(((0, 2), (3, 0))),
    ],
    "pixel by pixel": lambda: [
        L.Rescaling(0.5),
        L.BatchNormalization(),
        L.PReLU(shared_axes=[1, 2]),
        L.Dropout(0.1),
        L.Dense(2, activation="softplus"),
        L.LeakyReLU(),
    ],
}


@pytest.mark.parametrize("layers", RULES.values(), ids=RULES)
def test_the_halo_of_each_rule_is_the_measured_one(layers):
    model = fill(chain(*layers()), positive=True)
    field = receptive_field(model)
    assert sides(field) == measure(model, field, threshold=1e-6)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)
def test_the_halo_of_networks_is_the_measured_one(network):
    model = fill(network(), positive=True)
    field = receptive_field(model)
    assert sides(field) == measure(model, field)


def test_channels_are_mixed_without_a_halo():
    def build(x):
        x = L.LayerNormalization()(conv(4, 3)(x))
        x = L.UnitNormalization()(ops.tanh(x) + x / 2.0)
        x = ops.concatenate([x, ops.mean(x, axis=-1, keepdims=True)], axis=-1)
        return L.Softmax()(conv(2, 1)(x * np.ones((1, 1, 5), "float32")))

    model = fill(built_on(build, channels=2))
    image = np.random.default_rng(0).normal(size=2)
    field = receptive_field(model)
    assert sides(field) == (1, 1, 1, 1)
    assert sides(field) == measure(model, field, image, threshold=1e-6)


def test_pixels_shuffled_between_space_and_channels():
    def build(x):
        x = ops.space_to_depth(conv(1, 3)(x), 2)
        return ops.depth_to_space(conv(4, 3)(x), 2)

    model = fill(built_on(build), positive=True)
    field = receptive_field(model)
    assert sides(field) == measure(model, field)


def test_a_cut_between_blocks_of_the_stride_costs_less_than_the_halo():
    field = receptive_field(default_unet())
    assert field == ReceptiveField(49, 49, 49, 49, (8, 8), (45, 45))
    assert field.halo == (49, 49)
    assert field.overlap == (96, 96)


def test_several_outputs_share_the_largest_halo_and_a_common_stride():
    def build(x):
        return [
            conv(1, (1, 9))(x),
            L.UpSampling2D()(L.MaxPooling2D()(conv(1, 3)(x))),
            L.UpSampling2D(3)(L.MaxPooling2D(3)(x)),
        ]

    field = receptive_field(built_on(build))
    assert field.stride == (6, 6)
    assert sides(field) == (2, 2, 4, 4)


# Window and stride as published by Araujo et al. 2019.
@pytest.mark.parametrize(
    ("application", "window", "stride"),
    [("VGG16", 212, 32), ("ResNet50", 483, 32), ("MobileNetV2", 491, 32)],
)
def test_the_window_of_known_encoders_is_the_published_one(
    application, window, stride
):
    with keras.StatelessScope(initialize_variables=False):
        encoder = getattr(keras.applications, application)(
            weights=None, include_top=False, input_shape=(None, None, 3)
        )
    field = receptive_field(encoder)
    assert field.stride == (stride, stride)
    assert field.top + field.bottom + stride == window
    assert field.left + field.right + stride == window


# Tiles


def three_by_three(field, overlap):
    """Sizes of a patch and of an image that it covers in three by three."""
    patch = [o + 2 * s for o, s in zip(overlap, field.stride, strict=True)]
    size = [p + 3 * s + 1 for p, s in zip(patch, field.stride, strict=True)]
    return tuple(patch), tuple(size)


def largest_seam(model, size, patch, **kwargs):
    """Largest difference of tiles to the whole image."""
    image = np.random.default_rng(0).normal(size=(1, *size, channels(model)))
    image = image.astype("float32")
    stride = receptive_field(model).stride
    margins = [(-n % s) for n, s in zip(size, stride, strict=True)]
    padding = ((0, 0), *((0, margin) for margin in margins), (0, 0))
    whole = predict(model, np.pad(image, padding))
    predictor = PatchedPredictor(model, patch, **kwargs)
    tiled = predict(chain(predictor, channels=channels(model)), image)
    return max(
        np.abs(one - other[:, : one.shape[1], : one.shape[2]]).max()
        for one, other in zip(
            keras.tree.flatten(tiled), keras.tree.flatten(whole), strict=True
        )
    )


def channels(model):
    return model.input_shape[-1]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)
def test_tiles_agree_with_the_whole_image(network):
    model = fill(network())
    field = receptive_field(model)
    patch, size = three_by_three(field, field.overlap)
    assert largest_seam(model, size, patch, overlap="auto") <= TOLERANCE


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)
def test_bands_of_full_width_agree_with_the_whole_image(network):
    model = fill(network())
    field = receptive_field(model)
    patch, size = three_by_three(field, field.overlap)
    seam = largest_seam(
        model,
        size,
        patch,
        overlap="auto",
        predict_patch_size=(patch[0], None),
    )
    assert seam <= TOLERANCE


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)
def test_images_smaller_than_a_tile_agree_with_the_whole_image(network):
    model = fill(network())
    field = receptive_field(model)
    patch, (height, _) = three_by_three(field, field.overlap)
    seam = largest_seam(model, (height, 13), patch, overlap="auto")
    assert seam <= TOLERANCE


@pytest.mark.parametrize("seed", range(12))
def test_tiles_of_random_networks_agree_with_the_whole_image(seed):
    model = fill(random_network(seed), seed)
    field = receptive_field(model)
    patch, size = three_by_three(field, field.overlap)
    assert largest_seam(model, size, patch, overlap="auto") <= TOLERANCE


@pytest.mark.parametrize("less", [0, 2])
def test_less_overlap_leaves_seams(less):
    model = fill(dilated())
    field = receptive_field(model)
    overlap = tuple(length - less for length in field.overlap)
    patch, size = three_by_three(field, overlap)
    seam = largest_seam(
        model, size, patch, overlap=overlap, multiple_of=field.stride
    )
    assert (seam > TOLERANCE) == bool(less)


def test_what_a_tile_shifts_out_is_lost_though_the_halo_is_zero():
    model = chain(
        L.Cropping2D(((2, 0), (0, 3))), L.ZeroPadding2D(((2, 0), (0, 3)))
    )
    field = receptive_field(model)
    assert sides(field) == (0, 0, 0, 0)
    assert field.overlap == (4, 6)
    assert largest_seam(model, (20, 30), (6, 8), overlap="auto") == 0
    assert largest_seam(model, (20, 30), (6, 8), overlap=2) > TOLERANCE


# Rules of one's own, formats, errors


class Blur(L.Layer):
    """Mean of 1 x 3 pixels: a layer that the package does not know."""

    def call(self, inputs):
        return ops.average_pool(inputs, (1, 3), 1, padding="same")


def test_a_rule_can_be_registered():
    class KnownBlur(Blur):
        pass

    class FurtherBlur(KnownBlur):
        pass

    @register_rule(KnownBlur)
    def known_blur_rule(layer, fields):
        (field,) = fields
        return field.window(kernel_size=(1, 3))

    # `call` is inherited, and so is the rule.
    field = receptive_field(chain(conv(1, 3), FurtherBlur()))
    assert sides(field) == (1, 1, 2, 2)


def test_a_layer_alone_has_a_receptive_field():
    assert sides(receptive_field(conv(1, (3, 1)))) == (1, 1, 0, 0)


def test_a_fixed_input_shape_changes_nothing():
    model = keras.Sequential([keras.Input((7, 9, 1)), conv(1, 3, strides=2)])
    dynamic = chain(conv(1, 3, strides=2))
    assert receptive_field(model) == receptive_field(dynamic)


def test_channels_first():
    kwargs = {"data_format": "channels_first"}
    inputs = keras.Input((2, None, None))
    x = L.ZeroPadding2D(((2, 0), (0, 0)), **kwargs)(inputs)
    x = L.Cropping2D(((0, 2), (0, 0)), **kwargs)(x)
    x = L.BatchNormalization(axis=1)(L.Softmax(axis=1)(x))
    field = receptive_field(keras.Model(inputs, x), **kwargs)
    assert sides(field) == (2, 0, 0, 0)


def test_channels_first_is_rescaled_along_its_channels():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        x = keras.Input((3, None, None))
        field = receptive_field(keras.Model(x, L.Rescaling([1.0, 2, 3])(x)))
    finally:
        keras.config.set_image_data_format(before)
    assert field.halo == (0, 0)


class Flat(L.Layer):
    def call(self, inputs):
        return inputs - ops.mean(inputs, axis=(1, 2), keepdims=True)


class Subclassed(keras.Model):
    def call(self, inputs):
        return ops.flip(inputs, axis=2)


class Overridden(keras.Sequential):
    def call(self, inputs):
        return ops.mean(inputs, axis=(1, 2), keepdims=True)


class OddConv2D(L.Conv2D):
    def call(self, inputs):
        return super().call(ops.flip(inputs, axis=1))


class WideConv2D(L.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(ops.flip(inputs, axis=1), kernel)


REFUSED = {
    "global pooling": lambda x: (
        x * L.GlobalMaxPooling2D(keepdims=True, name="bad")(x)
    ),
    "attention": lambda x: L.MultiHeadAttention(
        1, 1, attention_axes=(1, 2), name="bad"
    )(x, x),
    "flatten": L.Flatten(name="bad"),
    "group normalization": L.GroupNormalization(1, name="bad"),
    "layer normalization": L.LayerNormalization(axis=(1, 2, 3), name="bad"),
    "batch normalization": L.BatchNormalization(axis=1, name="bad"),
    "batch statistics": lambda x: L.BatchNormalization(name="bad")(
        x, training=True
    ),
    "softmax over width": L.Softmax(axis=2, name="bad"),
    "resizing": L.Resizing(8, 8, name="bad"),
    "weights per pixel": L.PReLU(name="bad"),
    "a row of numbers": L.Rescaling([[[1.0]] * 8], name="bad"),
    "lambda": L.Lambda(lambda x: x - ops.max(x), name="bad"),
    "unknown": Flat(name="bad"),
    "overridden layer": OddConv2D(1, 1, name="bad"),
    "overridden convolution": WideConv2D(1, 1, name="bad"),
    "added array": lambda x: L.Add(name="bad")([x, np.ones((1, 8, 8, 1))]),
    "activation": L.Conv2D(
        1, 1, activation=lambda x: x - ops.max(x), name="bad"
    ),
    "activation layer": L.Conv2D(1, 1, activation=Blur(), name="bad"),
    "reshape": L.Reshape((8, 8, 1, 1), name="bad"),
    "concatenated width": lambda x: L.Concatenate(axis=2, name="bad")([x, x]),
    "channels first": L.MaxPooling2D(
        1, data_format="channels_first", name="bad"
    ),
    "nested": lambda x: chain(Flat(name="bad"))(x),
    "subclassed": Subclassed(name="bad"),
    "overridden model": Overridden([keras.Input((8, 8, 1))], name="bad"),
    "operation": lambda x: ops.flip(x, axis=1),
    "mean of all": lambda x: x - ops.mean(x, axis=(1, 2), keepdims=True),
    "array": lambda x: x + np.ones((8, 1), "float32"),
}
OPERATIONS = {"operation": "flip", "mean of all": "mean", "array": "add"}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_tiled_is_refused_by_name(case):
    inputs = keras.Input((8, 8, 1))
    outputs = REFUSED[case](inputs)
    name = f"'{OPERATIONS.get(case, 'bad')}"
    with pytest.raises(ValueError, match=name) as error:
        receptive_field(keras.Model(inputs, outputs))
    assert "overlap=<pixels>, multiple_of=<stride>" in str(error.value)


def test_a_model_without_a_graph_is_refused():
    unbuilt = keras.Sequential([L.Conv2D(1, 3)], name="unbuilt")
    for model in (unbuilt, Subclassed(name="unbuilt")):
        with pytest.raises(ValueError, match=r"'unbuilt' .*is not built"):
            receptive_field(model)


def test_outputs_that_are_not_to_scale_are_refused():
    model = chain(conv(1, 3, padding="valid", strides=2, name="bad"))
    with pytest.raises(ValueError, match=r"'bad' .*height / 2 - 1, width / 2"):
        receptive_field(model)
    model = chain(conv(1, 3, strides=(2, 1), name="bad"))
    with pytest.raises(ValueError, match=r"'bad' .*height / 2, width, "):
        receptive_field(model)


def test_branches_of_different_sizes_are_refused():
    inputs = keras.Input((1, 1, 1))
    outputs = L.Add(name="sum")([inputs, L.UpSampling2D(1)(inputs)])
    assert receptive_field(keras.Model(inputs, outputs)).halo == (0, 0)
    outputs = L.Add(name="sum")(
        [inputs, L.MaxPooling2D(padding="same")(inputs)]
    )
    with pytest.raises(ValueError, match=r"'sum' .*different sizes"):
        receptive_field(keras.Model(inputs, outputs))


def test_a_patch_model_takes_one_image():
    images = [keras.Input((None, None, 1)) for _ in range(2)]
    model = keras.Model(images, L.Add()(images), name="pair")
    with pytest.raises(ValueError, match="'pair'"):
        receptive_field(model)


@pytest.mark.parametrize("classes", [(), (lambda layer, fields: fields,), (1,)])
def test_a_rule_that_is_for_no_class_is_refused(classes):
    with pytest.raises(ValueError, match=r"@register_rule\(BlurPool\)"):
        register_rule(*classes)
