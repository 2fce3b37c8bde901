"""Shapes of LabelMe, VIA and COCO are read as these tools write them."""

import base64
import io
import json
import math

import numpy as np
import PIL.Image
import pytest
from pycocotools import mask as coco_mask

from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.annotations import read_annotations
from keras_patching.data.labels.shapes import extent, outline


@pytest.fixture
def folder(tmp_path):
    """A folder of the images a.png and b.png, which nobody decodes."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder, content, **options):
    """Read a JSON file of this content, or the folder's own files."""
    path = folder
    if content is not None:
        path = folder / "labels.json"
        path.write_text(json.dumps(content))
    return read_annotations(path, list_images(folder), **options)


def shapes_of(found, name="a.png"):
    return {image.name: each for image, each in found.images.items()}[
        name
    ].shapes


def faults_of(folder, content, **options):
    with pytest.raises(ValueError, match="Annotations that cannot") as error:
        read(folder, content, **options)
    return str(error.value)


# LabelMe


def labelme(*shapes, **more):
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 70,
        "imageWidth": 90,
        **more,
    }


def drawn(shape_type, points, label="leaf", group=None, **more):
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": shape_type,
        "flags": {},
        "mask": None,
        **more,
    }


def write_labelme(folder, *shapes, name="a", **more):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(labelme(*shapes, **more)))


def read_labelme(folder, *shapes):
    write_labelme(folder, *shapes)
    return shapes_of(read(folder, None, unlabelled="skip"))


def test_labelme_has_a_file_for_each_image(folder):
    write_labelme(folder, drawn("rectangle", [[5, 2], [1.5, 9]]))
    write_labelme(
        folder, drawn("point", [[3, 4]], "bud"), name="b", imagePath="b.png"
    )
    found = read(folder, None)
    assert found.class_names == ("bud", "leaf")
    (box,), (point,) = shapes_of(found), shapes_of(found, "b.png")
    assert (box.kind, box.label, box.place) == ("box", "leaf", '["shapes"][0]')
    assert box.points.tolist() == [[2, 1.5], [9, 5]]
    assert box.points.dtype == "float64"
    assert (point.kind, point.points.tolist()) == ("point", [[4, 3]])
    annotated = found.images[folder / "a.png"]
    assert annotated.label_file == folder / "a.json"
    assert annotated.declared_size == (70, 90)


@pytest.mark.parametrize(
    ("shape_type", "points", "kind", "expected"),
    [
        ("polygon", [[1, 2], [3, 4], [5, 0]], "polygon", "[2 1] [4 3] [0 5]"),
        ("line", [[1, 2], [3, 4]], "line", "[2 1] [4 3]"),
        ("linestrip", [[1, 2], [3, 4], [0, 0]], "line", "[2 1] [4 3] [0 0]"),
        ("circle", [[10, 20], [13, 24]], "ellipse", "[20 10] [20 15] [25 10]"),
        (
            "oriented_rectangle",
            [[2, 0], [4, 2], [2, 4], [0, 2]],
            "polygon",
            "[0 2] [2 4] [4 2] [2 0]",
        ),
    ],
)
def test_labelme_has_shapes_of_many_types(
    folder, shape_type, points, kind, expected
):
    (shape,) = read_labelme(folder, drawn(shape_type, points))
    assert shape.kind == kind
    assert " ".join(f"[{y:g} {x:g}]" for y, x in shape.points) == expected


def test_labelme_groups_pieces_of_one_object(folder):
    triangle = [[0, 0], [1, 0], [0, 1]]
    shapes = read_labelme(
        folder,
        *[drawn("polygon", triangle, group=group) for group in (3, 3, 4, None)],
        drawn("polygon", triangle, "bud", group=3),
        drawn("polygon", triangle),
    )
    assert shapes[0].instance == shapes[1].instance
    assert len({shape.instance for shape in shapes}) == 5


def test_a_mask_of_labelme_ends_with_its_last_pixel(folder):
    pixels = np.array([[1, 0, 1], [0, 1, 1]], bool)
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels.astype("uint8")).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    (mask,) = read_labelme(folder, drawn("mask", [[7, 3], [9, 4]], mask=text))
    assert mask.points.tolist() == [[3, 7], [5, 10]]
    np.testing.assert_array_equal(mask.pixels(), pixels)
    write_labelme(folder, drawn("mask", [[7, 3], [8, 4]], mask=text))
    assert "is (2, 3), expected (2, 2) as its points say" in faults_of(
        folder, None, unlabelled="skip"
    )


def test_files_of_labelme_are_called_as_the_image_or_name_it(folder):
    write_labelme(folder, imagePath=r"..\old\photo.png")
    write_labelme(folder, name="other", imagePath="../images/b.png")
    assert len(read(folder, None).images) == 2
    write_labelme(folder, imagePath="b.png")
    assert "may be of a.png, as the file is called, or of b.png" in faults_of(
        folder, None
    )


def test_a_stray_json_among_those_of_labelme_is_left_out_in_words(folder):
    write_labelme(folder)
    (folder / "notes.json").write_text("{}")
    with pytest.warns(UserWarning, match=r"left out 'notes\.json', which"):
        read(folder, None, unlabelled="skip")
    (folder / "notes.json").rename(folder / "b.json")
    assert "b.json: is no file of LabelMe, as others" in faults_of(folder, None)


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ({"label": 5}, '["label"]: found 5.0, expected a name'),
        ({"shape_type": "blob"}, "type\"]: found 'blob', expected one of 'po"),
        ({"shape_type": ["point"]}, "found ['point'], expected one of"),
        ({"points": [[1, 2]]}, "found 1 points, expected 3 or more of a polyg"),
        ({"points": [[1, 2], [1]]}, '["points"][1]: found [1.0], expected [x,'),
        ({"points": [[1, "2"]]}, "[\"points\"][0][1]: found '2', expected a"),
        ({"shape_type": "point"}, "found 3 points, expected 1 of a point"),
        ({"shape_type": "rectangle"}, "expected 2 or 4 of a rectangle"),
        (
            {"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "%"},
            '["mask"]: cannot be decoded',
        ),
    ],
)
def test_a_slip_in_a_file_of_labelme_names_its_place(folder, slip, words):
    shape = drawn("polygon", [[1, 2], [3, 4], [5, 0]]) | slip
    write_labelme(folder, shape)
    message = faults_of(folder, None, unlabelled="skip")
    assert f'{folder / "a.json"}, ["shapes"][0]' in message
    assert words in message


# VGG Image Annotator


def via(*regions, name="a.png"):
    return {
        "filename": name,
        "size": 1234,
        "regions": list(regions),
        "file_attributes": {},
    }


def region(name, attributes=None, **shape):
    return {
        "shape_attributes": {"name": name, **shape},
        "region_attributes": attributes or {},
    }


RECT = region("rect", {"label": "leaf"}, x=3, y=2, width=10, height=5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda images: images,
        lambda images: {
            "_via_settings": {},
            "_via_img_metadata": images,
            "_via_attributes": {"region": {}, "file": {}},
            "_via_data_format_version": "2.0.10",
            "_via_image_id_list": list(images),
        },
    ],
    ids=["export", "project"],
)
@pytest.mark.parametrize("version", [1, 2])
def test_via_has_one_file_for_all_images(folder, wrap, version):
    entry = via(RECT)
    if version == 1:
        entry |= {"regions": {"0": RECT}, "fileref": "", "base64_img_data": ""}
    images = {"a.png1234": entry, "b.png99": via(name="b.png")}
    found = read(folder, wrap(images))
    assert found.class_names == ("leaf",)
    assert shapes_of(found, "b.png") == []
    (box,) = shapes_of(found)
    assert (box.kind, box.label) == ("box", "leaf")
    assert box.points.tolist() == [[2, 3], [7, 13]]
    place = '["a.png1234"]["regions"]'
    assert box.place.endswith(place + ('["0"]' if version == 1 else "[0]"))


def read_region(folder, *args, **shape):
    content = {"a.png1": via(region(*args, **shape))}
    (found,) = shapes_of(read(folder, content, unlabelled="skip"))
    return found


def test_via_draws_polygons_lines_circles_and_points(folder):
    points = {"all_points_x": [1, 3, 5, 1], "all_points_y": [2, 4, 0, 2]}
    polygon = read_region(folder, "polygon", **points)
    assert (polygon.kind, len(polygon.points)) == ("polygon", 3)
    line = read_region(folder, "polyline", **points)
    assert (line.kind, len(line.points)) == ("line", 4)
    circle = read_region(folder, "circle", cx=8, cy=6, r=2.5)
    assert extent(circle).tolist() == [[3.5, 5.5], [8.5, 10.5]]
    point = read_region(folder, "point", cx=8, cy=6)
    assert (point.kind, point.points.tolist()) == ("point", [[6, 8]])


def test_an_ellipse_of_via_is_turned_by_radians(folder):
    turned = read_region(
        folder, "ellipse", cx=50, cy=40, rx=20, ry=10, theta=math.pi / 6
    )
    corners = outline(turned, 7200)
    np.testing.assert_allclose(
        extent(turned), [corners.min(axis=0), corners.max(axis=0)], atol=1e-4
    )
    # The long axis points right and down: y grows downwards.
    farthest = corners[np.hypot(*(corners - [40, 50]).T).argmax()]
    slope = (farthest[0] - 40) / (farthest[1] - 50)
    assert slope == pytest.approx(math.tan(math.pi / 6), rel=1e-3)


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        ({"plant": "beet"}, "beet"),
        ({"Class": "beet", "note": "wet"}, "beet"),
        ({"class": {"beet": True, "weed": False}}, "beet"),
        ({"class": "beet", "note": ""}, "beet"),
        ({"stage": "3", "note": "wet"}, None),
        ({"class": "beet", "type": "weed"}, None),
        ({}, None),
    ],
)
def test_the_label_of_via_is_the_attribute_that_can_be_one(
    folder, attributes, label
):
    shape = read_region(folder, "point", attributes, cx=1, cy=1)
    assert shape.label == label


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (region("blob"), "found 'blob', expected one of 'rect'"),
        (region(["rect"]), "found ['rect'], expected one of"),
        (region("rect", x=1, y=2, width=3), '["height"]: found None, expected'),
        (region("rect", x=1, y=2, width=-3, height=1), "found the width -3"),
        (region("circle", cx=1, cy=2, r="3"), "[\"r\"]: found '3', expected"),
        (
            region("polygon", all_points_x=[1, 2, 3], all_points_y=[1, 2]),
            "found 3 numbers in all_points_x and 2 in all_points_y",
        ),
        ({"region_attributes": {}}, '["shape_attributes"]: found None'),
    ],
)
def test_a_slip_in_a_file_of_via_names_its_place(folder, slip, words):
    content = {"a.png1": via(RECT, slip), "b.png1": via(name="b.png")}
    message = faults_of(folder, content)
    assert (
        'labels.json, ["a.png1"]["regions"][1]["shape_attributes"]' in message
    )
    assert words in message


# COCO


def coco(*annotations):
    return {
        "info": {},
        "licenses": [],
        "images": [
            {"id": 1, "file_name": "a.png", "width": 6, "height": 5},
            {"id": 2, "file_name": "b.png", "width": 6, "height": 5},
        ],
        "categories": [
            {"id": 7, "name": "weed", "supercategory": "plant"},
            {"id": 2, "name": "beet", "keypoints": ["tip", "base"]},
        ],
        "annotations": [
            {"id": index, "image_id": 1, "category_id": 2, "iscrowd": 0, **each}
            for index, each in enumerate(annotations)
        ],
    }


OBJECT = {
    "bbox": [1, 2, 3.5, 2],
    "area": 3,
    "segmentation": [[1, 2, 4.5, 2, 1, 4], [2, 2, 3, 2, 3, 3, 2, 2]],
    "keypoints": [1, 3, 2, 0, 0, 0],
    "num_keypoints": 1,
}


def test_an_annotation_of_coco_is_one_object_in_several_ways(folder):
    found = read(folder, coco(OBJECT))
    assert found.class_names == ("beet", "weed")
    shapes = shapes_of(found)
    assert [(shape.kind, shape.points.tolist()) for shape in shapes] == [
        ("box", [[2, 1], [4, 4.5]]),
        ("polygon", [[2, 1], [2, 4.5], [4, 1]]),
        ("polygon", [[2, 2], [2, 3], [3, 3]]),
        ("point", [[3, 1]]),
    ]
    assert shapes[3].part == "tip"
    assert {shape.place for shape in shapes} == {'["annotations"][0]'}
    assert len({shape.instance for shape in shapes}) == 1
    assert shapes_of(found, "b.png") == []


def test_what_is_not_wanted_of_coco_is_not_looked_at(folder):
    content = coco(OBJECT | {"segmentation": [[1, 2]]})
    shapes = shapes_of(read(folder, content, kinds=("box", "point")))
    assert [shape.kind for shape in shapes] == ["box", "point"]
    message = faults_of(folder, content)
    assert '["annotations"][0]["segmentation"][0]: found [1.0, 2.0]' in message
    message = faults_of(folder, coco({"bbox": []}), kinds=("box",))
    assert '["annotations"][0]["bbox"]: found [], expected where' in message
    message = faults_of(folder, coco({}))
    assert "found None, and no segmentation or keypoints, expected" in message


def test_masks_of_coco_are_those_of_pycocotools(folder):
    pixels = np.random.default_rng(0).random((5, 6)) > 0.6
    packed = coco_mask.encode(np.asfortranarray(pixels, "uint8"))
    edges = np.flatnonzero(np.diff(pixels.ravel("F"), prepend=False))
    counts = np.diff([0, *edges, pixels.size]).tolist()
    content = coco(
        {"segmentation": {"size": [5, 6], "counts": counts}, "iscrowd": 1},
        {"segmentation": {"size": [5, 6], "counts": packed["counts"].decode()}},
    )
    shapes = shapes_of(read(folder, content))
    assert [shape.crowd for shape in shapes] == [True, False]
    for shape in shapes:
        assert shape.points.tolist() == [[0, 0], [5, 6]]
        np.testing.assert_array_equal(shape.pixels(), pixels)
    content = coco({"segmentation": {"size": [5, 6], "counts": [1, 2]}})
    assert "expected run lengths that add up to 5 x 6" in faults_of(
        folder, content
    )


def test_keypoints_come_in_threes(folder):
    message = faults_of(folder, coco({"keypoints": [1, 2]}))
    assert '["keypoints"]: found [1.0, 2.0], expected the numbers' in message


# All of them


def test_images_that_are_not_named_are_an_error_with_all_ways_out(folder):
    write_labelme(folder)
    message = faults_of(folder, None)
    assert "has no JSON file for 1 of 2 images: 'b.png'" in message
    assert "save each without shapes in LabelMe" in message
    assert len(read(folder, None, unlabelled="skip").images) == 1
    assert shapes_of(read(folder, None, unlabelled="empty"), "b.png") == []


def test_unknown_images_and_images_named_twice_are_faults(folder):
    content = {"1": via(name="b.jpg"), "2": via(), "3": via()}
    message = faults_of(folder, content)
    assert "There is b.png: correct the suffix" in message
    assert '["3"]: found a.png again, after ["2"], expected one' in message


def test_other_json_is_left_to_others(folder):
    assert read(folder, {"a": {"objects": []}}) is None
    (folder / "labels.json").unlink()
    assert read(folder, None) is None
