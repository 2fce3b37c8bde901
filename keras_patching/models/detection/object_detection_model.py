"""Detection of objects in large images with a YOLO patch model."""

import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, Unpack

import keras
from keras import ops

from keras_patching._checks import (
    check_class_names,
    check_share,
)
from keras_patching._keras_internals import is_functional
from keras_patching._signatures import (
    TILING_DEFAULTS,
    spelled_out,
)
from keras_patching._types import (
    ArrayLike,
    PatchedModelOptions,
    Tensor,
    Tiling,
)
from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.data.images.channels import number_of
from keras_patching.data.labels.box_labels import as_true_boxes
from keras_patching.data.loader_options import ModelLoaderOptions, loader
from keras_patching.geometry import as_pair
from keras_patching.losses.yolo_loss import YoloLoss
from keras_patching.metrics import (
    BoxIoU,
)
from keras_patching.models.detection import (
    loaders,
    ready_decoding,
    ready_detector,
)
from keras_patching.models.detection.anchors import (
    check_anchors,
    doubt_anchors,
)
from keras_patching.models.detection.box_merging_model import BoxMergingModel
from keras_patching.models.detection.decoding import (
    PARTS,
    as_parts,
    check_labels,
    compiled_decoder,
    decode_in_chunks,
    decode_yolo,
)
from keras_patching.models.detection.raw_predictions import (
    fold,
)
from keras_patching.models.detection.yolo_net import check_head, yolo_net
from keras_patching.models.patched_model import PATCHED_MODEL_DEFAULTS
from keras_patching.models.seen_images import check_images
from keras_patching.ops.boxes import non_max_suppression_padded
from keras_patching.ops.yolo import (
    assign_each,
    decode_boxes,
    highest_iou,
    in_cells,
)

_ANCHORS = ((157, 159), (133, 103), (89, 91), (65, 64), (101, 142))
_MAX_BOXES_PER_PATCH = 100


@keras.saving.register_keras_serializable(package="keras_patching")
class ObjectDetectionModel(BoxMergingModel):
    """Finds objects, as boxes, in images of any size.

    `predict` gives the predictions of each patch. `decode_predictions` makes
    boxes of them, patch by patch, and `merge_predictions` one list per image.
    `compile` takes `YoloLoss` and shows `metrics.BoxIoU`, where it is not told
    otherwise; with a `prediction_decoder` both must be given.

    A detector of KerasHub is decoded as it decodes itself, sees images scaled
    as its preprocessor does, resized by `resize` alone, and trains with its own
    losses; `compile(loss={...})` gives it others. Any patch model trains with
    its own `compute_loss(x, y, y_pred, ...)`, if it has one: `y` is a dict of
    `boxes`, xyxy in pixels or in its `bounding_box_format`, and `labels`,
    filled up with -1, and of `mask`, true for what is no filling.

    Args:
        patch_model: Keras model from `(batch, height, width, channels)` to
            `(batch, rows, cols, anchors * (5 + classes))`, per anchor x, y,
            width, height, objectness and each class, as of YOLOv2 and before
            its sigmoids and exponentials; or an object detector of KerasHub;
            or with a `prediction_decoder`, to anything. Before a detector
            there may be layers, in a `keras.Sequential`. `None` makes a
            compact convolutional net.
        grid_size: `(rows, cols)` of the grid that a patch is divided into.
        anchors: Pairs `(height, width)` in pixels, the shapes of boxes that
            predictions start from; `fit_anchors` finds those of a data set.
            (Deep Plant Phenomics and darknet write width before height.)
        class_names: Names of the classes.
        prediction_decoder: Function or layer that turns the output of the
            patch model for `n` patches, always as many, into a dict of
            `boxes` `(n, k, 4)`, xyxy in pixels of the patch, `scores` (or
            `confidence`) `(n, k)` and `labels` (or `classes`) `(n, k)`,
            filled up with -1, or from `num_detections` `(n,)` on with
            anything; or into an array `(n, k, 6)` of x1, y1, x2, y2, score
            and label, filled up with zeros. To be saved, it is a layer, or
            registered with `keras.saving.register_keras_serializable`. `None`
            decodes as KerasHub's detectors do themselves, else YOLO.
        channels: Channels of the images; "grayscale" reads files, also of
            colour, as one channel. `None` keeps those of the files, which
            needs a `patch_model`.
        value_range: Lowest (black, the padding) and highest value of images,
            as `predict` takes them.
        normalize: What scales the values of whole images, per channel:
            `"percentile"`, `"zscore"`, or `None`, as for
            `SemanticSegmentationModel`.
        resize: Factor that files are resized by as they are read (0.5 halves
            height and width), or the `(height, width)` of every image; `None`
            leaves them. Patches, `overlap` and `anchors` are in resized
            pixels, results of files in pixels of the files.
        **kwargs: Arguments of `PatchedModel`, such as `overlap`.

    Input shape:
        `(batch, height, width, channels)`, values in `value_range`.

    Output shape:
        `(batch, patch rows, patch cols, *output of the patch model)`.

    Raises:
        ValueError: If the patch model's output does not fit grid, anchors and
            classes.

    Example:

    >>> model = keras_patching.ObjectDetectionModel(
    ...     patch_model, grid_size=2, overlap=40
    ... )
    >>> model.set_patch_size(height=64, width=64)
    >>> train = model.load_yolo_dataset_from_directory(
    ...     "trays/labels.json", "trays/images"
    ... )
    >>> model.compile("adam")
    >>> history = model.fit(train, epochs=1)
    >>> image = keras_patching.data.read_image("trays/images/tray_0.jpg")
    >>> raw = model.predict(image[None])
    >>> (merged,) = model.merge_predictions(raw, image_size=image.shape[:2])
    >>> sorted(merged)
    ['boxes', 'labels', 'scores']
    """

    task = loaders.TASK
    _truth = "boxes"

    @spelled_out(PATCHED_MODEL_DEFAULTS)
    def __init__(
        self,
        patch_model: keras.layers.Layer | None = None,
        grid_size: int | Sequence[int] = (7, 7),
        anchors: Sequence[Sequence[float]] = _ANCHORS,
        class_names: Sequence[str] = ("plant",),
        prediction_decoder: Callable | None = None,
        *,
        channels: int | Literal["grayscale"] | None = 3,
        value_range: Sequence[float] = (0, 255),
        normalize: Literal["percentile", "zscore"] | None = None,
        resize: float | Sequence[int] | None = None,
        **kwargs: Unpack[PatchedModelOptions],
    ) -> None:
        _check_tiling(**kwargs)
        channels, value_range = check_images(
            patch_model, channels, value_range, normalize
        )
        grid_size = as_pair(grid_size, "grid_size")
        anchors = check_anchors(anchors)
        class_names = check_class_names(class_names)
        if patch_model is None:
            patch_model = yolo_net(
                grid_size,
                len(anchors),
                len(class_names),
                number_of(channels),
                value_range,
            )
        detector = ready_detector.find_detector(patch_model)
        if detector is not None:
            ready_detector.check_detector(
                detector, prediction_decoder, len(class_names)
            )
        elif prediction_decoder is None:
            check_head(patch_model, grid_size, len(anchors), len(class_names))
        kwargs["stitch"] = False
        super().__init__(
            patch_model,
            channels=channels,
            value_range=value_range,
            normalize=normalize,
            resize=resize,
            **kwargs,
        )
        self.grid_size = grid_size
        self.anchors = anchors
        self.class_names = class_names
        self.prediction_decoder = prediction_decoder
        self._decode_other = compiled_decoder(prediction_decoder)
        self._decode_ready = ready_decoding.compiled_decoder(detector)
        self._unassigned = keras.metrics.Sum(name="unassigned_objects")

    @loader
    def load_yolo_dataset_from_directory(
        self,
        label_file: str | os.PathLike,
        image_dir: str | os.PathLike,
        *,
        objects_key: str = "objects",
        unlabelled: str = "error",
        clip: bool = False,
        empty_patches: int = 0,
        augment: bool = True,
        **options: Unpack[ModelLoaderOptions],
    ) -> PatchingSequence | tuple[PatchingSequence, ...]:
        """Load patches of images and boxes, cutting them where not cached.

        Takes `patch_size`, `grid_size`, `class_names`, `channels`,
        `value_range`, `normalize` and `resize` from the model, and the other
        arguments of the function
        `keras_patching.load_yolo_dataset_from_directory`.
        """
        loaded = loaders.load_yolo_dataset_from_directory(
            label_file,
            image_dir,
            grid_size=self.grid_size,
            class_names=self.class_names,
            objects_key=objects_key,
            unlabelled=unlabelled,
            clip=clip,
            empty_patches=empty_patches,
            augment=augment,
            **self._loader_options(options),
        )
        if self._is_yolo:
            train = loaded[0] if isinstance(loaded, tuple) else loaded
            for doubt in doubt_anchors(train, self.anchors):
                warnings.warn(doubt, stacklevel=3)
        return loaded

    def _patch_parameters(self):
        parameters = {
            **super()._patch_parameters(),
            "class_names": self.class_names,
        }
        if self._is_yolo:
            # Patches were drawn so that each cell of the grid has objects.
            parameters["grid_size"] = self.grid_size
        return parameters

    @property
    def _detector(self):
        """What the patch model brings along of a detector, or `None`."""
        return ready_detector.find_detector(self.patch_model)

    @property
    def _is_yolo(self):
        return self.prediction_decoder is None and self._detector is None

    def _has_all_weights(self):
        # Some layers are there for a loss alone, and have none.
        return is_functional(self._detector) or super()._has_all_weights()

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: Any = "auto",
        loss_weights: Any = None,
        metrics: Any = "auto",
        weighted_metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configure training; as `TaskModel.compile`.

        A patch model with a `compute_loss` of its own is compiled with the
        same `loss`; `"auto"` is what it is compiled with already. What it
        gives is no boxes yet, so that it can have no metrics of patches.
        """
        detector = self._detector
        if ready_detector.has_loss(detector):
            ready_detector.check_training(detector, metrics, weighted_metrics)
            metrics, weighted_metrics = "auto", None
        how = loss, loss_weights, metrics, weighted_metrics
        super().compile(optimizer, *how, **kwargs)
        if ready_detector.has_loss(detector):
            ready_detector.compile_detector(detector, self.loss, loss_weights)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        if self._is_yolo:
            return super().metrics
        return [
            each for each in super().metrics if each is not self._unassigned
        ]

    def _default_loss(self):
        if ready_detector.has_loss(self._detector):
            return getattr(self._detector, "loss", None)
        return YoloLoss() if self._is_yolo else None

    def _default_metrics(self, loss):
        if ready_detector.has_loss(self._detector):
            return None
        return [BoxIoU()] if isinstance(loss, YoloLoss) else []

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        if ready_detector.has_loss(self._detector):
            y_pred = self.predictor.fold_grid(y_pred)
            how = x, y, y_pred, sample_weight, training
            return ready_detector.compute_loss(self.patch_model, *how)
        if not isinstance(self.loss, YoloLoss):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        targets, is_assigned = self._assign(y)
        decoded = self._boxes_in_cells(y_pred)
        found = ops.reshape(
            ops.stop_gradient(decoded[..., :4]),
            (-1, math.prod(decoded.shape[1:4]), 4),
        )
        true_boxes = in_cells(y["boxes"], self.grid_size, self.patch_size)
        nearest = highest_iou(found, true_boxes, is_assigned)
        nearest = ops.reshape(nearest, (-1, *decoded.shape[1:4], 1))
        targets = ops.concatenate([targets, nearest], axis=-1)
        return keras.Model.compute_loss(
            self, x, targets, decoded, sample_weight, training
        )

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Any]:
        if not isinstance(self.loss, YoloLoss):
            return super().compute_metrics(x, y, y_pred, sample_weight)
        targets, is_assigned = self._assign(y)
        is_object = ops.cast(y["labels"] >= 0, "float32")
        self._unassigned.update_state(is_object - is_assigned)
        return keras.Model.compute_metrics(
            self, x, targets, self._boxes_in_cells(y_pred), sample_weight
        )

    def _assign(self, y):
        return assign_each(
            y["boxes"],
            y["labels"],
            self.anchors,
            self.grid_size,
            self.patch_size,
        )

    def _boxes_in_cells(self, y_pred):
        """Decode what the model gives in training, as losses take it."""
        raw = self._by_anchor(self.predictor.fold_grid(y_pred))
        return decode_boxes(raw, self.anchors, self.patch_size)

    def _by_anchor(self, raw):
        shape = (*self.grid_size, len(self.anchors), 5 + len(self.class_names))
        return ops.reshape(ops.cast(raw, "float32"), (-1, *shape))

    def decode_predictions(
        self,
        raw: ArrayLike,
        score_threshold: float = 0.3,
        iou_threshold: float = 0.5,
        image_size: Sequence[int] | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Make boxes of predictions, patch by patch.

        Args:
            raw: What `predict` gave, `(batch, rows, cols, *patch output)`.
            score_threshold: Lowest score of a box, from 0 to 1.
            iou_threshold: Of two boxes of a class in a patch whose
                intersection over union is larger, the better one is kept; from
                0 to 1.
            image_size: `(height, width)` of the images, which the origins of
                overlapping patches depend on. Not needed without overlap.

        Returns:
            List per image of a list per patch, in row-major order, of dicts:
            `boxes` float32 `(n, 4)`, xyxy in pixels of the patch, `scores`
            float32 `(n,)`, `labels` int32 `(n,)`, indices into `class_names`,
            best first; and `origin`, `(y, x)` of the patch in the image.

        Raises:
            ValueError: If `raw` is not what this model predicts for images of
                that size, or holds NaN; or a threshold is not as above.
        """
        score_threshold = check_share(score_threshold, "score_threshold")
        iou_threshold = check_share(iou_threshold, "iou_threshold")
        raw, grid = self._check_raw(raw, image_size)
        kept = decode_in_chunks(
            lambda outputs: _suppress(self._decode(outputs), iou_threshold),
            fold(raw),
        )
        check_labels(kept, self.class_names)
        size, origins = grid.num_patches, grid.origins
        patches = []
        for index, scores in enumerate(kept["scores"]):
            keep = scores >= score_threshold
            patch = {name: values[index][keep] for name, values in kept.items()}
            patches.append({**patch, "origin": tuple(origins[index % size])})
        return [patches[i : i + size] for i in range(0, len(patches), size)]

    def _patch_output_shape(self):
        """Give the shape of the output for a patch, if it is known."""
        shape = getattr(self.patch_model, "output_shape", None)
        known = isinstance(shape, tuple) and not isinstance(shape[0], tuple)
        if self._is_yolo:
            if known and None not in shape[3:]:
                return *self.grid_size, *shape[3:]
            values = len(self.anchors) * (5 + len(self.class_names))
            return *self.grid_size, values
        return shape[1:] if known else None

    def _decode(self, outputs):
        """Give boxes in pixels, scores and labels of patches, as tensors."""
        if self._decode_other is not None:
            return as_parts(self._decode_other(outputs))
        if self._detector is not None:
            # Of images it asks the size.
            channels = self.predictor.channels or number_of(self.channels)
            shape = len(keras.tree.flatten(outputs)[0]), *self.patch_size
            images = ops.zeros((*shape, channels), "uint8")
            return as_parts(self._decode_ready(outputs, images))
        return decode_yolo(
            self._by_anchor(outputs),
            self.anchors,
            self.grid_size,
            self.patch_size,
        )

    def _check_full_target(self, target, name, image_size):
        return as_true_boxes(target, name, image_size, len(self.class_names))

    @spelled_out(TILING_DEFAULTS)
    def set_tiling(self, **tiling: Unpack[Tiling]) -> None:
        """Set how images are cut, at any time; as `PatchedModel.set_tiling`."""
        _check_tiling(**tiling)
        super().set_tiling(**tiling)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        detector = self._detector
        if ready_detector.has_loss(detector) and (
            self.compiled or ready_detector.overrides_compile(detector)
        ):
            # Its losses are in the own compile configuration, or Keras could
            # not give them back.
            config["patch_model"] = ready_detector.not_compiled(
                config["patch_model"]
            )
        return {
            **config,
            "grid_size": self.grid_size,
            "anchors": self.anchors,
            "class_names": self.class_names,
            "prediction_decoder": keras.saving.serialize_keras_object(
                self.prediction_decoder
            ),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Self:
        decoder = keras.saving.deserialize_keras_object(
            config["prediction_decoder"], custom_objects=custom_objects
        )
        return super().from_config(
            {**config, "prediction_decoder": decoder}, custom_objects
        )


def _check_tiling(overlap=0, predict_patch_size=None, shrink=False, **kwargs):
    """Refuse what only patches that are stitched can have."""
    if overlap == "auto" or predict_patch_size is not None or shrink:
        raise ValueError(
            "A detector's patches are merged, not stitched: they have the size "
            "that it was trained on, and an overlap in pixels that is at least "
            "as large as the objects (the loader prints one). Received: "
            f"overlap={overlap!r}, predict_patch_size={predict_patch_size}, "
            f"shrink={shrink}"
        )


def _suppress(found, iou_threshold):
    """Keep the best boxes of each patch, of an output of `_decode`."""
    return non_max_suppression_padded(
        *(ops.convert_to_tensor(found[name]) for name in PARTS),
        iou_threshold,
        _MAX_BOXES_PER_PATCH,
    )
