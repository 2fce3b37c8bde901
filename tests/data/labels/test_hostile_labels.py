"""Labels that nobody writes by mistake are refused as others, by name."""

import base64
import contextlib
import json
import time

import numpy as np
import pytest
from image_files import png
from maps import write_map

from keras_patching.data.images.image_io import write_image
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.boxes import read_box_file
from keras_patching.data.labels.class_table_files import read_class_table
from keras_patching.data.labels.mask_shapes import read_mask_shapes
from keras_patching.data.labels.points import read_point_labels

SIZE = 40, 60


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    write_image(tmp_path / "images" / "a.png", np.zeros(SIZE, "uint8"))
    return tmp_path


def read_boxes(folder, name="labels"):
    return read_box_file(folder / name, list_images(folder / "images"))


def read_shapes(folder, name="labels"):
    names = ["background", "leaf"]
    given = None, 255, names, None, None
    return read_mask_shapes(
        folder / "images", folder / name, *given, unlabelled="skip"
    )


def labelme(kind, points, **fields):
    shape = {"label": "leaf", "shape_type": kind, "points": points, **fields}
    return {"shapes": [shape], "imagePath": "a.png", "imageData": None}


@pytest.mark.parametrize("read", [read_boxes, read_shapes])
@pytest.mark.parametrize("text", ['{"shapes": [', '{"shape": []}'])
def test_the_one_file_of_labelme_that_cannot_be_read_is_named(
    folder, read, text
):
    (folder / "labels" / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"labels/a\.json: is n"):
        read(folder)


@pytest.mark.parametrize("read", [read_boxes, read_shapes])
def test_a_shape_that_reaches_beyond_all_numbers_is_a_fault(folder, read):
    content = labelme("circle", [[1e308, 1e308], [-1e308, 0]])
    (folder / "labels" / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"a\.json, .*reaches to where no im"):
        read(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"no picture",
        # What Pillow takes for a bomb, and what it cannot parse.
        png(60_000, 60_000, 8, 0, b""),
        png(4, 4, 8, 0, b"\0")[:-20],
    ],
)
def test_a_mask_of_labelme_that_is_no_whole_png_is_a_fault(folder, content):
    mask = base64.b64encode(content).decode()
    content = labelme("mask", [[3, 4], [6, 7]], mask=mask)
    (folder / "labels" / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"a\.json, .*cannot be decoded"):
        read_shapes(folder)


def test_run_lengths_of_another_size_are_not_decoded(folder):
    """They may be of a size that fills the memory."""
    size = [1_000_000, 1_000_000]
    rle = {"size": size, "counts": [10**12]}
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "leaf"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": rle}
        ],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"coco\.json, .*declares the size"):
        read_shapes(folder, "coco.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"crs": {"properties": {"name": "a:b:c"}}},
            "is not known to rasterio",
        ),
        ({"type": ["Point"]}, r"is a \['Point'\], expected points"),
        ({"coordinates": [1e308, -1e308]}, "none of its 1 shapes lies in"),
    ],
)
def test_geojson_of_maps_that_nobody_writes_names_its_file(
    folder, change, words
):
    (folder / "maps").mkdir()
    write_map(folder / "maps" / "a.tif", np.zeros((*SIZE, 3), "uint8"))
    point = {"type": "Point", "coordinates": [500_010, 5_499_990]}
    name = {"name": "EPSG:25832"}
    crs = {"type": "name", "properties": name, **change.pop("crs", {})}
    feature = {"type": "Feature", "geometry": {**point, **change}}
    content = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
    path = folder / "trees.geojson"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"trees\.geojson.*{words}"):
        read_point_labels(folder / "maps", path, "skip")


def test_a_number_of_a_class_that_is_too_long_names_the_file(folder):
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    names = f"names:\n  {'9' * 5000}: weed\n"
    (folder / "data.yaml").write_text(names)
    with pytest.raises(ValueError, match=r"data\.yaml, line 1: found '999"):
        read_boxes(folder, "data.yaml")


@pytest.mark.parametrize("spaces", [" " * 200_000, " #" * 100_000 + "'"])
def test_names_of_classes_are_read_in_one_pass(folder, spaces):
    """Not in the square of their length, which would take a minute."""
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (folder / "data.yaml").write_text(f"names: [weed{spaces}, leaf]\n")
    started = time.process_time()
    with contextlib.suppress(ValueError):
        read_boxes(folder, "data.yaml")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # Numbers that could be split in many ways, and then are none.
        ("boxes.json", "0 " + f"{'1' * 60} " * 8 + "x\n"),
        ("label_colors.txt", f"64 128 64 A{' ' * 200_000}A\n"),
    ],
)
def test_text_of_a_long_line_is_told_in_no_time(folder, name, text):
    (folder / name).write_text(text)
    started = time.process_time()
    if name == "boxes.json":
        with pytest.raises(ValueError, match=name):
            read_boxes(folder, name)
    else:
        assert len(read_class_table(folder / name).names[0]) > 200_000
    assert time.process_time() - started < 5


def test_a_table_of_classes_that_is_no_csv_names_its_line(folder):
    path = folder / "classes.csv"
    path.write_text("name,id\nleaf,0\n" + "a" * 200_000 + ",1\n")
    with pytest.raises(ValueError, match=r"classes\.csv, line 3: cannot be re"):
        read_class_table(path)
