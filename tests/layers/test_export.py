"""The predictor can be exported, for images of any size."""

import keras
import numpy as np
import pytest

from keras_patching import PatchedModel, PatchedPredictor

VARIANTS = {
    "no overlap": {},
    "overlap": {"overlap": 6, "multiple_of": 2},
    "auto": {"overlap": "auto", "predict_patch_size": 24},
    "bands": {"overlap": "auto", "predict_patch_size": (24, None)},
}


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def full_model(stride, **kwargs):
    inputs = keras.Input((None, None, 2))
    x = full = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    if stride > 1:
        x = keras.layers.MaxPooling2D(stride)(x)
        x = keras.layers.UpSampling2D(stride)(x)
        x = keras.layers.Concatenate()([x, full])
    patch_model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(x))
    layer = PatchedPredictor(patch_model, 16, **kwargs)
    return keras.Sequential([keras.Input((None, None, 2)), layer])


def export(model, path):
    """Return a function of what was exported, without Keras."""
    if keras.backend.backend() == "jax":
        import jax

        shape = jax.export.symbolic_shape("batch, height, width, 2")
        images = jax.ShapeDtypeStruct(shape, "float32")
        function = jax.jit(lambda images: model(images, training=False))
        return jax.export.export(function)(images).call
    import tensorflow as tf

    model.export(path, verbose=False)
    loaded = tf.saved_model.load(path)
    return lambda images: loaded.serve(images)


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="torch.export does not take images of any size.",
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kwargs", VARIANTS.values(), ids=VARIANTS)
def test_what_was_exported_predicts_the_same(kwargs, stride, tmp_path):
    model = full_model(stride, **kwargs)
    exported = export(model, str(tmp_path / "exported"))
    for size in ((40, 54), (7, 61)):
        images = draw(2, *size, 2)
        np.testing.assert_allclose(
            np.asarray(exported(images)),
            model.predict(images, verbose=0),
            atol=1e-5,
        )


@pytest.mark.parametrize("name", ["onnx", "openvino", "litert", "torch"])
def test_a_format_that_does_not_work_is_refused_before_it_is_written(
    name, tmp_path
):
    patch_model = keras.Sequential([keras.Input((None, None, 2))])
    model = PatchedModel(patch_model, 8)
    if (keras.backend.backend(), name) == ("tensorflow", "onnx"):
        pytest.skip("It works from here; converting it takes tf2onnx.")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        model.export(tmp_path / "exported", format=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="ONNX is exported from tensorflow.",
)
def test_weights_are_read_before_the_loop_as_onnx_needs_it():
    import tensorflow as tf

    images = tf.TensorSpec((None, None, None, 2))
    model = full_model(2, **VARIANTS["auto"])
    graph = tf.function(model).get_concrete_function(images).graph
    nodes = [
        node.op
        for function in graph.as_graph_def().library.function
        for node in function.node_def
    ]
    assert "Conv2D" in nodes
    assert "ReadVariableOp" not in nodes


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Keras writes a SavedModel with tensorflow alone.",
)
def test_a_patched_model_is_exported_for_images_of_any_size(tmp_path):
    import tensorflow as tf

    patch_model = keras.Sequential(
        [keras.Input((None, None, 2)), keras.layers.Dense(1)]
    )
    model = PatchedModel(patch_model, 8)
    model.export(str(tmp_path / "exported"), verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    for size in ((8, 8), (9, 12)):
        images = draw(1, *size, 2)
        np.testing.assert_allclose(
            exported.serve(images),
            model.predict(images, verbose=0),
            atol=1e-6,
        )
