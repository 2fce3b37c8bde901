"""What a detector makes of whole images: the boxes of patches, merged."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Unpack

import numpy as np

from keras_patching._checks import check_distance, check_share
from keras_patching._signatures import IMAGES_DEFAULTS, spelled_out
from keras_patching._types import ArrayLike, ImagesOptions, NDArray
from keras_patching.box_geometry import box_centers
from keras_patching.data.images.known import without_data
from keras_patching.data.images.resizing import ReadScale
from keras_patching.geometry import as_pair
from keras_patching.metrics import COCO_IOU_THRESHOLDS, average_precision
from keras_patching.models.detection.decoding import (
    check_labels,
    decode_in_chunks,
)
from keras_patching.models.detection.large_objects import (
    check_large_objects,
    merge_large_objects,
    size_for_large_objects,
)
from keras_patching.models.detection.merged_patches import MergedPatches
from keras_patching.models.detection.merging import merge_with_cuts
from keras_patching.models.detection.non_max_suppression import check_iou_rule
from keras_patching.models.detection.raw_predictions import (
    check_raw,
    fold,
    grid_of,
)
from keras_patching.models.image_transforms import ImageTransform
from keras_patching.models.task_model import TaskModel
from keras_patching.prediction.resized_results import moved_objects


class BoxMergingModel(TaskModel):
    """A detector whose boxes of patches become boxes of images.

    It is a base of `ObjectDetectionModel`, which has `_decode`, that gives
    boxes, scores and labels of patches, and `_patch_output_shape`.
    """

    def merge_predictions(
        self,
        raw: ArrayLike,
        image_size: Sequence[int],
        score_threshold: float = 0.3,
        iou_threshold: float = 0.5,
        match_metric: str = "iou",
        margin: float | None = None,
        reduced: ArrayLike | None = None,
        reduced_size: Sequence[int] | None = None,
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
            reduced: What `predict` gave for the same images at a smaller size,
                where objects that are larger than the overlap fit a patch:
                their parts, which patches of `raw` see, yield to them. As
                `large_objects` of `predict_images` does by itself.
            reduced_size: `(height, width)` of these smaller images.

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
        if (reduced is None) != (reduced_size is None):
            raise ValueError(
                "`reduced` and `reduced_size` go together: what was predicted "
                "for smaller images, and their (height, width). Received: "
                f"reduced_size={reduced_size}"
            )
        found = self._merge(raw, image_size, *how)
        if reduced_size is None:
            return [_without_cuts(each) for each in found]
        large = self._merge(reduced, reduced_size, *how)
        scale = ReadScale(
            as_pair(tuple(image_size), "image_size"),
            as_pair(tuple(reduced_size), "reduced_size"),
        )
        return [
            self._join(*each, scale, iou_threshold, match_metric)
            for each in zip(found, large, strict=True)
        ]

    def _join(self, found, large, scale, iou_threshold, match_metric):
        """Merge what was found with what was in the reduced image."""
        return merge_large_objects(
            _without_cuts(found),
            found["cut"],
            moved_objects(_without_cuts(large), scale),
            self.predictor.overlap,
            iou_threshold,
            match_metric,
        )

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
            merge_with_cuts(
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
        large_objects: bool | int = False,
        **options: Unpack[ImagesOptions],
    ) -> Iterator[Any] | list[Any]:
        """Find objects in images of any sizes.

        As `PatchedModel.predict_images`.

        Args:
            sources, **options: As there.
            transform: `"patches"` gives what `predict` does, of the image as
                it is read, and so may be written to `out`; a function as there
                gets the same.
            score_threshold, iou_threshold, match_metric, margin: As for
                `merge_predictions`.
            large_objects: Whether each image is predicted once more, reduced
                by an integer until it is no larger than a patch, for objects
                that no patch holds: these are found whole, and their parts
                yield to them. An integer is the length of the largest objects
                in pixels of the image as it is read, as the overlap is: then
                it is reduced only until these are no longer than the overlap,
                and smaller ones are seen better.

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
        check_large_objects(large_objects)
        if transform is None:
            self._check_merging(*how)
            chosen = ImageTransform(
                self._finish_outputs,
                lambda source: self._merged_patches(
                    source.shape[:2], *how, large_objects
                ),
            )
        else:
            if large_objects:
                raise ValueError(
                    "`large_objects` are merged with what patches find: leave "
                    f"out the `transform`. Received: transform={transform!r}, "
                    f"large_objects={large_objects}"
                )
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
        large_objects=False,
    ):
        """Make what merges the patches of an image as they come."""
        how = score_threshold, iou_threshold, match_metric, margin
        tiling = self.patch_size, self.predictor.overlap
        small = size_for_large_objects(size, *tiling, large_objects)
        if small is None:
            return self._patches_of(size, how)
        scale = ReadScale(tuple(size), small)
        rule = iou_threshold, match_metric
        return self._patches_of(
            size,
            how,
            self._patches_of(small, how),
            lambda found, large: self._join(found, large, scale, *rule),
        )

    def _patches_of(self, size, how, reduced=None, join=None):
        return MergedPatches(
            lambda raw, is_run: self._merge(raw, size, *how, is_run),
            self.predictor._outputs.spec,
            _without_cuts if join is None else join,
            reduced,
            size,
        )

    def _check_merging(
        self, score_threshold, iou_threshold, match_metric, margin
    ):
        """Refuse arguments of `merge_predictions`."""
        check_share(score_threshold, "score_threshold")
        check_iou_rule(iou_threshold, match_metric)
        if margin is not None:
            check_distance(margin, "margin")

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
        pairs = self.pair_full_images(images, targets)
        targets = [truth for _, truth in pairs]
        merged = []
        for original, _ in pairs:
            image, scale = self._read_scaled(original)
            raw = self.predict(image[None], verbose=0)
            # Average precision needs boxes of low scores too.
            (found,) = self.merge_predictions(
                raw, image.shape[:2], 0.01, iou_threshold, match_metric
            )
            found = moved_objects(found, scale)
            boxes = np.asarray(found["boxes"], "float64")
            has_data = ~without_data(original, box_centers(boxes))
            merged.append(
                {name: each[has_data] for name, each in found.items()}
            )
        scores = average_precision(merged, targets, COCO_IOU_THRESHOLDS)
        return {name: scores[name] for name in ("ap50", "ap50_95")}

    def _check_raw(self, raw, image_size):
        """Return what `predict` gave as numpy, and the grid of its patches."""
        self._require_patch_size()
        raw = check_raw(raw, self._patch_output_shape())
        return raw, grid_of(raw, image_size, self.predictor)


def _without_cuts(found):
    """Give what users see of what was found."""
    return {name: each for name, each in found.items() if name != "cut"}
