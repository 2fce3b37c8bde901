"""All that `keras_patching` gives, imported at once.

In a module of its own, since a command imports it only when it is asked for.
"""

from keras_patching._backend import choose_backend

choose_backend()

from keras_patching import callbacks, inference, metrics
from keras_patching.data.patching_sequence import PatchingSequence
from keras_patching.data.yolo_patch_sampler import YoloPatchSampler
from keras_patching.geometry import PatchGrid
from keras_patching.inference.tiling_verification import verify_tiling
from keras_patching.layers.patched_predictor import PatchedPredictor
from keras_patching.layers.receptive_field import receptive_field
from keras_patching.models.counting.density_map_loss import DensityMapLoss
from keras_patching.models.counting.heatmap_object_counting_model import (
    HeatmapObjectCountingModel,
)
from keras_patching.models.counting.loaders import (
    load_heatmap_dataset_with_csv_from_directory,
    load_heatmap_dataset_with_json_files_from_directory,
    read_points,
)
from keras_patching.models.detection.anchors import fit_anchors
from keras_patching.models.detection.loaders import (
    load_yolo_dataset_from_directory,
    read_boxes,
)
from keras_patching.models.detection.object_detection_model import (
    ObjectDetectionModel,
)
from keras_patching.models.detection.yolo_loss import YoloLoss
from keras_patching.models.patched_model import PatchedModel
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks,
)
from keras_patching.models.segmentation.segmentation_loss import (
    SegmentationLoss,
)
from keras_patching.models.segmentation.semantic_segmentation_model import (
    SemanticSegmentationModel,
)
