"""A layer without a rule is opened, and left as it was."""

import concurrent.futures
import itertools
import types

import keras
import numpy as np
import pytest
from keras import ops
from networks import chain, fill
from opened_layers import (
    BUILDERS,
    CHANNELS,
    ConvNormAct,
    Subclassed,
)

from keras_patching import PatchedPredictor, receptive_field
from keras_patching.layers import RowStream, register_rule

L = keras.layers


def build(case):
    inputs = keras.Input((None, None, CHANNELS))
    return fill(keras.Model(inputs, BUILDERS[case](inputs)))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_same(one, other):
    one, other = map(keras.ops.convert_to_numpy, (one, other))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def assert_near(one, other):
    """Compare what is computed in half precision."""
    one, other = (ops.cast(each, "float32") for each in (one, other))
    np.testing.assert_allclose(
        *map(ops.convert_to_numpy, (one, other)), rtol=1e-2, atol=2e-2
    )


@pytest.mark.parametrize("case", BUILDERS)
def test_what_is_opened_streams_like_the_whole_image(case):
    net = build(case)
    image = draw(1, 36, 24, CHANNELS)
    assert_same(RowStream(net, 12)(image), net(image, training=False))


@pytest.mark.parametrize("case", BUILDERS)
def test_what_is_opened_is_tiled_like_the_whole_image(case):
    net = build(case)
    field = receptive_field(net)
    axes = list(zip(field.overlap, field.stride, strict=True))
    patch = [overlap + 2 * stride for overlap, stride in axes]
    size = [overlap + 5 * stride for overlap, stride in axes]
    image = draw(1, *size, CHANNELS)
    predictor = PatchedPredictor(
        net,
        patch,
        overlap=field.overlap,
        multiple_of=field.stride,
        blend="crop",
    )
    model = keras.Sequential([keras.Input((None, None, CHANNELS)), predictor])
    assert predictor.patch_grid(size).num_patches > 1
    assert_same(model.predict(image, verbose=0), net(image, training=False))


def test_what_is_opened_is_streamed_by_predict_also_after_training():
    net = build("nested composite")
    predictor = PatchedPredictor(net, 24, overlap="auto")
    model = keras.Sequential([keras.Input((None, None, CHANNELS)), predictor])
    image = draw(1, 40, 28, CHANNELS)
    before = model.predict(image, verbose=0)
    assert_same(before, net(image, training=False))
    model.compile("sgd", "mse")
    model.fit(image[:, :24, :24], draw(1, 24, 24, CHANNELS), verbose=0)
    after = model.predict(image, verbose=0)
    assert_same(after, net(image, training=False))
    assert np.abs(after - before).max() > 1e-3


def test_a_layer_or_subclassed_model_alone_is_opened():
    image = draw(1, 24, 24, CHANNELS)
    for layer in (Subclassed(), ConvNormAct(2)):
        whole = layer(image)
        assert receptive_field(layer).halo[0] > 0
        assert_same(RowStream(layer, 8)(image), whole)


def test_weights_are_those_of_the_moment():
    image = draw(1, 24, 24, CHANNELS)
    for case in ("composite", "unit kernel", "convnext"):
        net = build(case)
        stream = RowStream(net, 12)
        net.set_weights([weight + 0.5 for weight in net.get_weights()])
        assert_same(stream(image), net(image, training=False))


def test_weights_may_be_given_from_outside():
    net = build("unit kernel")
    stream = RowStream(net, 12)
    image = draw(1, 24, 24, CHANNELS)
    variables = net.variables
    others = [
        keras.ops.convert_to_tensor(variable) * 2 + 1 for variable in variables
    ]
    with keras.StatelessScope(list(zip(variables, others, strict=True))):
        whole, streamed = net(image, training=False), stream(image)
    assert_same(streamed, whole)
    assert np.abs(keras.ops.convert_to_numpy(whole - net(image))).max() > 0.1


def test_a_layer_that_is_opened_stays_as_it_was(tmp_path):
    net = build("nested composite")
    layers = [
        net,
        *net.layers,
        *net.layers[1].blocks,
        net.layers[1].blocks[0].conv,
    ]

    def state():
        return [
            (dict(vars(layer)), len(layer._inbound_nodes)) for layer in layers
        ]

    before = state()
    receptive_field(net)
    RowStream(net, 12)
    for (held, calls), (held_now, calls_now) in zip(
        before, state(), strict=True
    ):
        assert calls == calls_now
        assert held.keys() == held_now.keys()
        assert all(held[name] is held_now[name] for name in held)


def test_a_layer_that_is_opened_may_be_run_meanwhile():
    class Scaled(L.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(2,), initializer="ones")

        def call(self, inputs):
            found.append(vars(layer).get("scale"))
            return inputs * self.scale

    found = []
    layer = Scaled()
    layer(draw(1, 4, 4, 2))
    found.clear()
    receptive_field(layer)
    assert len(found) > 1
    assert all(each is layer.scale for each in found)


def test_a_method_that_is_put_into_a_layer_is_opened():
    def doubled(self, inputs):
        return inputs * self.state * 2

    layer = Layer(lambda layer, x: x)
    layer.build((None, None, None, 2))
    layer.call = types.MethodType(doubled, layer)
    image = draw(1, 8, 8, 2)
    assert_same(RowStream(layer, 8)(image), layer(image))


def test_threads_open_the_same_layer_at_the_same_time():
    net = build("nested composite")
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        fields = list(threads.map(receptive_field, [net] * 12))
    assert set(fields) == {receptive_field(net)}


def test_mixed_precision_is_opened_as_it_runs():
    class Scaled(L.Layer):
        def build(self, input_shape):
            self.inner = L.Conv2D(2, 3, padding="same", dtype=self.dtype_policy)
            self.inner.build(input_shape)
            self.scale = self.add_weight(shape=(2,), initializer="ones")

        def call(self, inputs):
            return self.inner(inputs) * self.scale + self.inner.bias

    inputs = keras.Input((None, None, 2))
    net = keras.Model(inputs, Scaled(dtype="mixed_bfloat16")(inputs))
    stream = RowStream(net, 8)
    image = draw(1, 16, 16, 2)
    streamed, whole = stream(image), net(image)
    assert keras.backend.standardize_dtype(streamed.dtype) == "bfloat16"
    assert_near(streamed, whole)


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_models_inside_cast_their_inputs(kind):
    whole_numbers = keras.Input((None, None, 2), dtype="int32")
    if kind == "functional":
        inner = keras.Model(whole_numbers, ops.cast(whole_numbers, "float32"))
    else:
        inner = keras.Sequential([whole_numbers, L.Rescaling(1.0)])
    inputs = keras.Input((None, None, 2))
    net = keras.Model(inputs, L.Conv2D(2, 3, padding="same")(inner(inputs)))
    image = draw(1, 16, 16, 2) * 5
    assert_same(RowStream(net, 8)(image), net(image))


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_models_inside_cast_their_inputs_in_mixed_precision(kind):
    policy = "mixed_bfloat16"
    inner_inputs = keras.Input((None, None, 2))
    if kind == "functional":
        inner = keras.Model(inner_inputs, inner_inputs * 1.01 - 1)
    else:
        inner = keras.Sequential(
            [inner_inputs, L.Rescaling(1.01, -1.0, dtype="float32")]
        )
        inner.dtype_policy = policy
    inputs = keras.Input((None, None, 2))
    before = policy if kind == "functional" else "float32"
    x = L.Activation("relu", dtype=before)(inputs)
    net = keras.Model(inputs, inner(x))
    image = draw(1, 16, 16, 2)
    assert_same(RowStream(net, 8)(image), net(image))


def test_weights_in_operations_of_mixed_precision_stream():
    inputs = keras.Input((None, None, 2))
    layer = L.Conv2D(
        *(2, 3),
        padding="same",
        dtype="mixed_bfloat16",
        bias_initializer="normal",
    )
    x = layer(layer(inputs) + layer.bias)
    net = fill(keras.Model(inputs, x, dtype="mixed_bfloat16"))
    predictor = PatchedPredictor(
        net, 16, overlap="auto", predict_patch_size=(8, None)
    )
    image = draw(1, 16, 16, 2)
    assert_near(predictor(image), net(image))


def test_a_rule_wins_over_opening():
    class Known(L.Layer):
        def call(self, inputs):
            return inputs

    @register_rule(Known)
    def known_rule(layer, fields):
        return fields[0].window(5)

    assert receptive_field(chain(Known())).halo == (2, 2)


# What cannot be opened


class SqueezeExcite(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.squeeze = L.GlobalAveragePooling2D(keepdims=True, name="squeeze")
        self.excite = L.Dense(2, name="excite")

    def build(self, input_shape):
        self.excite.build((None, 1, 1, input_shape[-1]))

    def call(self, inputs):
        return inputs * self.excite(self.squeeze(inputs))


class Layer(L.Layer):
    """Runs a function of itself and its input."""

    def __init__(self, function, **kwargs):
        super().__init__(name="bad", **kwargs)
        self.function = function
        self.seeds = keras.random.SeedGenerator(1)
        self.count = 0

    def build(self, input_shape):
        self.inner = L.Dense(2, name="inner")
        self.inner.build(input_shape)
        self.state = self.add_weight(shape=(2,), trainable=False)

    def call(self, inputs):
        return self.function(self, inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def counted(layer, x):
    layer.count += 1
    return x * layer.count


def counted_state(layer, x):
    layer.state.assign(layer.state + 1)
    return x + layer.state


COUNTER = itertools.count()
REFUSED = {
    "of its size": lambda _, x: x / ops.cast(ops.shape(x)[1], "float32"),
    "a branch by size": lambda _, x: x if x.shape[1] == 8 else x * 2,
    "a branch if known": lambda _, x: x * 2 if (x.shape[1] or 0) > 256 else x,
    "ramp of its size": lambda _, x: (
        x + ops.reshape(ops.arange(x.shape[1], dtype="float32"), (1, -1, 1, 1))
    ),
    "a fixed size": lambda _, x: ops.reshape(x, (-1, 8, 8, 2)),
    "exchanged sizes": lambda _, x: ops.reshape(
        x, (-1, x.shape[2], x.shape[1], 2)
    ),
    "padded to a multiple": lambda _, x: ops.pad(
        x, ((0, 0), (0, -x.shape[1] % 32), (0, 0), (0, 0))
    )[:, : x.shape[1]],
    "half of its size": lambda _, x: x[:, : x.shape[1] // 2],
    "the first rows": lambda _, x: x - x[:, :1],
    "the last row": lambda _, x: x - x[:, -1:],
    "one row": lambda _, x: x - x[:, 3][:, None],
    "from below": lambda _, x: x - ops.flip(x, 1),
    "a branch by data": lambda _, x: x if ops.max(x) > 0 else -x,
    "numpy": lambda _, x: np.tanh(x),
    "numbers at random": lambda layer, x: (
        x + keras.random.normal((1, 1, 1, 2), seed=layer.seeds)
    ),
    "numbers of python": lambda _, x: x + next(COUNTER),
    "a count": counted,
    "state": counted_state,
    "a value of an inner weight": lambda layer, x: (
        layer.inner(x) * ops.sum(layer.inner.kernel)
    ),
    "new weights": lambda _, x: L.Dense(2)(x),
    "other images": lambda _, x: x - ops.mean(x, axis=0, keepdims=True),
    "an array": lambda _, x: x + np.linspace(0, 1, 8).reshape(8, 1),
    "sorted": lambda _, x: ops.sort(x, axis=1),
    "rows by columns": lambda _, x: ops.einsum("bhwc,bhvc->bwvc", x, x),
    "no operation": lambda _, x: ops.fft2((x[..., 0], x[..., 1]))[0][..., None],
    "cumulative": lambda _, x: ops.cumsum(x, axis=2),
    "rolled": lambda _, x: ops.roll(x, 1, axis=2),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_is_inside_and_is_not_the_same_everywhere_is_refused(case):
    inputs = keras.Input((8, 8, 2))
    model = keras.Model(inputs, Layer(REFUSED[case])(inputs))
    with pytest.raises(ValueError, match=r"layer 'bad' \(Layer\)") as error:
        receptive_field(model)
    assert "overlap=<pixels>, multiple_of=<stride>" in str(error.value)


def test_what_is_unbounded_inside_is_named():
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, SqueezeExcite(name="block3")(inputs))
    with pytest.raises(
        ValueError,
        match=r"layer 'squeeze' \(GlobalAveragePooling2D\) inside of layer "
        r"'block3' \(SqueezeExcite\) looks at the whole image",
    ):
        receptive_field(model)


def flips_around(base):
    """Return a subclass whose `__call__` flips what `call` makes."""

    class FlipsAround(base):
        def __call__(self, *args, **kwargs):
            return ops.flip(super().__call__(*args, **kwargs), 1)

    return FlipsAround


def test_layers_that_do_something_around_their_call_are_refused():
    class Outer(L.Layer):
        def __init__(self):
            super().__init__(name="outer")
            self.inner = flips_around(L.ReLU)(name="bad")

        def call(self, inputs):
            return self.inner(inputs)

    @register_rule(flipping_with_rule := flips_around(L.ReLU))
    def rule(layer, fields):
        return fields[0]

    inputs = keras.Input((None, None, 2))
    with_rule = Outer()
    with_rule.inner = flipping_with_rule(name="bad")
    cases = (
        flips_around(L.Lambda)(ops.tanh, name="bad"),
        flips_around(L.ReLU)(name="bad"),
        flips_around(keras.Model)(inputs, L.ReLU()(inputs), name="bad"),
        flips_around(keras.Sequential)([inputs, L.ReLU()], name="bad"),
        *(Outer(), with_rule),
    )
    for layer in cases:
        layer(draw(1, 4, 4, 2))
        with pytest.raises(ValueError, match=r"'bad' .*overrides `__call__`"):
            receptive_field(layer)


def test_a_layer_that_is_not_built_cannot_be_opened():
    with pytest.raises(ValueError, match=r"'unbuilt' .*is not built"):
        receptive_field(SqueezeExcite(name="unbuilt"))


def test_layers_inside_that_are_not_built_stay_so():
    class Late(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = L.Dense(2, name="late")

        def build(self, input_shape):
            pass

        def call(self, inputs):
            return self.dense(inputs)

    layer = Late(name="bad")
    layer.build((None, None, None, 2))
    with pytest.raises(ValueError, match=r"'bad' .*call it on an image first"):
        receptive_field(layer)
    assert not layer.dense.built
    assert not layer.weights
    layer(draw(1, 4, 4, 2))
    assert receptive_field(layer).halo == (0, 0)
    assert len(layer.weights) == 2


def test_a_model_whose_output_knows_no_image_is_refused():
    class Constant(L.Layer):
        def build(self, input_shape):
            self.number = self.add_weight(shape=(1, 1, 1, 2))

        def call(self, inputs):
            return self.number * 2

    layer = Constant(name="constant")
    layer(draw(1, 4, 4, 2))
    with pytest.raises(ValueError, match=r"'constant' .*not made of its input"):
        receptive_field(layer)
