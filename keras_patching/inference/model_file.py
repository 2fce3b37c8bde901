"""Loads a saved model, with errors that say what is wrong with the file."""

import os
import zipfile

import keras


def load_model_file(path):
    """Load a Keras model for prediction.

    Args:
        path: File that `model.save` wrote, with the suffix `.keras`, or folder
            that it wrote with `zipped=False`, such as Keras uploads to the
            Hugging Face Hub.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else, or cannot be loaded; names a
            layer that Keras does not know.
    """
    if str(path).startswith("hf://"):
        # Keras loads it, but only where tensorflow is installed.
        raise ValueError(
            f"{path}: fetch it first, "
            f'`huggingface_hub.snapshot_download("{str(path)[5:]}")`, and load '
            "the folder that this returns."
        )
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{path}: no such file. Expected a model that was saved with "
            "`model.save('NAME.keras')`."
        )
    if os.path.isdir(path) and "config.json" not in os.listdir(path):
        raise ValueError(
            f"{path}: is a folder, such as `model.export` makes, and cannot be "
            "loaded again. Expected a file that was "
            "saved with `model.save('NAME.keras')`."
        )
    if str(path).endswith(".keras") and not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path}: cannot be loaded as a Keras model: it is none, or only a "
            "part of one. Save it again with `model.save('NAME.keras')`, or "
            "copy it again."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Layers raise what they like.
        raise ValueError(
            f"{path}: cannot be loaded as a Keras model "
            f"({describe_error(_innermost(error))}). Expected a file that was "
            "saved with `model.save('NAME.keras')`. If it has layers of your "
            "own, import them in Python, and call "
            "`keras_patching.inference.load_model` and `predict_files` there."
        ) from error


def _innermost(error):
    """Give the error that others were raised from."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error


def describe_error(error):
    """Give type and first sentence of an error: some go on with a config."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first.split('. ')[0]}"
