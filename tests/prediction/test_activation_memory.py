"""What the layers of a model take, against what a compiler says it takes."""

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.prediction.activation_memory import activation_bytes


def two_branches():
    inputs = keras.Input((None, None, 3))
    wide = keras.layers.Conv2D(16, 3, padding="same")(inputs)
    x = keras.layers.MaxPooling2D()(wide)
    within = keras.Sequential(
        [
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        ]
    )
    x = keras.layers.UpSampling2D()(within(x))
    x = keras.layers.Concatenate()([wide, x])
    return keras.Model(inputs, keras.layers.Conv2D(2, 1)(x))


NETS = {
    "unet": lambda: kp.SemanticSegmentationModel(2).patch_model,
    "nested": two_branches,
}


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only XLA tells what it takes"
)
@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_the_estimate_is_near_what_xla_allots(make):
    import jax

    net = make()
    shape = 2, 64, 64, 3
    if not net.built:
        net.build((None, *shape[1:]))

    def run(values, images):
        return net.stateless_call(*values, images, training=False)[0]

    values = [
        [each.value for each in variables]
        for variables in (net.trainable_variables, net.non_trainable_variables)
    ]
    images = jax.ShapeDtypeStruct(shape, "float32")
    found = jax.jit(run).lower(values, images).compile().memory_analysis()
    taken = found.temp_size_in_bytes + found.output_size_in_bytes
    estimate = activation_bytes(net, shape)
    assert taken / 1.2 <= estimate <= 2 * taken


@pytest.mark.parametrize(
    "net",
    [
        two_branches(),
        kp.ObjectDetectionModel(grid_size=(4, 4), patch_size=64).patch_model,
    ],
)
def test_what_is_taken_grows_with_the_patches(net):
    one, four = (activation_bytes(net, (count, 64, 64, 3)) for count in (1, 4))
    assert four == 4 * one


def test_a_model_that_cannot_be_followed_is_named():
    class Odd(keras.layers.Layer):
        def call(self, x):
            return keras.ops.convert_to_tensor(np.asarray(x) + 1)

    net = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 1)])
    odd = Odd(name="odd")
    odd.built = True
    assert activation_bytes(net, (1, 8, 8, 1)) > 0
    with pytest.raises(ValueError, match=r"'odd' cannot be followed.*batch_s"):
        activation_bytes(odd, (1, 8, 8, 1))
