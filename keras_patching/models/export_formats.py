"""Which formats a model that tiles images can be exported to, and how."""

import keras

_FORMATS = ("tf_saved_model", "onnx", "openvino", "litert", "torch")

# What is written for images of any size, and predicts the same as the model.
_OF_ANY_SIZE = {
    "tensorflow": ("tf_saved_model", "onnx", "openvino", "litert"),
    "jax": ("tf_saved_model",),
    "torch": (),
}

# What is written for images of one size only. What is not here fails while it
# is written, or when it is run, or nobody has compared it.
_OF_ONE_SIZE = {**_OF_ANY_SIZE, "torch": ("torch",)}

# Those whose graphs may have loops, which bound memory.
_WITH_LOOPS = {
    ("tensorflow", "tf_saved_model"),
    ("tensorflow", "onnx"),
    ("jax", "tf_saved_model"),
}


def keeps_loops(export_format):
    """Tell whether a format takes the loops of this backend.

    Others get all patches in one batch, and whole images where rows would be
    streamed.
    """
    return (keras.backend.backend(), export_format) in _WITH_LOOPS


def check_export_format(name, export_format, input_signature):
    """Refuse a format that a model would be written to in vain.

    Args:
        name: That of the model.
        export_format, input_signature: As for `keras.Model.export`.

    Raises:
        ValueError: Saying which formats work, and from where.
    """
    if export_format not in _FORMATS:
        return  # Keras has its own message.
    backend = keras.backend.backend()
    is_of_one_size = _is_of_one_size(input_signature)
    works = (_OF_ONE_SIZE if is_of_one_size else _OF_ANY_SIZE).get(backend, ())
    if export_format in works:
        return
    what = "of one size" if is_of_one_size else "of any size"
    raise ValueError(
        f"'{name}' cannot be exported as {export_format!r} from {backend} for "
        f"images {what} (formats that work there: {', '.join(works) or 'none'}"
        f"). {_advice(backend, export_format)} Received: "
        f"format={export_format!r}, input_signature={input_signature}"
    )


def _advice(backend, export_format):
    if export_format != "torch":
        others = ", ".join(_OF_ANY_SIZE["tensorflow"])
        return (
            'Save it with `model.save("model.keras")`, load it where '
            "KERAS_BACKEND=tensorflow is set, and export from there: "
            f"{others} work."
        )
    where = "" if backend == "torch" else "where KERAS_BACKEND=torch is set, "
    return (
        f"Export it {where}for batches of one size: `input_signature=["
        'keras.InputSpec(shape=(1, 1024, 1024, 3), dtype="float32")]`.'
    )


def _is_of_one_size(input_signature):
    if input_signature is None:
        return False
    shapes = [spec.shape for spec in keras.tree.flatten(input_signature)]
    return all(shape is not None and None not in shape for shape in shapes)
