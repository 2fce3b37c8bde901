"""Loads a saved model, with errors that say what is wrong with the file."""

import os

import keras


def load_model_file(path):
    """Load a Keras model for prediction.

    Args:
        path: File that `model.save` wrote, with the suffix `.keras`.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be loaded.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{path}: no such file. Expected a model that was saved with "
            "`model.save('NAME.keras')`."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises what its parts raise.
        raise ValueError(
            f"{path}: cannot be loaded as a Keras model ({tell(error)}). "
            "Expected a file that was saved with `model.save('NAME.keras')`. "
            "If it has layers of your own, import them in Python and call the "
            "functions of `keras_patching.inference`."
        ) from error


def tell(error):
    """Give type and first sentence of an error: some go on with a config."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first.split('. ')[0]}"
