"""Devices whose memory is small: nets raise what the backend would."""

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.layers import register_rule
from keras_patching.prediction.out_of_memory import is_out_of_memory

BACKEND = keras.backend.backend()


def raise_late(x, error):
    """Return a tensor whose computing fails, where the backend can."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        def fail(array):
            raise error

        return tf.ensure_shape(tf.numpy_function(fail, [x], x.dtype), x.shape)
    if BACKEND == "jax":
        import jax

        def fail(array):
            raise error

        return jax.pure_callback(
            fail, jax.ShapeDtypeStruct(x.shape, x.dtype), x
        )
    if x.device.type == "meta":
        return x  # Only its shape is asked for.
    raise error


def full(when):
    """Make the error of a device without memory, as it comes."""
    if BACKEND == "tensorflow":
        return MemoryError("no room")  # Its runtime makes its own of it.
    if BACKEND == "torch":
        import torch

        return torch.OutOfMemoryError("CUDA out of memory.")
    import jax

    message = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate"
    if when == "computing":
        return RuntimeError(message)
    return jax.errors.JaxRuntimeError(message)


class Small(keras.layers.Layer):
    """What a device has no memory for beyond some rows, or examples."""

    def __init__(self, most, axis, when="computing", error=None):
        super().__init__()
        self.most, self.axis = most, axis
        self.when, self.error = when, error

    def call(self, x):
        size = x.shape[self.axis]
        if size is None or size <= self.most:
            return x
        error = self.error or full(self.when)
        if self.when == "compiling" and BACKEND == "jax":
            raise error
        return raise_late(x, error)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


register_rule(Small)(lambda layer, fields: fields[0])


def net_for(*what, **how):
    return keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Conv2D(2, 3, padding="same"),
            Small(*what, **how),
            keras.layers.Conv2D(2, 3, padding="same"),
        ]
    )


def with_weights_of(net, other):
    net.set_weights(other.get_weights())
    return net


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype("float32")


CASES = {
    "rows": (
        1,
        {"overlap": "auto", "predict_patch_size": (64, None)},
        {},
        r"steps of 64 rows.*with 32.*predict_patch_size=\(32, None\)",
    ),
    "patches": (
        0,
        {},
        {"batch_size": 8},
        r"batches of 8 patches.*with 4: pass `batch_size=4`",
    ),
    "mean": (
        0,
        {"overlap": 16, "blend": "mean"},
        {"batch_size": 8},
        r"batches of 8 patches.*with 4: pass `batch_size=4`",
    ),
}


@pytest.mark.parametrize("when", ["computing", "compiling"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_half_as_much_is_tried_where_memory_is_full(case, when):
    axis, tiling, how, message = case
    net = net_for(40 if axis == 1 else 4, axis, when)
    large = with_weights_of(net_for(10**9, axis), net)
    images = [draw(200, 70, 1), draw(90, 50, 1), draw(150, 121, 1, seed=1)]
    model = kp.PatchedModel(net, patch_size=32, **tiling)
    with pytest.warns(UserWarning, match=message) as warned:
        found = list(model.predict_images(images, verbose=False, **how))
    told = [str(each.message) for each in warned]
    assert sum("memory" in each for each in told) == 1
    model = kp.PatchedModel(large, patch_size=32, **tiling)
    expected = model.predict_images(images, verbose=False, **how)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_device_memory_takes_as_much_at_once_as_fits(case):
    axis, tiling, how, _ = case
    # Tensors of 2 channels, in and out, of 4 bytes; torch keeps all four.
    pixels = 1 + 3 * 2 if BACKEND == "torch" else 2 * 2
    if axis == 1:  # Beside 40 rows, two that each layer keeps, thrice.
        most, fitting = 40, (40 * pixels + 3 * 2 * 3) * 121 * 4
    else:
        most, fitting = 4, 4 * pixels * 32 * 32 * 4
    net = net_for(most, axis)
    large = with_weights_of(net_for(10**9, axis), net)
    images = [draw(200, 121, 1), draw(90, 121, 1), draw(150, 121, 1, seed=1)]
    model = kp.PatchedModel(net, patch_size=32, **tiling)
    found = list(
        model.predict_images(images, verbose=False, device_memory=fitting)
    )
    model = kp.PatchedModel(large, patch_size=32, **tiling)
    expected = model.predict_images(images, verbose=False, **how)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("tiling", "message"),
    [
        ({"overlap": "auto"}, r"A step of 1 rows of 50 pixels"),
        ({}, r"A patch of 32 x 32 pixels takes about \d+ bytes"),
    ],
)
def test_device_memory_that_holds_nothing_is_refused(tiling, message):
    model = kp.PatchedModel(net_for(10**9, 0), patch_size=32, **tiling)
    found = model.predict_images(
        [draw(90, 50, 1)], verbose=False, device_memory=1000
    )
    with pytest.raises(ValueError, match=message):
        list(found)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_device_without_any_memory_is_told(case):
    axis, tiling, how, _ = case
    model = kp.PatchedModel(net_for(0, axis), patch_size=32, **tiling)
    with (
        pytest.warns(UserWarning, match="no memory left"),
        pytest.raises(Exception) as raised,  # noqa: PT011
    ):
        list(model.predict_images([draw(90, 50, 1)], verbose=False, **how))
    assert is_out_of_memory(raised.value)


def test_other_errors_are_not_tried_again():
    net = net_for(4, 0, error=KeyError("something else"))
    model = kp.PatchedModel(net, patch_size=32)
    found = model.predict_images([draw(90, 90, 1)], batch_size=8, verbose=False)
    with pytest.raises(Exception, match="something else"):
        list(found)


def test_errors_of_the_backend_are_told_apart():
    if BACKEND == "jax":
        import jax

        kind = jax.errors.JaxRuntimeError
        full, other = kind("RESOURCE_EXHAUSTED: no room"), kind("INTERNAL: 3")
    elif BACKEND == "torch":
        import torch

        full, other = torch.OutOfMemoryError("no room"), RuntimeError("no room")
    else:
        import tensorflow as tf

        full = tf.errors.ResourceExhaustedError(None, None, "no room")
        other = tf.errors.InternalError(None, None, "no room")
    assert is_out_of_memory(full)
    assert not is_out_of_memory(other)
    assert not is_out_of_memory(MemoryError("of the host"))
