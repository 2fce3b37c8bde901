"""What is written of the prediction of a detection model."""

import numpy as np

from keras_patching.inference.pages.detection import DetectionContents
from keras_patching.models.detection.large_objects import (
    check_large_objects,
)
from keras_patching.prediction.resized_results import MovedObjects
from keras_patching.visualization import (
    box_legend,
    legend,
    overlay_detections,
    stacked,
)

_CORNERS = ("x1", "y1", "x2", "y2")


class Report:
    """Boxes, in overlays, in a table and in the format of COCO.

    Args:
        model: An `ObjectDetectionModel`.
        score_threshold: Lowest score of a box, 0 to 1.
        large_objects: As for `predict_images` of the model.
    """

    OPTIONS = ("score_threshold", "large_objects")

    def __init__(self, model, score_threshold=0.3, large_objects=False):
        check_large_objects(large_objects)
        self._model, self._score_threshold = model, score_threshold
        self._large_objects = large_objects
        self.transform = model._image_transform("patches")
        self.outputs = {"overlays": (".png",)}
        self.tables = {"boxes.csv": ("image", *_CORNERS, "score", "label")}
        self.documents = {"coco.json": to_coco}
        self.features = {"boxes.geojson": ("boxes.csv", _boxes_of)}
        self.page_contents = DetectionContents(model)

    def begin(self, scale, files):
        """Begin an image; see `reports`."""
        patches = self._model._merged_patches(
            scale.size,
            self._score_threshold,
            large_objects=self._large_objects,
        )
        found = files.with_data(MovedObjects(patches, scale))
        return _Found(self._model, found)


class _Found:
    """The objects of one image."""

    def __init__(self, model, patches):
        self._model = model
        self.add, self.reduced = patches.add, patches.reduced
        self._merge = patches.finish

    def finish(self, picture):
        found, names = self._merge(), self._model.class_names
        shown = {**found, "boxes": found["boxes"] / picture.step}
        overlay = overlay_detections(picture.pixels, shown, names)
        strip = legend(box_legend(names), overlay.shape[1])
        counts = np.bincount(found["labels"], minlength=len(names)).tolist()
        columns = {"count": len(found["boxes"])} | {
            f"count_{name}": count
            for name, count in zip(names, counts, strict=True)
        }
        tables = {"boxes.csv": _rows(found, names)}
        return stacked(overlay, strip), columns, tables


def _rows(found, class_names):
    """Give corners in pixels, score and class of each box."""
    return [
        {
            **{
                corner: round(pixels, 2)
                for corner, pixels in zip(_CORNERS, box, strict=True)
            },
            "score": round(score, 4),
            "label": class_names[label],
        }
        for box, score, label in zip(
            *(found[name].tolist() for name in ("boxes", "scores", "labels")),
            strict=True,
        )
    ]


def _boxes_of(rows):
    return {"boxes": [[row[corner] for corner in _CORNERS] for row in rows]}


def to_coco(model, images, tables):
    """Give all boxes in the format of COCO, https://cocodataset.org.

    Identities count from 1. An annotation is a result too: it has a score.

    Args:
        model: An `ObjectDetectionModel`.
        images: Rows of `results.csv`.
        tables: Dict from "boxes.csv" to its rows, of all images.

    Returns:
        Dict of "images", "categories" and "annotations", whose "bbox" are x,
        y, width and height in pixels.
    """
    image_ids = {row["image"]: index for index, row in enumerate(images, 1)}
    category_ids = {
        name: index for index, name in enumerate(model.class_names, 1)
    }
    return {
        "images": [
            {
                "id": image_ids[row["image"]],
                "file_name": row["image"],
                "height": row["height"],
                "width": row["width"],
            }
            for row in images
        ],
        "categories": [
            {"id": index, "name": name} for name, index in category_ids.items()
        ],
        "annotations": [
            {
                "id": index,
                "image_id": image_ids[row["image"]],
                "category_id": category_ids[row["label"]],
                **_coco_box(*(row[corner] for corner in _CORNERS)),
                "iscrowd": 0,
                "score": row["score"],
            }
            for index, row in enumerate(tables["boxes.csv"], 1)
        ],
    }


def _coco_box(x1, y1, x2, y2):
    width, height = round(x2 - x1, 2), round(y2 - y1, 2)
    return {"bbox": [x1, y1, width, height], "area": round(width * height, 2)}
