"""Each kind of layer on rows gives what it gives on the whole image."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from networks import NETWORKS, built_on, chain, conv, fill, random_network
from published_networks import PUBLISHED

from keras_patching.layers import RowStream
from keras_patching.layers.row_interpolation import _interpolation_tables

L = keras.layers
BACKEND = keras.backend.backend()


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def to_numpy(tensors):
    return [ops.convert_to_numpy(one) for one in keras.tree.flatten(tensors)]


def assert_streams(net, image, rows):
    streamed, whole = map(to_numpy, (RowStream(net, rows)(image), net(image)))
    for one, other in zip(streamed, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def run_in_bands(stream, image, columns):
    """Run an image in wider bands; what is outside of it is not a number."""
    _, height, width, _ = image.shape
    fields = stream.output_fields
    lasts = [
        (field.y.length_of(height) + field.y.lag) / field.y.rows
        for field in fields
    ]
    steps = int(np.ceil(max(lasts)))
    band = np.full(
        (len(image), steps * stream.rows, columns, image.shape[-1]),
        np.nan,
        "float32",
    )
    band[:, :height, :width] = image
    step = functools.partial(stream.step, height=height, width=width)
    if BACKEND == "jax":
        import jax

        step = jax.jit(step)
    state, made = stream.initial_state(len(image), columns), []
    for first_row in range(0, len(band[0]), stream.rows):
        rows = band[:, first_row : first_row + stream.rows]
        outputs, state = step(state, rows, first_row)
        made.append(to_numpy(outputs))
    for field, bands in zip(fields, zip(*made, strict=True), strict=True):
        joined = np.concatenate(bands, 1)[:, field.y.lag :]
        yield joined[:, : field.y.length_of(height)][
            :, :, : field.x.length_of(width)
        ]


def assert_narrow_streams(net, seed=0):
    net = fill(net, seed)
    stride = RowStream(net, 36 * 32).stride
    stream = RowStream(net, 2 * stride[0])
    image = draw(1, 5 * stride[0], 2 * stride[1], net.input_shape[-1])
    streamed = run_in_bands(stream, image, 4 * stride[1])
    for one, other in zip(streamed, to_numpy(net(image)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def uneven_average(x):
    return L.AveragePooling2D(4, 1, padding="same")(x)


def resized(interpolation):
    def build(x):
        x = L.MaxPooling2D()(conv(2, 3)(x))
        return L.UpSampling2D(interpolation=interpolation)(x)

    build.__name__ = interpolation
    return build


@pytest.mark.parametrize(
    "build",
    [uneven_average, resized("bilinear"), resized("bicubic")],
    ids=lambda build: build.__name__,
)
def test_layers_do_not_see_columns_right_of_an_image(build):
    assert_narrow_streams(built_on(build))


@pytest.mark.parametrize(
    "build", NETWORKS + PUBLISHED, ids=lambda build: build.__name__
)
def test_every_kind_of_net_in_bands_wider_than_the_image(build):
    assert_narrow_streams(build())


@pytest.mark.parametrize("seed", range(8))
def test_nets_drawn_at_random_in_bands_wider_than_the_image(seed):
    assert_narrow_streams(random_network(seed), seed)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_spreads_no_further_than_on_the_whole_image(
    interpolation, size, value
):
    net = chain(L.UpSampling2D(size, interpolation=interpolation))
    image = draw(1, 12, 6, 1)
    image[0, 5, 3] = value
    (streamed,), (whole,) = map(
        to_numpy, (RowStream(net, 4)(image), net(image))
    )
    is_lost, was_lost = ~np.isfinite(streamed), ~np.isfinite(whole)
    assert is_lost.any()
    assert not (is_lost & ~was_lost).any()
    if BACKEND != "jax" and size == 2:
        # On jax, and on torch where a weight is 0, more is lost at once.
        np.testing.assert_array_equal(is_lost, was_lost)


def test_rows_outside_of_an_image_that_are_not_finite_do_not_spread():
    # Below the image there are zeros, of which the logarithm is infinite.
    net = built_on(
        lambda x: L.UpSampling2D(interpolation="bilinear")(ops.log(x))
    )
    assert_streams(net, np.abs(draw(1, 6, 4, 1)) + 1, rows=4)


@pytest.mark.skipif(
    BACKEND != "jax", reason="Others pad by no more than there is."
)
@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
@pytest.mark.parametrize("size", [(1, 2), (2, 3), (2, 2), (3, 9), (9, 1)])
def test_padding_deeper_than_the_image_repeats_its_reflection(mode, size):
    widths = (0, 0), (3, 5), (7, 3), (0, 0)
    net = built_on(lambda x: L.Conv2D(1, (9, 11))(ops.pad(x, widths, mode)))
    for rows in (1, 2, 8):
        assert_streams(fill(net), draw(1, *size, 1), rows)


def test_the_largest_of_infinities_below_zero_is_one():
    net = built_on(lambda x: L.MaxPooling2D(3, 1, "same")(ops.log(ops.relu(x))))
    image = draw(1, 12, 9, 1) - 1
    (streamed,), (whole,) = map(
        to_numpy, (RowStream(net, 4)(image), net(image))
    )
    assert (whole < -3e38).any()
    if BACKEND == "tensorflow":
        # There what is outside is finite, as ONNX needs it.
        whole = np.maximum(whole, -3e38)
        streamed = np.maximum(streamed, -3e38)
    np.testing.assert_array_equal(streamed, whole)


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers_are_pooled(dtype):
    net = built_on(
        lambda x: ops.cast(
            ops.max_pool(ops.cast(x, dtype), 3, 1, padding="same"), "float32"
        )
    )
    assert_streams(net, 9 * np.abs(draw(1, 12, 9, 1)), 4)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_halves_are_pooled(dtype):
    net = chain(L.MaxPooling2D(3, 1, "same", dtype=dtype))
    assert_streams(net, draw(1, 12, 9, 1), 4)


@pytest.mark.skipif(BACKEND != "torch", reason="Others have all of them.")
def test_interpolation_that_cannot_be_measured_is_an_error():
    with pytest.raises(ValueError, match="lanczos3"):
        _interpolation_tables("lanczos3", 2)
