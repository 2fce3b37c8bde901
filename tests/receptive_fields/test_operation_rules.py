"""Operations of Keras: all that look at one pixel are known, and no other."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from keras_patching import receptive_field

SHAPE = 2, 5, 4, 3
PIXEL = 0, 1, 2

# They look at one pixel, at times, and nobody makes images with them.
OTHERS = {
    *("angle", "conj", "conjugate", "imag", "real", "view", "view_as_complex"),
    *("binary_crossentropy", "cross", "empty_like", "isin"),
    *("nanpercentile", "nanquantile", "percentile", "quantile"),
    *("squeeze", "take"),
}


def functions():
    """Public functions of one or two tensors."""
    for module in (ops, ops.nn, keras.activations):
        for name, function in vars(module).items():
            if not inspect.isfunction(function) or name in OTHERS:
                continue
            parameters = inspect.signature(function).parameters.values()
            needed = [
                p
                for p in parameters
                if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
            ]
            if len(needed) in (1, 2):
                yield f"{module.__name__}.{name}", (function, len(needed))


def draw(dtype):
    image = np.random.default_rng(0).uniform(0.2, 0.8, SHAPE)
    return (image * 20 if dtype == "int32" else image).astype(dtype)


def looks_at_one_pixel(function, count, dtype):
    """Try it out; `None` of a function that makes no image."""

    def run(image):
        output = function(*[ops.convert_to_tensor(image)] * count)
        return ops.convert_to_numpy(output) if ops.is_tensor(output) else None

    image = draw(dtype)
    before = run(image)
    if before is None or before.ndim != 4 or before.shape[:3] != SHAPE[:3]:
        return None
    image[PIXEL] += np.asarray(1, dtype)
    is_same = np.isclose(before, run(image), rtol=1e-5, equal_nan=True)
    changed = set(map(tuple, np.argwhere(~is_same.all(-1))))
    even = run(np.broadcast_to(image[PIXEL], SHAPE).copy())
    is_even = np.isclose(even, even[PIXEL], rtol=1e-5, equal_nan=True).all()
    return changed <= {PIXEL} and is_even


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("name", dict(functions()))
def test_an_operation_looks_at_one_pixel_or_is_refused(name, dtype):
    function, count = dict(functions())[name]
    try:
        is_pointwise = looks_at_one_pixel(function, count, dtype)
        inputs = keras.Input((None, None, SHAPE[-1]), dtype=dtype)
        model = keras.Model(inputs, function(*[inputs] * count))
    except Exception:
        return  # It is not for images.
    if is_pointwise is None:
        return
    if is_pointwise:
        assert receptive_field(model).halo == (0, 0)
    else:
        with pytest.raises(ValueError, match="operation '"):
            receptive_field(model)
