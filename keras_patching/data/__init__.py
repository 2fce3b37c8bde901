"""Image files, and caches of patches: reading, feeding, keeping them.

Its rooms import one way: `images`, `labels`, `cache`, `patches`, `feeding`;
then `patched_dataset`, which the loaders of all tasks use, and `inspection`.
"""

from keras_patching.data.cache.cleaning import clean
from keras_patching.data.feeding.block_split import BlockSplit
from keras_patching.data.feeding.image_sequence import ImageSequence
from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.listing import list_images
from keras_patching.data.images.opened_image import OpenedImage, open_image
from keras_patching.data.inspection.export import export_copy, export_patches
from keras_patching.data.labels.boxes import read_boxes
from keras_patching.data.labels.map_features import to_geojson
from keras_patching.data.labels.points import read_points
from keras_patching.data.patches.yolo_patch_sampler import YoloPatchSampler

__all__ = [
    "BlockSplit",
    "ImageSequence",
    "OpenedImage",
    "PatchingSequence",
    "YoloPatchSampler",
    "clean",
    "export_copy",
    "export_patches",
    "list_images",
    "open_image",
    "read_boxes",
    "read_image",
    "read_mask",
    "read_points",
    "to_geojson",
    "write_image",
]
