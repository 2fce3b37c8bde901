"""What users deploy of a model: a function of images, without Keras."""

import keras


def export(model, channels, path):
    """Export a model of images of any size, and load what was exported.

    Args:
        model: Keras model of `(batch, height, width, channels)`, float32.
        channels: Number of channels.
        path: Path of a folder that is not there yet.

    Returns:
        Function from images to predictions.
    """
    if keras.backend.backend() == "jax":
        import jax

        shape = jax.export.symbolic_shape(f"batch, height, width, {channels}")
        images = jax.ShapeDtypeStruct(shape, "float32")
        function = jax.jit(lambda images: model(images, training=False))
        return jax.export.export(function)(images).call
    model.export(str(path), verbose=False)
    return run_exported(path, "tf_saved_model")


def run_exported(path, export_format):
    """Load an exported file with the runtime of its format.

    Args:
        path: As for `export`.
        export_format: As for `keras.Model.export`.

    Returns:
        Function from images to predictions, arrays of numpy.
    """
    return _LOADERS[export_format](str(path))


def _load_saved_model(path):
    import tensorflow as tf

    exported = tf.saved_model.load(path)
    return lambda images: exported.serve(images).numpy()


def _load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    (images_of,) = session.get_inputs()
    return lambda images: session.run(None, {images_of.name: images})[0]


def _load_openvino(path):
    import openvino

    # Some processors compute in 16 bits unless they are told otherwise.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    run = openvino.Core().compile_model(path, "CPU", exact)
    return lambda images: run([images])[run.outputs[0]]


def _load_litert(path):
    from keras_patching.models.litert_check import run_litert

    return lambda images: run_litert(path, images)[0]


def _load_torch(path):
    import torch

    exported = torch.export.load(path).module()
    return lambda images: exported(torch.tensor(images)).detach().numpy()


_LOADERS = {
    "tf_saved_model": _load_saved_model,
    "onnx": _load_onnx,
    "openvino": _load_openvino,
    "litert": _load_litert,
    "torch": _load_torch,
}
