"""What is written of the prediction of a detection model."""

import numpy as np

from keras_patching.visualization import (
    box_legend,
    legend,
    overlay_detections,
    stacked,
)

OPTIONS = ("score_threshold",)
OUTPUTS = {"overlays": ".png"}
_CORNERS = ("x1", "y1", "x2", "y2")
TABLES = {"boxes.csv": ("image", *_CORNERS, "score", "label")}


def predict(model, image, score_threshold=0.3):
    """Predict one image.

    Args:
        model: An `ObjectDetectionModel`.
        image: Array `(height, width, channels)`.
        score_threshold: Lowest score of a box, 0 to 1.

    Returns:
        Dict of the objects of the image, as of `model.merge_predictions`.
    """
    raw = model.predict(image[None], verbose=0)
    (found,) = model.merge_predictions(raw, image.shape[:2], score_threshold)
    return found


def describe(model, image, found):
    """Give what is written of a prediction.

    Args:
        model: An `ObjectDetectionModel`.
        image: Array `(height, width, channels)`.
        found: What `predict` returned.

    Returns:
        Dict from each key of `OUTPUTS` to what `write_image` takes: a uint8
        picture `(height, width, 3)` with boxes and scores, and below it the
        colours of the classes; a dict from column to number: the
        objects, in all and per class; and a dict from each key of `TABLES` to
        rows: corners in pixels, score and class of each box.

    Raises:
        ValueError: If the model has no name for a class that was found.
    """
    _check_classes(found["labels"], model.class_names)
    overlay = overlay_detections(image, found, model.class_names)
    strip = legend(box_legend(model.class_names), overlay.shape[1])
    counts = np.bincount(
        found["labels"], minlength=len(model.class_names)
    ).tolist()
    columns = {"count": len(found["boxes"])} | {
        f"count_{name}": count
        for name, count in zip(model.class_names, counts, strict=True)
    }
    rows = [
        {
            **{
                corner: round(pixels, 2)
                for corner, pixels in zip(_CORNERS, box, strict=True)
            },
            "score": round(score, 4),
            "label": model.class_names[label],
        }
        for box, score, label in zip(
            *(found[name].tolist() for name in ("boxes", "scores", "labels")),
            strict=True,
        )
    ]
    return (
        {"overlays": (stacked(overlay, strip),)},
        columns,
        {"boxes.csv": rows},
    )


def _check_classes(found, class_names):
    unknown = sorted(set(found.tolist()) - set(range(len(class_names))))
    if unknown:
        raise ValueError(
            f"found objects of the classes {unknown}, and the model has names "
            f"of 0 to {len(class_names) - 1}: {', '.join(class_names)}. Make "
            "the model with `class_names=` of all classes that its decoder "
            "gives."
        )


def to_coco(model, images, tables):
    """Give all boxes in the format of COCO, https://cocodataset.org.

    Identities count from 1. An annotation is a result too: it has a score.

    Args:
        model: An `ObjectDetectionModel`.
        images: Rows of `results.csv`.
        tables: Dict from each key of `TABLES` to its rows, of all images.

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


DOCUMENTS = {"coco.json": to_coco}
