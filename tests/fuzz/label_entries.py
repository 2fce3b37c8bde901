"""Entry points of labels: points, boxes, shapes, classes."""

import json

import numpy as np
from entry import Entry, Target
from label_seeds import (
    AXES,
    BOX_TABLES,
    BOXES_JSON,
    CLASS_TABLES,
    COCO,
    COCO_PACKED,
    COCO_POINTS,
    GEOJSON,
    IMAGE_TABLES,
    LABELME,
    LABELME_MASK,
    LABELME_POINTS,
    MAP_POINTS,
    MAP_SHAPES,
    NNUNET,
    POINT_TABLES,
    VIA,
    VIA_POINTS,
    VIA_PROJECT,
    VOC,
    YAML,
    YOLO,
)
from maps import write_map
from text_mutations import change_json, change_lines, change_table, change_xml

from keras_patching._faults import raise_faults
from keras_patching.data.images.image_io import read_headers, write_image
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.boxes import read_box_file
from keras_patching.data.labels.class_table_files import read_class_table
from keras_patching.data.labels.drawing import draw_shapes
from keras_patching.data.labels.mask_shape_places import shape_faults
from keras_patching.data.labels.mask_shapes import read_mask_shapes
from keras_patching.data.labels.nnunet import read_nnunet_classes
from keras_patching.data.labels.points import read_point_labels

SIZE = 40, 60


def _images(folder):
    """Write two images and give their folder."""
    images = folder / "images"
    images.mkdir()
    for name in ("a.png", "b.png"):
        write_image(images / name, np.zeros((*SIZE, 3), "uint8"))
    return images


def _encoded(texts):
    return [
        text.encode() if isinstance(text, str) else json.dumps(text).encode()
        for text in texts
    ]


def _points(name, seeds, in_folder=False):
    def prepare(folder):
        images = _images(folder)
        path = folder / name
        if in_folder:
            (folder / "labels").mkdir()
            path = folder / "labels" / name
        label_file = path.parent if in_folder else path
        return Target(
            path,
            _encoded(seeds),
            lambda: read_point_labels(images, label_file, "skip"),
        )

    return prepare


def _boxes(name, seeds, in_folder=False, beside=()):
    def prepare(folder):
        images = list_images(_images(folder))
        path = folder / name
        if in_folder:
            (folder / "labels").mkdir()
            path = folder / "labels" / name
        for other, text in beside:
            (folder / other).write_text(text)
        label_file = path.parent if in_folder else path
        return Target(
            path,
            _encoded(seeds),
            lambda: read_box_file(label_file, images, unlabelled="skip"),
        )

    return prepare


def _yolo_names(name, seeds):
    def prepare(folder):
        images = list_images(_images(folder))
        (folder / "labels").mkdir()
        (folder / "labels" / "a.txt").write_text("1 0.5 0.25 0.5 0.5\n")
        label_file = folder / ("labels" if name == "classes.txt" else name)
        return Target(
            folder / name,
            _encoded(seeds),
            lambda: read_box_file(label_file, images, unlabelled="skip"),
        )

    return prepare


def _shapes(name, seeds, in_folder=False):
    """Masks that are drawn, in the size of the image."""

    def prepare(folder):
        images = _images(folder)
        path = folder / name
        if in_folder:
            (folder / "labels").mkdir()
            path = folder / "labels" / name
        label_file = path.parent if in_folder else path
        names = ["background", "leaf", "seedling", "weed"]

        def read():
            found = read_mask_shapes(
                images,
                label_file,
                None,
                255,
                names,
                None,
                None,
                unlabelled="skip",
            )
            headers, _ = read_headers(found.images)
            faults = shape_faults(found.images, headers)
            raise_faults(faults, "Shapes that cannot be used", "")
            for shapes in found.drawn.values():
                draw_shapes(shapes, SIZE, "uint8")

        return Target(path, _encoded(seeds), read)

    return prepare


def _maps(read_of, seeds):
    def prepare(folder):
        (folder / "images").mkdir()
        for name in ("a.tif", "b.tif"):
            write_map(folder / "images" / name, np.zeros((*SIZE, 3), "uint8"))
        path = folder / "labels.geojson"
        return Target(path, _encoded(seeds), read_of(folder / "images", path))

    return prepare


def _read_map_boxes(images, path):
    found = list_images(images)
    return lambda: read_box_file(path, found, unlabelled="skip")


def _read_map_points(images, path):
    return lambda: read_point_labels(images, path, "skip")


def _class_table(name, seeds):
    def prepare(folder):
        path = folder / name
        return Target(path, _encoded(seeds), lambda: read_class_table(path))

    return prepare


def _nnunet(folder):
    (folder / "labelsTr").mkdir()
    path = folder / "dataset.json"
    return Target(
        path,
        _encoded(NNUNET),
        lambda: read_nnunet_classes(folder / "labelsTr", 2),
    )


_JSON_OF_ALL = [COCO_POINTS, VIA_POINTS]
ENTRIES = (
    Entry("points: table", _points("p.csv", POINT_TABLES), change_table),
    Entry(
        "points: table an image",
        _points("a.csv", IMAGE_TABLES, in_folder=True),
        change_table,
    ),
    Entry("points: COCO, VIA", _points("p.json", _JSON_OF_ALL), change_json),
    Entry(
        "points: JSON an image",
        _points("a.json", [AXES, LABELME_POINTS, GEOJSON], in_folder=True),
        change_json,
    ),
    Entry(
        "points: GeoJSON an image",
        _points("a.geojson", [GEOJSON], in_folder=True),
        change_json,
    ),
    Entry("points: maps", _maps(_read_map_points, MAP_POINTS), change_json),
    Entry("boxes: table", _boxes("b.csv", BOX_TABLES), change_table),
    Entry("boxes: own JSON", _boxes("b.json", BOXES_JSON), change_json),
    Entry("boxes: COCO", _boxes("b.json", [COCO]), change_json),
    Entry("boxes: VIA", _boxes("b.json", [VIA, VIA_PROJECT]), change_json),
    Entry(
        "boxes: LabelMe",
        _boxes("a.json", [LABELME], in_folder=True),
        change_json,
    ),
    Entry(
        "boxes: Pascal VOC", _boxes("a.xml", VOC, in_folder=True), change_xml
    ),
    Entry(
        "boxes: YOLO rows",
        _boxes("a.txt", YOLO, in_folder=True, beside=[("data.yaml", YAML[0])]),
        change_lines,
    ),
    Entry(
        "boxes: YOLO data.yaml", _yolo_names("data.yaml", YAML), change_lines
    ),
    Entry(
        "boxes: YOLO classes.txt",
        _yolo_names("classes.txt", ["weed\nsugar beet\n"]),
        change_lines,
    ),
    Entry("boxes: maps", _maps(_read_map_boxes, MAP_SHAPES), change_json),
    Entry("shapes: COCO", _shapes("s.json", [COCO, COCO_PACKED]), change_json),
    Entry("shapes: VIA", _shapes("s.json", [VIA, VIA_PROJECT]), change_json),
    Entry(
        "shapes: LabelMe",
        _shapes("a.json", [LABELME, LABELME_MASK], in_folder=True),
        change_json,
    ),
    *(
        Entry(f"classes: {name}", _class_table(name, seeds), change_table)
        for name, seeds in CLASS_TABLES.items()
    ),
    Entry("classes: nnU-Net", _nnunet, change_json),
)
