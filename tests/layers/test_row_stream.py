"""A net that runs a band of rows at a time gives what it gives at once."""

import keras
import numpy as np
import pytest
from networks import (
    NETWORKS,
    chain,
    conv,
    default_unet,
    fill,
    random_network,
)
from published_networks import PUBLISHED

from keras_patching.layers import RowStream, register_rule


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_streams(net, image, rows):
    stream = RowStream(net, rows)
    streamed = stream(keras.ops.convert_to_tensor(image))
    whole = net(image)
    keras.tree.assert_same_structure(streamed, whole)
    for one, other in zip(
        *map(keras.tree.flatten, (streamed, whole)), strict=True
    ):
        one, other = map(keras.ops.convert_to_numpy, (one, other))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "build", NETWORKS + PUBLISHED, ids=lambda build: build.__name__
)
def test_every_kind_of_net(build):
    net = fill(build())
    stride = RowStream(net, 48).stride
    image = draw(2, 5 * stride[0] * 3, 3 * stride[1], net.input_shape[-1])
    assert_streams(net, image, rows=2 * stride[0])


@pytest.mark.parametrize("seed", range(4))
def test_nets_drawn_at_random(seed):
    rng = np.random.default_rng(seed)
    net = fill(random_network(seed), seed)
    stride = RowStream(net, 36).stride
    height, width, rows = rng.integers(1, (20, 6, 8))
    image = draw(1, height * stride[0], width * stride[1], 2)
    assert_streams(net, image, rows=int(rows * stride[0]))


def test_rows_that_come_one_after_the_other_may_be_narrower_than_bands():
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(2, 3, padding="same", activation="relu")(inputs)
    net = fill(
        keras.Model(inputs, keras.layers.Conv2D(2, 5, padding="same")(x))
    )
    stream = RowStream(net, 16)
    image, columns = draw(1, 40, 24, 1), 32
    band = np.full((1, 64, columns, 1), 7, "float32")
    band[:, :40, :24] = image
    state = stream.initial_state(1, columns)
    (output,) = stream.outputs
    made, first_row = [], 0
    while first_row * output.rows // 16 - output.lag < 40:
        rows = band[:, first_row % 64 : first_row % 64 + 16]
        (rows,), state = stream.step(state, rows, first_row, 40, width=24)
        made.append(keras.ops.convert_to_numpy(rows))
        first_row += 16
    streamed = np.concatenate(made, 1)[:, output.lag : output.lag + 40, :24]
    whole = keras.ops.convert_to_numpy(net(image))
    np.testing.assert_allclose(streamed, whole, rtol=1e-5, atol=1e-5)


def test_groups_of_channels_are_convolved():
    net = chain(
        conv(4, 3, groups=2, activation="relu"),
        conv(4, (4, 2), strides=2, groups=4),
        keras.layers.UpSampling2D(),
        channels=2,
    )
    assert_streams(fill(net), draw(1, 20, 14, 2), rows=4)


def test_what_is_kept_holds_no_other_rows_in_memory():
    if keras.backend.backend() != "torch":
        pytest.skip("Slices are copies.")
    stream = RowStream(fill(default_unet()), 32)
    state = stream.initial_state(1, 16)
    for first_row in (0, 32):
        rows = keras.ops.zeros((1, 32, 16, 1))
        _, state = stream.step(state, rows, first_row, height=96)
    assert all(kept.untyped_storage().nbytes() == kept.nbytes for kept in state)


def test_outputs_that_are_done_before_others_stay_as_they_are():
    inputs = keras.Input((None, None, 1))
    behind = inputs
    for _ in range(3):
        behind = keras.layers.Conv2D(1, 5, padding="same")(behind)
    done = keras.layers.Conv2D(1, 1)(inputs)
    assert_streams(
        fill(keras.Model(inputs, [done, behind])), draw(1, 8, 6, 1), 2
    )


def test_mixed_precision_streams():
    inputs = keras.Input((None, None, 2))
    x = keras.layers.Conv2D(3, 5, padding="same", dtype="mixed_float16")(inputs)
    net = keras.Model(inputs, keras.layers.MaxPooling2D(3, 1, "same")(x))
    image = draw(1, 24, 16, 2)
    streamed = keras.ops.convert_to_numpy(RowStream(net, 8)(image))
    whole = keras.ops.convert_to_numpy(net(image))
    np.testing.assert_allclose(streamed, whole, atol=2e-2)


def test_what_cannot_be_streamed_is_named():
    inputs = keras.Input((None, None, 1))
    x = keras.layers.MaxPooling2D(name="halved")(inputs)
    net = keras.Model(inputs, keras.layers.UpSampling2D()(x))
    with pytest.raises(ValueError, match="stride of the patch model"):
        RowStream(net, 3)

    class Blur(keras.layers.Layer):
        def call(self, x):
            return keras.ops.average_pool(x, 3, 1, "same")

    @register_rule(Blur)
    def blur_rule(layer, fields):
        return fields[0].window(3)

    net = keras.Model(inputs, Blur(name="blurred")(inputs))
    with pytest.raises(ValueError, match="through layer 'blurred'"):
        RowStream(net, 8)


def test_what_layers_keep_is_what_the_documents_show():
    inputs = keras.Input((None, None, 3))
    full = conv(8, 3, name="full")(inputs)
    x = keras.layers.MaxPooling2D(name="halve")(full)
    x = conv(16, 5, name="half")(x)
    x = keras.layers.UpSampling2D(name="double")(x)
    x = keras.layers.Concatenate(name="join")([x, full])
    net = keras.Model(inputs, conv(2, 3, name="scores")(x))
    stream = RowStream(net, 8)
    shown = [
        line.split() for line in RowStream.__doc__.splitlines() if "█" in line
    ]
    assert stream.kept_rows == [
        (name, line.count("▒"))
        for name, line in zip(
            [words[0] for words in shown[1:]],
            [" ".join(words) for words in shown[1:]],
            strict=True,
        )
        if "▒" in line
    ]
    # 4 bytes of 3, 8, 8 (at half the width), 8 and 24 channels.
    kept = 2 * 3 + 1 * 8 + 4 * 8 / 2 + 5 * 8 + 2 * 24
    assert stream.kept_bytes(1000) == 4 * 1000 * kept


@pytest.mark.parametrize("rows", [-8, 0, 8.0, 3])
def test_rows_of_a_step_are_a_multiple_of_the_stride(rows):
    net = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.MaxPooling2D()]
    )
    with pytest.raises(ValueError, match=f"positive multiple.* rows={rows}"):
        RowStream(net, rows)


def test_images_are_multiples_of_the_stride():
    inputs = keras.Input((None, None, 1))
    x = keras.layers.MaxPooling2D()(inputs)
    stream = RowStream(keras.Model(inputs, keras.layers.UpSampling2D()(x)), 8)
    with pytest.raises(ValueError, match="height=41"):
        stream(draw(1, 41, 24, 1))
    with pytest.raises(ValueError, match="width=25"):
        stream(draw(1, 40, 25, 1))
    with pytest.raises(ValueError, match="width=25"):
        stream.initial_state(1, 25)
    state = stream.initial_state(1, 24)
    with pytest.raises(ValueError, match="takes 8 rows"):
        stream.step(state, draw(1, 4, 24, 1), 0, 40)
    with pytest.raises(ValueError, match="height=41"):
        stream.step(state, draw(1, 8, 24, 1), 0, 41)


def test_losses_that_layers_add_stay_in_the_loop():
    net = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Conv2D(
                2, 3, padding="same", activity_regularizer="l2"
            ),
        ]
    )
    RowStream(net, 8)(draw(1, 40, 24, 1))
    assert not net.losses
