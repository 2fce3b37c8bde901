"""Points of LabelMe, the VGG Image Annotator and COCO, in their layouts."""

import copy
import json

import numpy as np
import pytest

from keras_patching.data.images.headers import ImageHeader
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.point_labels import check_points_inside
from keras_patching.data.labels.points_files import read_points_files
from keras_patching.data.labels.points_json import read_points_json


def labelme_point(label, x, y):
    return {
        "label": label,
        "points": [[x, y]],
        "group_id": None,
        "description": "",
        "shape_type": "point",
        "flags": {},
        "mask": None,
    }


LABELME = {
    "version": "5.5.0",
    "flags": {},
    "shapes": [
        labelme_point("seedling", 12.5, 4.0),
        labelme_point("weed", 7.25, 30.75),
        labelme_point("seedling", 1.0, 2.0),
    ],
    "imagePath": "a.png",
    "imageData": None,
    "imageHeight": 40,
    "imageWidth": 20,
}


def via_point(x, y, **attributes):
    shape = {"name": "point", "cx": x, "cy": y}
    return {"shape_attributes": shape, "region_attributes": attributes}


VIA = {
    "a.png1204": {
        "filename": "a.png",
        "size": 1204,
        "regions": [
            via_point(12.5, 4, type="seedling"),
            via_point(7.25, 30.75, type="weed"),
            via_point(1, 2, type="seedling"),
        ],
        "file_attributes": {},
    },
    "b.png977": {
        "filename": "b.png",
        "size": 977,
        "regions": [],
        "file_attributes": {},
    },
}
VIA_PROJECT = {
    "_via_settings": {"ui": {}, "core": {"buffer_size": 18}},
    "_via_img_metadata": VIA,
    "_via_attributes": {"region": {"type": {"type": "text"}}, "file": {}},
    "_via_data_format_version": "2.0.10",
    "_via_image_id_list": list(VIA),
}


def coco_object(index, category, keypoints):
    return {
        "id": index,
        "image_id": 1,
        "category_id": category,
        "keypoints": keypoints,
        "num_keypoints": len(keypoints) // 3,
        "bbox": [0, 0, 1, 1],
        "area": 1,
        "iscrowd": 0,
    }


COCO = {
    "images": [
        {"id": 1, "file_name": "a.png", "height": 40, "width": 20},
        {"id": 2, "file_name": "b.png", "height": 40, "width": 20},
    ],
    "categories": [
        {"id": 1, "name": "seedling", "keypoints": ["stem"], "skeleton": []},
        {"id": 2, "name": "weed", "keypoints": ["stem"], "skeleton": []},
    ],
    "annotations": [
        coco_object(1, 1, [12.5, 4, 2]),
        coco_object(2, 2, [7.25, 30.75, 1]),
        coco_object(3, 1, [1, 2, 2]),
    ],
}
POINTS = [[2, 1], [4, 12.5], [30.75, 7.25]]
CLASSES = ("seedling", "seedling", "weed")


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder, content, classes=None, unlabelled="error"):
    """Read one file of all images."""
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return read_points_json(path, list_images(folder), unlabelled, classes)


def read_beside(folder, content, classes=None):
    """Read the file of one image; of others there is none."""
    (folder / "a.json").write_text(json.dumps(content))
    labels, _ = read_points_files(list_images(folder), "skip", classes=classes)
    return labels


def error_of(folder, content, *args, read=read):
    with pytest.raises(ValueError, match="cannot be used") as error:
        read(folder, content, *args)
    return str(error.value)


def check(labels, images):
    assert {path.name for path in labels} == images
    found = {path.name: each for path, each in labels.items()}
    assert found["a.png"].points.tolist() == POINTS
    assert found["a.png"].classes == CLASSES
    assert all(len(found[name].points) == 0 for name in images - {"a.png"})


@pytest.mark.parametrize("content", [VIA, VIA_PROJECT, COCO])
def test_one_file_of_all_images_is_read(folder, content):
    check(read(folder, content), {"a.png", "b.png"})


def test_files_of_labelme_beside_the_images_are_read(folder):
    labels = read_beside(folder, LABELME)
    check(labels, {"a.png"})
    (label,) = labels.values()
    assert label.declared_size == (40, 20)
    assert label.places[0] == '["shapes"][2]'


def test_one_file_of_labelme_may_stand_for_a_folder_of_one_image(folder):
    check(read(folder, LABELME, None, "empty"), {"a.png", "b.png"})


def test_a_file_of_via_of_one_image_may_lie_beside_it(folder):
    check(read_beside(folder, {"a.png1": VIA["a.png1204"]}), {"a.png"})


@pytest.mark.parametrize("content", [VIA, COCO])
def test_a_file_of_several_images_beside_one_says_where_it_goes(
    folder, content
):
    message = error_of(folder, content, read=read_beside)
    assert "a.json: names 2 images, expected a.png alone" in message
    assert "is the `label_file` of `load_heatmap_dataset_with_csv" in message
    (folder / "a.json").rename(folder / "all.json")
    message = error_of(folder, LABELME, read=read_beside)
    assert (
        "all.json: has no image beside it. A file of all images is the"
        in message
    )


def test_a_file_of_labelme_that_names_another_image_is_an_error(folder):
    content = {**LABELME, "imagePath": "..\\images\\b.png"}
    message = error_of(folder, content, read=read_beside)
    assert "a.json: is of b.png, as it says, and called as a.png" in message


@pytest.mark.parametrize(
    ("shape_type", "points", "kind"),
    [
        ("rectangle", [[1, 1], [5, 6]], "box"),
        ("polygon", [[1, 1], [5, 6], [1, 6]], "polygon"),
    ],
)
def test_shapes_that_are_no_points_are_an_error(
    folder, shape_type, points, kind
):
    content = copy.deepcopy(LABELME)
    shape = {"label": "tray", "points": points, "shape_type": shape_type}
    content["shapes"] += [shape, shape]
    message = error_of(folder, content, read=read_beside)
    assert f'["shapes"][3]: found a {kind}, as in 1 more, expected' in message
    labels = read_beside(folder, content, ["seedling", "weed"])
    check(labels, {"a.png"})


def test_points_of_one_group_may_be_one_object(folder):
    content = copy.deepcopy(LABELME)
    for index in (0, 1):
        content["shapes"][index]["group_id"] = 1
    check(read_beside(folder, content), {"a.png"})
    content["shapes"][2]["group_id"] = 1
    message = error_of(folder, content, read=read_beside)
    assert '["shapes"][0]: found 2 points of one label and group_id' in message
    assert len(read_beside(folder, content, ["weed"])) == 1


def test_boxes_of_coco_are_no_points(folder):
    content = copy.deepcopy(COCO)
    for item in content["annotations"]:
        del item["keypoints"]
    message = error_of(folder, content)
    assert '["annotations"][0]["keypoints"]: found None, expected' in message


SKELETON = copy.deepcopy(COCO)
SKELETON["categories"] = [
    {"id": 1, "name": "plant", "keypoints": ["stem", "tip"]}
]
SKELETON["annotations"] = [
    coco_object(1, 1, [1, 2, 2, 12.5, 4, 2]),
    coco_object(2, 1, [3, 5, 2, 7.25, 30.75, 1]),
]


@pytest.mark.parametrize("classes", [None, ["plant"], ["stem", "tip"]])
def test_of_several_keypoints_one_stands_for_the_object(folder, classes):
    message = error_of(folder, SKELETON, classes)
    assert "found 2 keypoints of one object, 'stem', 'tip'" in message
    assert "classes=['stem']" in message


def test_a_keypoint_is_chosen_by_its_name(folder):
    label, _ = read(folder, SKELETON, ["tip"]).values()
    tips = label.points[[name == "tip" for name in label.classes]]
    assert tips.tolist() == [[4, 12.5], [30.75, 7.25]]


def test_an_object_that_lacks_its_keypoint_is_an_error(folder):
    content = copy.deepcopy(SKELETON)
    content["annotations"][1]["keypoints"][3:] = [0, 0, 0]
    message = error_of(folder, content, ["tip"])
    assert '["annotations"][1]: has not the keypoint that others' in message
    content["annotations"][1]["keypoints"][2] = 0
    message = error_of(folder, content, ["tip"])
    assert '["annotations"][1]["keypoints"]: none of them is lab' in message


def test_crowds_of_coco_are_no_objects(folder):
    content = copy.deepcopy(COCO)
    crowd = {**coco_object(4, 1, [0, 0, 0]), "iscrowd": 1}
    content["annotations"].append(crowd)
    check(read(folder, content), {"a.png", "b.png"})


def test_a_slip_names_file_and_place(folder):
    content = copy.deepcopy(VIA)
    del content["a.png1204"]["regions"][1]["shape_attributes"]["cy"]
    place = '["a.png1204"]["regions"][1]'
    assert f"{folder / 'labels.json'}, {place}" in error_of(folder, content)


def test_labels_of_a_resized_copy_are_an_error(folder):
    labels = read_beside(folder, LABELME)
    (image,) = labels
    header = ImageHeader((80, 40), 3, np.dtype("uint8"), False)
    (fault,) = check_points_inside(labels, {image: header})
    assert "a.json: declares the size (height, width) (40, 20), and" in fault
    assert "scale its points" in fault
