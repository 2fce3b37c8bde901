"""Detection of objects in large images with a YOLO patch model."""

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, Self, Unpack

import keras
import numpy as np
from keras import ops

from keras_patching._checks import (
    check_class_names,
    check_distance,
    check_share,
)
from keras_patching._keras_internals import is_functional
from keras_patching._signatures import (
    IMAGES_DEFAULTS,
    TILING_DEFAULTS,
    spelled_out,
)
from keras_patching._types import (
    ArrayLike,
    ImagesOptions,
    NDArray,
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
    COCO_IOU_THRESHOLDS,
    BoxIoU,
    average_precision,
)
from keras_patching.models.detection import (
    loaders,
    ready_decoding,
    ready_detector,
)
from keras_patching.models.detection.anchors import doubt_anchors
from keras_patching.models.detection.decoding import (
    PARTS,
    as_parts,
    check_labels,
    compiled_decoder,
    decode_in_chunks,
    decode_yolo,
)
from keras_patching.models.detection.merged_patches import MergedPatches
from keras_patching.models.detection.merging import merge
from keras_patching.models.detection.non_max_suppression import check_iou_rule
from keras_patching.models.detection.raw_predictions import (
    check_raw,
    fold,
    grid_of,
)
from keras_patching.models.detection.yolo_net import yolo_net
from keras_patching.models.image_transforms import ImageTransform
from keras_patching.models.patched_model import PATCHED_MODEL_DEFAULTS
from keras_patching.models.task_model import TaskModel, check_images
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
class ObjectDetectionModel(TaskModel):
    """Finds objects, as boxes, in images of any size.

    `predict` gives the predictions of each patch. `decode_predictions` makes
    boxes of them, patch by patch, and `merge_predictions` one list per image.
    `compile` takes `YoloLoss` and shows `metrics.BoxIoU`, where it is not told
    otherwise; with a `prediction_decoder` both must be given.

    A detector of KerasHub is decoded as it decodes itself, sees images scaled
    as its preprocessor does, and never resized, and trains with its own
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
        value_range: Lowest (black, the padding) and highest value of images.
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
        **kwargs: Unpack[PatchedModelOptions],
    ) -> None:
        _check_tiling(**kwargs)
        channels, value_range = check_images(patch_model, channels, value_range)
        grid_size = as_pair(grid_size, "grid_size")
        anchors = _check_anchors(anchors)
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
            _check_head(patch_model, grid_size, len(anchors), len(class_names))
        kwargs["stitch"] = False
        super().__init__(
            patch_model, channels=channels, value_range=value_range, **kwargs
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
        store: str = "patches",
        empty_patches: int = 0,
        augment: bool = True,
        **options: Unpack[ModelLoaderOptions],
    ) -> PatchingSequence | tuple[PatchingSequence, ...]:
        """Load patches of images and boxes, cutting them where not cached.

        Takes `patch_size`, `grid_size`, `class_names`, `channels` and
        `value_range` from the model, and the other arguments of the function
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
            store=store,
            empty_patches=empty_patches,
            augment=augment,
            **self._loader_arguments(),
            **options,
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

    def merge_predictions(
        self,
        raw: ArrayLike,
        image_size: Sequence[int],
        score_threshold: float = 0.3,
        iou_threshold: float = 0.5,
        match_metric: str = "iou",
        margin: float | None = None,
    ) -> list[dict[str, NDArray]]:
        """Make one list of boxes per image of the predictions of its patches.

        With overlap, a box belongs to the patch whose core holds its center,
        so that a box which a seam cuts is not counted twice. Patches place an
        object a little differently; their boxes of one object are found first,
        so that it is counted once, whichever side of a border each puts it to.
        Without overlap, a detector sees objects on a seam in parts, which
        nothing mends: the first time, a warning says so.

        Args:
            raw: What `predict` gave, `(batch, rows, cols, *patch output)`.
            image_size: `(height, width)` of the images in pixels.
            score_threshold: Lowest score of a box, from 0 to 1.
            iou_threshold: Of two boxes of a class whose `match_metric` is
                larger, the better one is kept; from 0 to 1.
            match_metric: "iou", intersection over union, or "ios",
                intersection over the smaller one.
            margin: How many pixels apart two patches may place the sides of
                one object, which may also lie so far from the patch that keeps
                it. `None` is an eighth of the overlap, and at least 12.

        Returns:
            List per image of dicts: `boxes` float32 `(n, 4)`, xyxy in pixels
            of the image and inside of it, `scores` float32 `(n,)`, `labels`
            int32 `(n,)`, best first.

        Raises:
            ValueError: If `raw` is not what this model predicts for images of
                that size, or holds NaN; or another argument is not as above.
        """
        self._check_merging(
            score_threshold, iou_threshold, match_metric, margin
        )
        if image_size is None:
            raise ValueError(
                "Boxes are placed in an image of a size: pass that of the "
                "images that were predicted, as `image_size=image.shape[:2]`. "
                "Received: image_size=None"
            )
        how = score_threshold, iou_threshold, match_metric, margin
        return self._merge(raw, image_size, *how)

    def _merge(
        self,
        raw,
        image_size,
        score_threshold,
        iou_threshold,
        match_metric,
        margin,
        is_run=None,
    ):
        """Merge predictions; of patches that were not run nothing is found."""
        raw, grid = self._check_raw(raw, image_size)
        self._warn_of_seams(grid)
        found = decode_in_chunks(self._decode, fold(raw))
        check_labels(found, self.class_names)
        is_good = found["scores"] >= score_threshold
        if is_run is not None:
            is_good &= is_run.reshape(-1, 1)
        found["scores"] = np.where(is_good, found["scores"], -1)
        by_image = {
            name: values.reshape(-1, grid.rows, grid.cols, *values.shape[1:])
            for name, values in found.items()
        }
        return [
            merge(
                {name: values[index] for name, values in by_image.items()},
                grid,
                iou_threshold,
                match_metric,
                margin,
            )
            for index in range(len(by_image["scores"]))
        ]

    @spelled_out(IMAGES_DEFAULTS)
    def predict_images(
        self,
        sources: Iterable[Any],
        *,
        transform: Callable | str | None = None,
        score_threshold: float = 0.3,
        iou_threshold: float = 0.5,
        match_metric: str = "iou",
        margin: float | None = None,
        **options: Unpack[ImagesOptions],
    ) -> Iterator[Any] | list[Any]:
        """Find objects in images of any sizes.

        As `PatchedModel.predict_images`.

        Args:
            sources, **options: As there.
            transform: `"patches"` gives what `predict` does, and so may be
                written to `out`; a function as there gets the same.
            score_threshold, iou_threshold, match_metric, margin: As for
                `merge_predictions`.

        Returns:
            As there; without a `transform`, a dict per image of its objects,
            as of `merge_predictions`.

        Example:

        >>> model = keras_patching.ObjectDetectionModel(patch_size=64)
        >>> images = [np.zeros((50, 60, 3)), np.zeros((64, 60, 3))]
        >>> for found in model.predict_images(images, verbose=False):
        ...     print(found["boxes"].shape)
        (0, 4)
        (0, 4)
        """
        how = score_threshold, iou_threshold, match_metric, margin
        if transform is None:
            self._check_merging(*how)
            chosen = ImageTransform(
                self._finish_outputs,
                lambda size: self._merged_patches(size, *how),
            )
        else:
            chosen = self._image_transform(transform)
        return self._predict_images(sources, chosen, **options)

    @property
    def _image_transforms(self):
        return {"patches": ImageTransform(self._finish_outputs, name="patches")}

    def _merged_patches(
        self,
        size,
        score_threshold=0.3,
        iou_threshold=0.5,
        match_metric="iou",
        margin=None,
    ):
        """Make what merges the patches of an image as they come."""
        how = score_threshold, iou_threshold, match_metric, margin
        return MergedPatches(
            lambda raw, is_run: self._merge(raw, size, *how, is_run),
            self.predictor._outputs.spec,
        )

    def _check_merging(
        self, score_threshold, iou_threshold, match_metric, margin
    ):
        """Refuse arguments of `merge_predictions`."""
        check_share(score_threshold, "score_threshold")
        check_iou_rule(iou_threshold, match_metric)
        if margin is not None:
            check_distance(margin, "margin")

    def _check_raw(self, raw, image_size):
        """Return what `predict` gave as numpy, and the grid of its patches."""
        self._require_patch_size()
        raw = check_raw(raw, self._patch_output_shape())
        return raw, grid_of(raw, image_size, self.predictor)

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

    def _warn_of_seams(self, grid):
        """Warn once where seams cut objects, which merging cannot mend."""
        is_cut = grid.num_patches > 1 and not any(grid.overlap)
        if self._knows_of_seams or not is_cut:
            return
        self._knows_of_seams = True
        warnings.warn(
            f"The patches of '{self.name}' do not overlap, so objects on a "
            "seam are found in parts, and merging cannot mend these. Give it "
            "an `overlap` in pixels that is at least as large as the objects, "
            "such as `model.set_tiling(overlap=64)`, and predict again. The "
            "loader prints an overlap that suits the boxes.",
            stacklevel=4,
        )

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

    def evaluate_full_images(
        self,
        images: str | os.PathLike | Sequence[Any] | NDArray,
        targets: Any,
        iou_threshold: float = 0.5,
        match_metric: str = "iou",
    ) -> dict[str, float]:
        """Predict whole images one by one and compare them with their boxes.

        Args:
            images: Images of shape `(height, width, channels)`, of any sizes:
                a folder, a list of paths, a list of arrays, or an array.
            targets: Per image a dict of `boxes` `(n, 4)`, xyxy in pixels, and
                `labels` `(n,)`, in the order of the images; or a dict of these
                from their names, as `read_boxes` gives it.
            iou_threshold, match_metric: As for `merge_predictions`.

        Returns:
            Dict of floats: `ap50` and `ap50_95`, as of
            `metrics.average_precision`.

        Raises:
            ValueError: If images and boxes do not pair, boxes lie outside of
                their image, or labels are not those of the model.
        """
        check_iou_rule(iou_threshold, match_metric)
        pairs = self._pair_full_images(images, targets)
        targets = [truth for _, truth in pairs]
        merged = []
        for image, _ in pairs:
            image = self.read_image(image)
            raw = self.predict(image[None], verbose=0)
            # Average precision needs boxes of low scores too.
            merged += self.merge_predictions(
                raw, image.shape[:2], 0.01, iou_threshold, match_metric
            )
        scores = average_precision(merged, targets, COCO_IOU_THRESHOLDS)
        return {name: scores[name] for name in ("ap50", "ap50_95")}

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


def _check_anchors(anchors):
    sizes = np.asarray(anchors, "float64")
    if sizes.ndim != 2 or sizes.shape[1] != 2 or not (sizes > 0).all():
        raise ValueError(
            "`anchors` must be pairs (height, width) of positive numbers, in "
            "pixels; Deep Plant Phenomics and darknet write (width, height). "
            f"Received: anchors={anchors}"
        )
    return tuple((height, width) for height, width in sizes.tolist())


def _check_head(patch_model, grid_size, num_anchors, num_classes):
    shape = getattr(patch_model, "output_shape", None)
    if not isinstance(shape, tuple):
        return  # Not built, or of several outputs: building it will tell.
    values = num_anchors * (5 + num_classes)
    known = None not in shape[1:]
    if known and (shape[1:3] != grid_size or math.prod(shape[3:]) != values):
        swapped = (
            " Its rows and cols are those of `grid_size` swapped: give the "
            "rows first."
            if shape[1:3] == grid_size[::-1] != grid_size
            else ""
        )
        raise ValueError(
            f"The patch model '{patch_model.name}' must end in (batch, "
            f"{grid_size[0]}, {grid_size[1]}, {values}): the grid, and for "
            f"each of {num_anchors} anchors 5 values and {num_classes} "
            "classes. Or pass a `prediction_decoder` that decodes what it "
            f"gives.{swapped} "
            f"Received: output shape {shape}"
        )
