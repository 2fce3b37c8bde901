"""Callbacks that look at whole images while a model trains on patches."""

from keras_patching.callbacks.full_image_evaluation import FullImageEvaluation

__all__ = ["FullImageEvaluation"]
