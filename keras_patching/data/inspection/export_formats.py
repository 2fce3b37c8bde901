"""Formats in which patches and their labels are exported, each a function."""

import csv
import json

from keras_patching.data.images.image_io import write_image


def write_pixels(path, array, palette=None):
    """Write an array `(height, width[, channels])` as PNG, else as TIFF.

    Args:
        path: `pathlib.Path` without a suffix; its dots are part of the name.
        array: The array.
        palette: As for `write_image`.

    Returns:
        `pathlib.Path` of the file.
    """
    png, tiff = (path.with_name(path.name + end) for end in (".png", ".tif"))
    try:
        write_image(png, array, palette)
    except ValueError:  # PNG cannot hold it exactly
        write_image(tiff, array)
        return tiff
    return png


def write_points_json(path, points):
    """Write the points of a patch, as the JSON loader reads them.

    Args:
        path: `pathlib.Path` of the file.
        points: float32 `(m, 2)` of `(y, x)` in pixels.
    """
    pairs = _decimals(points)
    axes = {
        axis: {f"p{index}": pair[k] for index, pair in enumerate(pairs, 1)}
        for axis, k in (("x", 1), ("y", 0))
    }
    path.write_text(json.dumps(axes))


def write_points_csv(path, patches):
    """Write the points of all patches in a file, as the CSV loader reads them.

    Args:
        path: `pathlib.Path` of the file.
        patches: Iterable of pairs: name of the patch, and its points as in
            `write_points_json`.
    """
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for name, points in patches:
            numbers = [
                number for y, x in _decimals(points) for number in (x, y)
            ]
            writer.writerow([name, *numbers])


def write_classes_csv(path, values, names=None, colors=None):
    """Write the classes of masks, as the loader of masks reads them.

    Args:
        path: `pathlib.Path` of the file.
        values: Value of each class in the masks.
        names: As many names, or `None`.
        colors: As many RGB tuples, or `None`.
    """
    columns = {"id": values}
    if names is not None:
        columns["name"] = names
    if colors is not None:
        columns |= dict(zip("rgb", zip(*colors, strict=True), strict=True))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_boxes_yolo(path, boxes, labels, patch_size):
    """Write the boxes of a patch as YOLO tools read them.

    A row per object: class, x and y of the center, width and height, all but
    the class as fractions of the patch.

    Args:
        path: `pathlib.Path` of the file.
        boxes: float32 `(m, 4)`, xyxy in pixels.
        labels: Integers `(m,)`.
        patch_size: `(height, width)` in pixels.
    """
    height, width = patch_size
    rows = []
    for label, (x1, y1, x2, y2) in zip(labels, boxes.tolist(), strict=True):
        fractions = (
            (x1 + x2) / 2 / width,
            (y1 + y2) / 2 / height,
            (x2 - x1) / width,
            (y2 - y1) / height,
        )
        numbers = " ".join(f"{fraction:.6f}" for fraction in fractions)
        rows.append(f"{label} {numbers}\n")
    path.write_text("".join(rows))


def write_boxes_json(path, patches, names, patch_size):
    """Write the boxes of all patches in a file, as the YOLO loader reads them.

    Args:
        path: `pathlib.Path` of the file.
        patches: Iterable of triples: file name of the patch, its boxes as in
            `write_boxes_yolo`, and their labels.
        names: Names of the classes.
        patch_size: `(height, width)` in pixels.
    """
    height, width = patch_size
    entries = {
        file_name: {
            "width": width,
            "height": height,
            "file_name": file_name,
            "objects": [
                {
                    "all_points_x": [x1, x2],
                    "all_points_y": [y1, y2],
                    "label": names[label],
                }
                for (x1, y1, x2, y2), label in zip(
                    _decimals(boxes), labels, strict=True
                )
            ],
        }
        for file_name, boxes, labels in patches
    }
    content = json.dumps(entries, ensure_ascii=False)
    path.write_text(content, encoding="utf-8")


def write_boxes_coco(path, patches, names, patch_size):
    """Write the boxes of all patches in the form of COCO.

    Args:
        path, patches, names, patch_size: As for `write_boxes_json`.
    """
    height, width = patch_size
    images, annotations = [], []
    for file_name, boxes, labels in patches:
        image = {"id": len(images) + 1, "file_name": file_name}
        images.append(image | {"height": height, "width": width})
        for (x1, y1, x2, y2), label in zip(
            _decimals(boxes), labels, strict=True
        ):
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": int(label) + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    categories = [
        {"id": index, "name": name} for index, name in enumerate(names, 1)
    ]
    content = {
        "images": images,
        "categories": categories,
        "annotations": annotations,
    }
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _decimals(rows):
    """Give rows of float32 as the shortest decimals that are equal."""
    return [[float(str(number)) for number in row] for row in rows]
