"""The predictor can be exported, for images of any size."""

import keras
import numpy as np
import pytest
from exports import export

from keras_patching import PatchedPredictor

VARIANTS = {
    "no overlap": {},
    "overlap": {"overlap": 6, "multiple_of": 2},
    "auto": {"overlap": "auto", "predict_patch_size": 24},
    "streamed": {"overlap": "auto"},
    "strips": {"overlap": "auto", "predict_patch_size": (8, 24)},
    "mean": {"overlap": 6, "multiple_of": 2, "blend": "mean"},
}


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def full_model(**kwargs):
    inputs = keras.Input((None, None, 2))
    full = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    half = keras.layers.MaxPooling2D()(full)
    x = keras.layers.Concatenate()([keras.layers.UpSampling2D()(half), full])
    patch_model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(x))
    layer = PatchedPredictor(patch_model, 16, **kwargs)
    return keras.Sequential([keras.Input((None, None, 2)), layer])


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="torch.export does not take images of any size.",
)
@pytest.mark.parametrize("kwargs", VARIANTS.values(), ids=VARIANTS)
def test_what_was_exported_predicts_the_same(kwargs, tmp_path):
    model = full_model(**kwargs)
    exported = export(model, 2, tmp_path / "exported")
    for size in ((40, 54), (7, 61)):
        images = draw(2, *size, 2)
        np.testing.assert_allclose(
            np.asarray(exported(images)),
            model.predict(images, verbose=0),
            atol=1e-5,
        )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="ONNX is exported from tensorflow.",
)
def test_weights_are_read_before_the_loop_as_onnx_needs_it():
    import tensorflow as tf

    images = tf.TensorSpec((None, None, None, 2))
    model = full_model(**VARIANTS["auto"])
    graph = tf.function(model).get_concrete_function(images).graph
    nodes = [
        node.op
        for function in graph.as_graph_def().library.function
        for node in function.node_def
    ]
    assert "Conv2D" in nodes
    assert "ReadVariableOp" not in nodes
