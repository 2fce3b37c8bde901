"""Which formats a model that tiles images can be exported to."""

import keras

# Formats whose graphs predict the same as the model for images of any size.
# Others fail while they are written, or nobody has compared them.
_FORMATS = {
    "tensorflow": ("tf_saved_model", "onnx"),
    "jax": ("tf_saved_model",),
    "torch": (),
}


def check_export_format(name, export_format):
    """Refuse a format that a model would be written to in vain.

    Args:
        name: That of the model.
        export_format: As for `keras.Model.export`.

    Raises:
        ValueError: Saying which formats work, and from where.
    """
    backend = keras.backend.backend()
    works = _FORMATS.get(backend, ())
    if export_format in works:
        return
    raise ValueError(
        f"'{name}' cuts images of any size in its graph, which cannot be "
        f'exported as "{export_format}" from {backend} (formats that work '
        f"there: {', '.join(works) or 'none'}). Save it with "
        '`model.save("model.keras")`, load it where '
        "KERAS_BACKEND=tensorflow is set, and export "
        'format="tf_saved_model" or format="onnx" from there. Received: '
        f"format={export_format!r}"
    )
