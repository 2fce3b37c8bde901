"""Predictions of image files, and how far tiles differ from whole images.

`file_prediction` writes what the module of a task in `reports` says, and goes
on where it was stopped; `pages` shows that as HTML; `tiling_verification`
measures seams; `leakage_check` counts what a split lets through.
"""

from keras_patching.inference.ensembles import load_ensemble
from keras_patching.inference.file_prediction import (
    FilePredictions,
    load_model,
    predict_files,
)
from keras_patching.inference.leakage_check import (
    LeakageReport,
    check_leakage,
)
from keras_patching.inference.tiling_verification import verify_tiling

__all__ = [
    "FilePredictions",
    "LeakageReport",
    "check_leakage",
    "load_ensemble",
    "load_model",
    "predict_files",
    "verify_tiling",
]
