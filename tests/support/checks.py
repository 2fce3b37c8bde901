"""One check for each kind of thing that users make, train and save.

Each asks of a class what Keras promises of all of its kind: its config makes
it again, outputs are as they are declared, it trains, is saved and exported,
and works in mixed precision. `tests/test_registered_classes.py` sees to it
that every class has its check.
"""

import contextlib
import inspect
import json

import keras
import numpy as np
import pytest
from exports import export
from keras import ops


def check_layer(cls, arguments, images, path):
    """Check a layer of images.

    Args:
        cls: Its class.
        arguments: Function that gives its arguments, made anew at each call,
            and none of them the default.
        images: Float32 array `(batch, height, width, channels)`.
        path: Folder to save to.
    """
    layer = check_config(cls, arguments())
    outputs = layer(images)
    check_declaration(layer, images, outputs)
    check_mixed_precision(cls, arguments, layer, images, outputs)
    outputs = as_numpy(outputs)
    shape = (None, None, images.shape[-1])
    model = keras.Sequential([keras.Input(shape), layer])
    model.compile("sgd", "mse")
    check_training(model, images, np.zeros_like(outputs))
    check_saving(model, images, path)
    check_export(model, images, path)


def check_task_model(
    cls, arguments, patches, targets, images, path, **compiling
):
    """Check a model that trains on patches and predicts whole images.

    Args:
        cls, arguments: As for `check_layer`.
        patches, targets: What it is trained on.
        images: Float32 array `(batch, height, width, channels)`.
        path: Folder to save to.
        **compiling: Arguments of `compile`.
    """
    model = check_config(cls, arguments())
    outputs = model.predict(images, verbose=0)
    check_declaration(model, images, outputs)
    mixed = check_mixed_precision(cls, arguments, model, images, outputs)
    for each in (mixed, model):
        each.compile("sgd", **compiling)
        check_training(each, patches, targets)
    check_saving(model, images, path)
    loaded = load(path)
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert loaded.get_compile_config() == model.get_compile_config()
    check_training(loaded, patches, targets)
    if keras.backend.backend() == "tensorflow":  # Where models have `export`.
        check_export(model, images, path)


def check_loss(cls, arguments, y_true, y_pred, path):
    """Check a loss.

    Args:
        cls: Its class.
        arguments: Dict of its arguments, none of them the default.
        y_true, y_pred: Arrays of some samples.
        path: Folder to save to.
    """
    loss = check_config(cls, arguments)
    value = loss(y_true, y_pred)
    assert tuple(value.shape) == ()
    assert dtype_of(value) == "float32"
    narrow = loss(y_true, ops.cast(y_pred, "bfloat16"))
    assert dtype_of(narrow) == "float32"
    assert float(narrow) == pytest.approx(float(value), rel=0.05)
    model = model_that_gives(y_pred)
    model.compile(keras.optimizers.SGD(1e-4), loss)
    check_training(model, y_pred, y_true)
    trained = model.evaluate(y_pred, y_true, verbose=0)
    assert trained < float(value)
    check_saving(model, y_pred, path)
    loaded = load(path)
    assert loaded.loss.get_config() == loss.get_config()
    assert loaded.evaluate(y_pred, y_true, verbose=0) == pytest.approx(trained)


def check_metric(cls, arguments, y_true, y_pred, path):
    """Check a metric.

    Args:
        cls, arguments, y_true, y_pred, path: As for `check_loss`; predictions
            that are not equal by a rounding to bfloat16.
    """
    metric = check_config(cls, arguments)
    nothing = float(metric.result())
    metric.update_state(y_true, y_pred)
    value = float(metric.result())
    assert value != nothing
    metric.reset_state()
    assert float(metric.result()) == nothing
    narrow = ops.cast(y_pred, "bfloat16")
    for part in (slice(None, 1), slice(1, None)):
        metric.update_state(y_true[part], narrow[part])
    assert float(metric.result()) == pytest.approx(value, rel=1e-5)
    metric.reset_state()
    model = model_that_gives(y_pred)
    model.compile(keras.optimizers.SGD(0.0), no_loss, metrics=[metric])
    model.fit(y_pred, y_true, verbose=0)
    check_saving(model, y_pred, path)
    for each in (model, load(path)):
        logs = each.evaluate(y_pred, y_true, return_dict=True, verbose=0)
        assert logs[metric.name] == pytest.approx(value, rel=1e-5)


def check_callback(cls, make):
    """Check a callback that looks on while a model trains.

    Args:
        cls: Its class.
        make: Function that gives, all made anew and the same at each call, a
            compiled model, what `fit` takes, and the arguments of the callback.
    """
    alone, training, _ = make()
    history = fit(alone, training)
    watched, training, arguments = make()
    callback = cls(**arguments)
    logs = fit(watched, training, callback)
    for name, values in history.items():
        assert logs[name] == pytest.approx(values, rel=1e-4)
    weights = watched.get_weights()
    for ours, other in zip(weights, alone.get_weights(), strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-6)
    # It may watch one training after the other.
    assert fit(watched, training, callback).keys() == logs.keys()
    with dtype_policy("mixed_bfloat16"):
        mixed, training, arguments = make()
    assert fit(mixed, training, cls(**arguments)).keys() == logs.keys()


def fit(model, training, *callbacks):
    return model.fit(
        **training, epochs=2, shuffle=False, verbose=0, callbacks=callbacks
    ).history


def check_config(cls, arguments):
    """Check that a thing is made again from its config, and return it."""
    made = cls(**arguments)
    config = made.get_config()
    names = set(inspect.signature(cls).parameters)
    # Keras calls what a `Wrapper` wraps its `layer`.
    assert names - {"patch_model", "kwargs"} <= config.keys()
    stored = json.dumps(keras.saving.serialize_keras_object(made))
    again = keras.saving.deserialize_keras_object(json.loads(stored))
    # What the config forgot would come back as the default.
    assert json.dumps(again.get_config()) == json.dumps(config)
    return made


def check_declaration(thing, images, outputs):
    """Check the shapes and dtypes that are told without running it."""
    known = images.shape
    unknown = (None, None, None, known[-1])
    for shape in (known, unknown):
        declared = thing.compute_output_spec(keras.KerasTensor(shape))
        keras.tree.assert_same_structure(declared, outputs)
        for spec, output in zip(
            keras.tree.flatten(declared),
            keras.tree.flatten(outputs),
            strict=True,
        ):
            assert spec.dtype == dtype_of(output)
            assert len(spec.shape) == len(output.shape)
            for told, found in zip(spec.shape, output.shape, strict=True):
                assert told == found or (told is None and shape is unknown)


def check_mixed_precision(cls, arguments, full, images, outputs):
    """Check one of mixed precision by the outputs of one of full precision.

    Returns:
        That of mixed precision, with the same weights.
    """
    with dtype_policy("mixed_bfloat16"):
        mixed = cls(**arguments())
        mixed.build(images.shape)
    mixed.set_weights(full.get_weights())
    narrow = mixed(images)
    check_declaration(mixed, images, narrow)
    for one, other in zip(
        keras.tree.flatten(narrow), keras.tree.flatten(outputs), strict=True
    ):
        other = as_numpy(other)
        atol = 0.05 * np.abs(other).max()
        np.testing.assert_allclose(as_numpy(one), other, atol=atol)
    return mixed


def check_training(model, x, y):
    """Check that one step of `fit` changes all weights that are trained."""
    before = [as_numpy(each) for each in model.trainable_variables]
    history = model.fit(x, y, batch_size=len(x), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert before
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert (as_numpy(variable) != old).any(), variable.path


def check_saving(model, images, path):
    """Check that a model predicts the same once it is saved and loaded."""
    model.save(path / "model.keras")
    np.testing.assert_array_equal(
        load(path).predict(images, verbose=0), model.predict(images, verbose=0)
    )


def check_export(model, images, path):
    """Check that a model predicts the same once it is exported."""
    if keras.backend.backend() == "torch":
        return  # `torch.export` does not take images of any size.
    exported = export(model, images.shape[-1], path / "exported")
    np.testing.assert_allclose(
        exported(images),
        model.predict(images, verbose=0),
        rtol=1e-4,
        atol=1e-4,
    )


def load(path):
    return keras.saving.load_model(path / "model.keras")


def model_that_gives(outputs):
    """Make a model that gives what it is given, and learns."""
    model = keras.Sequential([keras.Input(outputs.shape[1:])])
    model.add(
        keras.layers.Dense(outputs.shape[-1], kernel_initializer="identity")
    )
    return model


@keras.saving.register_keras_serializable(package="tests")
def no_loss(y_true, y_pred):
    return 0 * ops.sum(y_pred)


def as_numpy(tensor):
    return ops.convert_to_numpy(tensor).astype("float32")


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


@contextlib.contextmanager
def dtype_policy(name):
    """Set Keras's dtype policy for a while."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
