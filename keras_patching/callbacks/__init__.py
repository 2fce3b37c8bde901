"""Callbacks for training on patches, a file each: whole images, new patches."""

from keras_patching.callbacks.full_image_evaluation import FullImageEvaluation
from keras_patching.callbacks.prediction_gallery import PredictionGallery
from keras_patching.callbacks.resample_patches import ResamplePatches

__all__ = ["FullImageEvaluation", "PredictionGallery", "ResamplePatches"]
