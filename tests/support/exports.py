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
    import tensorflow as tf

    model.export(str(path), verbose=False)
    exported = tf.saved_model.load(str(path))
    return lambda images: exported.serve(images)
