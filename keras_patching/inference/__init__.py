"""Predictions of image files, with pictures and tables of what was found."""

from keras_patching.inference.file_prediction import (
    FilePredictions,
    load_model,
    predict_files,
)

__all__ = ["FilePredictions", "load_model", "predict_files"]
