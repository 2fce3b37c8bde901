"""What Keras does not promise is still where it was: else a sentence says what.

Each of these is about Keras, and not about this package.
"""

import inspect
import pathlib

import keras
import numpy as np
import pytest

from keras_patching import _keras_internals as internals


def small_model():
    inputs = keras.Input((4, 4, 1))
    outputs = keras.layers.Conv2D(1, 3, name="last")(inputs)
    return keras.Model(inputs, outputs)


def score(y_true, y_pred):
    return y_pred


def trained_model():
    model = small_model()
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(np.ones((2, 4, 4, 1)), np.ones((2, 2, 2, 1)), verbose=0)
    return model


def test_callbacks_know_which_values_of_a_metric_are_better():
    model = small_model()
    metric = keras.metrics.MeanMetricWrapper(score, name="score")
    internals.tell_direction(metric, "up")
    model.compile("sgd", "mse", metrics=[metric])
    stop = keras.callbacks.EarlyStopping("val_score")
    data = np.ones((2, 4, 4, 1)), np.ones((2, 2, 2, 1))
    model.fit(*data, validation_data=data, callbacks=[stop], verbose=0)
    assert stop.monitor_op(2.0, 1.0), (
        "Keras no longer reads in `_direction` of a metric whether it is to "
        "rise."
    )


def test_a_training_that_has_begun_is_told_its_first_epoch():
    model = small_model()
    model.compile("sgd", "mse")
    start = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: internals.set_first_epoch(model, 2)
    )
    data = np.ones((2, 4, 4, 1)), np.ones((2, 2, 2, 1))
    history = model.fit(*data, epochs=3, callbacks=[start], verbose=0)
    assert history.epoch == [2], (
        "Keras no longer takes the epoch that `fit` starts at from "
        "`_initial_epoch`, after the callbacks have begun."
    )
    internals.set_first_epoch(model, None)
    history = model.fit(*data, epochs=1, verbose=0)
    assert history.epoch == [0], "Keras keeps `_initial_epoch` elsewhere too."


def test_it_is_known_where_a_backup_goes_on(tmp_path):
    model = small_model()
    model.compile("sgd", "mse")
    backup = keras.callbacks.BackupAndRestore(
        tmp_path, save_freq=2, delete_checkpoint=False
    )
    assert internals.place_of_backup(backup) == [0, 0, 0]
    data = np.ones((3, 4, 4, 1)), np.ones((3, 2, 2, 1))
    model.fit(*data, 1, epochs=2, callbacks=[backup], verbose=0)
    assert internals.place_of_backup(backup) == [1, 1, 2], (
        "Keras writes elsewhere than in `_training_metadata_path` of a "
        "`BackupAndRestore` at which batch it saved last."
    )


def test_a_callback_may_end_an_epoch():
    class End(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                raise StopIteration

    if keras.backend.backend() == "torch":
        pytest.skip("There Keras asks for data before it begins a batch.")
    model = small_model()
    model.compile("sgd", "mse")
    data = np.ones((4, 4, 4, 1)), np.ones((4, 2, 2, 1))
    with pytest.warns(UserWarning, match="Your input ran out of data"):
        history = model.fit(
            *data, batch_size=1, epochs=2, callbacks=[End()], verbose=0
        )
    assert history.epoch == [0, 1], (
        "Keras no longer takes a `StopIteration` of a callback for the end of "
        "the data."
    )


def test_a_symbolic_tensor_knows_what_made_it():
    model = small_model()
    made_by = internals.operation_of(model.outputs[0])
    assert made_by is model.get_layer("last"), (
        "Keras no longer keeps the layer that made a tensor in "
        "`_keras_history.operation`."
    )


def test_a_symbolic_tensor_knows_the_call_that_made_it():
    inputs = keras.Input((4, 4, 1))
    layer = keras.layers.BatchNormalization()
    layer(inputs)
    output = layer(inputs, training=True)
    node = internals.node_of(output)
    moved = (
        "Keras no longer keeps the calls of a layer in `_inbound_nodes`, in "
        "the order that `_keras_history` counts them, or these are others."
    )
    assert node.operation is layer, moved
    assert node.input_tensors[0] is inputs, moved
    assert node.outputs[0] is output, moved
    assert node.arguments.kwargs["training"] is True, moved
    assert node.arguments.args[0] is inputs, moved


def test_the_call_of_functional_models_is_one_method():
    class Other(keras.Model):
        def call(self, inputs):
            return inputs

    found = internals.functional_call()
    assert type(small_model()).call is found, (
        "Functional models of Keras no longer share one `call`."
    )
    assert found not in (Other.call, keras.Model.call, keras.Sequential.call)


def test_the_layers_inside_of_a_layer_are_listed_at_any_depth():
    inner = small_model()
    outer = keras.Sequential([keras.Input((4, 4, 1)), inner])
    found = internals.inner_layers(outer)
    moved = "`_flatten_layers` of Keras no longer lists all layers inside."
    assert inner in found, moved
    assert inner.get_layer("last") in found, moved
    assert outer not in found, moved


def test_the_metrics_of_a_compiled_model_are_listed():
    names = [metric.name for metric in internals.own_metrics(trained_model())]
    assert "loss" in names, (
        "`_get_own_metrics` of Keras no longer lists the tracker of the loss."
    )


def test_a_variable_tells_what_it_holds():
    variable = keras.Variable([1.0, 2.0])
    held = internals.stored_value(variable)
    assert np.array_equal(keras.ops.convert_to_numpy(held), [1, 2]), (
        "Keras no longer keeps the value of a variable in `_value`."
    )


@pytest.mark.skipif(
    keras.backend.backend() != "jax",
    reason="Only on jax a training takes the weights out of the model.",
)
def test_weights_that_a_training_has_taken_out_come_back():
    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernel = self._model.get_layer("last").kernel
            self.taken = internals.stored_value(kernel) is None
            internals.put_weights_back(self._model)
            self.back = internals.stored_value(kernel) is not None

    model, look = trained_model(), Look()
    model.fit(
        np.ones((2, 4, 4, 1)),
        np.ones((2, 2, 2, 1)),
        callbacks=[look],
        verbose=0,
    )
    assert look.taken, "A training on jax leaves the weights in the variables."
    assert look.back, "`jax_state_sync` of Keras no longer puts weights back."


def test_what_is_compiled_is_compiled_again_once_it_is_dropped():
    model = trained_model()
    model.predict(np.ones((1, 4, 4, 1)), verbose=0)
    names = "train_function", "predict_function"
    moved = "Keras no longer keeps what it compiles in `train_function`, ..."
    assert all(getattr(model, name) is not None for name in names), moved
    internals.drop_compiled_functions(model)
    assert all(getattr(model, name) is None for name in names), moved
    model.make_predict_function()
    assert model.predict_function is not None, moved


def test_fit_says_that_it_is_fit_which_evaluates():
    seen = []

    class Asked(keras.Sequential):
        def evaluate(self, *args, **kwargs):
            seen.append(internals.is_called_by_fit(kwargs))
            return super().evaluate(*args, **kwargs)

    model = Asked([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.ones((2, 1)), np.ones((2, 1))
    model.fit(*data, validation_data=data, verbose=0)
    model.evaluate(*data, verbose=0)
    assert seen == [True, False], (
        "`fit` of Keras no longer passes `_use_cached_eval_dataset` on to "
        "`evaluate`."
    )


def test_a_twin_has_the_variables_of_a_layer_and_is_no_part_of_its_model():
    layer = keras.layers.Conv2D(1, 3, padding="same")
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, layer(inputs))
    twin = internals.twin_of(layer, padding="valid")
    twin(keras.Input((4, 4, 1)))
    assert len(layer._inbound_nodes) == 1, (
        "Keras keeps the calls of a layer elsewhere than in `_inbound_nodes`."
    )
    image = np.ones((1, 4, 4, 1), "float32")
    layer.kernel.assign(layer.kernel + 1)
    inner = keras.ops.convert_to_numpy(model(image))[:, 1:-1, 1:-1]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(twin(image)), inner, rtol=1e-6
    )


class Halves(keras.layers.Layer):
    """Holds variables in several ways, and a layer."""

    def build(self, input_shape):
        self.one = self.add_weight(shape=(2,), name="one")
        self.more = [self.add_weight(shape=(2,)) for _ in range(2)]
        self.inner = keras.layers.Dense(2)
        self.inner.build(input_shape)

    def call(self, inputs):
        self.seen = inputs.shape
        self.add_loss(keras.ops.sum(inputs))
        return self.inner(inputs * self.one + self.more[0] - self.more[1])


def test_variables_of_a_layer_are_replaced_and_come_back():
    layer = Halves()
    layer(np.ones((1, 2), "float32"))
    before = layer.one, *layer.more
    with internals.own_variables_as(
        layer, lambda variable: keras.KerasTensor(variable.shape)
    ) as replaced:
        assert [id(value) for value in (layer.one, *layer.more)] == [
            *replaced
        ], "Keras no longer keeps variables among the attributes of a layer."
        assert isinstance(layer.inner.kernel, keras.Variable)
        held = [variable for _, variable, _ in replaced.values()]
        assert all(a is b for a, b in zip(held, before, strict=True))
    after = layer.one, *layer.more
    assert all(a is b for a, b in zip(after, before, strict=True))


def test_a_layer_that_was_called_is_as_it_was_before():
    layer = Halves()
    inputs = keras.Input((2,))
    layer(inputs)
    del layer.seen
    losses = layer.losses
    with internals.untouched(layer):
        output = layer(inputs)
        layer.inner(output)
    moved = "Keras keeps of a call what is not in attributes of layers."
    assert len(layer._inbound_nodes) == 1, moved
    assert not layer._outbound_nodes, moved
    assert not layer.inner._inbound_nodes, moved
    assert not hasattr(layer, "seen"), moved
    assert layer.losses == losses, moved


def test_a_layer_inside_that_is_not_built_is_not_built_meanwhile():
    layer = Halves()
    layer(keras.Input((2,)))
    late = keras.layers.Dense(2)
    outer = keras.Sequential([layer, late])
    with internals.untouched(outer), pytest.raises(RuntimeError, match="built"):
        late(keras.Input((2,)))
    late(keras.Input((2,)))
    assert late.built


def test_calls_are_forgotten_by_the_layers_that_they_are_of():
    layer, other = keras.layers.Dense(2), keras.layers.Dense(2)
    inputs = keras.Input((2,))
    kept = layer(inputs)
    node = internals.node_of(other(kept))
    internals.forget_calls([node])
    moved = "Keras keeps calls not only in `_inbound_nodes` and the like."
    assert not layer._outbound_nodes, moved
    assert not other._inbound_nodes, moved
    assert internals.node_of(kept).operation is layer


def test_what_an_operation_was_made_with_is_among_its_attributes():
    inputs = keras.Input((2,))
    clipped = internals.operation_of(keras.ops.clip(inputs, -1, 2))
    settings = internals.settings_of(clipped)
    assert settings == {"x_min": -1, "x_max": 2}, (
        "Keras keeps arguments of operations under other names."
    )


def test_inputs_are_cast_as_a_call_does():
    tensor = keras.ops.ones((1, 4))
    inputs = keras.Input((4,))
    functional = keras.Model(inputs, inputs * 1)
    layer = keras.layers.Dense(2, dtype="mixed_float16")
    for each, dtype in ((functional, "float32"), (layer, "float16")):
        cast = internals.convert_input(each, tensor)
        assert keras.backend.standardize_dtype(cast.dtype) == dtype


def test_a_mask_is_carried_by_the_tensor_it_is_for():
    inputs = keras.Input((3, 2))
    masked = keras.layers.Masking()(inputs)
    assert internals.carries_mask(masked), (
        "Keras no longer keeps masks in `_keras_mask`."
    )
    assert not internals.carries_mask(inputs)


def test_methods_that_are_put_into_a_layer_are_found():
    layer = keras.layers.Conv2D(1, 3, activation="relu")
    moved = "Keras puts other methods into layers than `build` and `quantize`."
    assert internals.methods_put_into(layer) == set(), moved
    assert internals.methods_put_into(small_model()) == set(), moved
    layer.call = lambda inputs: inputs
    assert internals.methods_put_into(layer) == {"call"}


def test_classes_that_override_what_keras_does_around_call_are_found():
    class Doubled(keras.layers.Dense):
        def __call__(self, inputs):
            return super().__call__(inputs) * 2

    assert internals.overrides_dunder_call(Doubled(1))
    tensor = keras.Input((1,)) + 1
    of_keras = (
        *(keras.layers.Dense(1), keras.layers.Rescaling(2.0), small_model()),
        internals.operation_of(tensor),
    )
    assert not any(map(internals.overrides_dunder_call, of_keras)), (
        "`__call__` of layers of Keras is no longer defined in Keras."
    )


def test_which_layers_may_still_get_weights_is_known():
    built = keras.layers.Conv2D(1, 3)
    built.build((None, 4, 4, 1))
    moved = "Keras no longer marks the `build` that layers have by default."
    for layer, may in (
        (keras.layers.Conv2D(1, 3), True),
        (built, False),
        (keras.layers.ReLU(), False),
    ):
        assert internals.may_get_weights(layer) == may, moved


def test_which_models_are_graphs_is_known():
    class Named(keras.Model):
        def __init__(self):
            inputs = keras.Input((1,))
            super().__init__(inputs, inputs * 1.0)

    for model, is_graph in (
        (small_model(), True),
        (Named(), True),
        (keras.layers.ReLU(), False),
        (None, False),
    ):
        assert internals.is_functional(model) == is_graph


def test_which_layers_cast_their_inputs_is_known():
    inputs = keras.Input((1,))
    moved = "`_convert_input_args` of Keras no longer tells who casts inputs."
    for layer, casts in (
        (keras.Model(inputs, inputs * 1.0), False),
        (keras.Sequential([inputs, keras.layers.ReLU()]), True),
        (keras.layers.ReLU(autocast=False), False),
    ):
        assert internals.autocasts_inputs(layer) == casts, moved


def test_what_a_layer_said_is_printed_in_bold():
    class Refuses(keras.layers.Layer):
        def call(self, inputs):
            raise ValueError("Too narrow.")

    with pytest.raises(ValueError, match="Too narrow") as caught:
        Refuses()(np.ones((1, 2)))
    assert internals.reason_of(caught.value) == "Too narrow.", (
        "Keras no longer prints in bold what a layer said."
    )
    assert internals.reason_of(ValueError("first\nsecond")) == "first"
    assert internals.reason_of(KeyError()) == "KeyError"


def test_classes_that_keras_exports_are_marked():
    assert set(internals.EXPORT_MARKS) <= set(vars(keras.layers.Conv2D)), (
        "Keras marks the classes that it exports by other attributes."
    )


def test_each_private_touch_has_a_test():
    functions = inspect.getmembers(internals, callable)
    here = pathlib.Path(__file__).read_text()
    untested = [
        name
        for name, function in functions
        if not name.startswith("_")
        and getattr(function, "__module__", None) == internals.__name__
        and f"internals.{name}(" not in here
    ]
    assert not untested
