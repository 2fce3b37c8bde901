"""Boxes of COCO are read as those of our own form, and every slip is named."""

import json

import pytest

from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.boxes import read_box_file


@pytest.fixture
def content(tmp_path):
    """What a file of a.png, with two boxes, and b.png, with none, holds."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    return {
        "info": {},
        "images": [
            {"id": 8, "file_name": "b.png"},
            {"id": 3, "file_name": "a.png", "width": 90, "height": 70},
        ],
        "categories": [{"id": 5, "name": "leaf"}, {"id": 2, "name": "fruit"}],
        "annotations": [
            {"image_id": 3, "category_id": 2, "bbox": [20, 9, 30.5, 40]},
            {"image_id": 3, "category_id": 5, "bbox": [1, 2, 3, 4]},
        ],
    }


def read(folder, content):
    (folder / "coco.json").write_text(json.dumps(content))
    return {
        image.name: labels
        for image, labels in read_box_file(
            folder / "coco.json", list_images(folder), ("fruit", "leaf")
        ).labels.items()
    }


def test_boxes_have_corners_labels_and_places(tmp_path, content):
    labels = read(tmp_path, content)
    assert labels["a.png"].boxes.tolist() == [[1, 2, 4, 6], [20, 9, 50.5, 49]]
    assert labels["a.png"].labels.tolist() == [1, 0]
    assert labels["a.png"].places == (
        '["annotations"][1]',
        '["annotations"][0]',
    )
    assert labels["a.png"].declared_size == (70, 90)
    assert labels["b.png"].boxes.shape == (0, 4)


def test_crowds_are_left_out_and_counted(tmp_path, content):
    content["annotations"][0]["iscrowd"] = 1
    with pytest.warns(UserWarning, match=r"coco\.json: left out 1 crowds"):
        labels = read(tmp_path, content)
    assert labels["a.png"].boxes.tolist() == [[1, 2, 4, 6]]


@pytest.mark.parametrize(
    ("kind", "index", "slip", "words"),
    [
        ("images", 0, {"id": 3}, r'\["images"\]\[1\]\["id"\]: found 3 again'),
        ("images", 0, {"id": None}, r'\["images"\]\[0\]\["id"\]: found None'),
        ("images", 0, {"file_name": "c.png"}, "found the name 'c.png'"),
        ("images", 0, {"file_name": "x/b.png"}, r"is b\.png\. Leave out the f"),
        ("images", 0, {"file_name": None}, r'\["file_name"\]: found None'),
        ("images", 1, {"file_name": "b.png"}, "found b.png again"),
        ("images", 1, {"height": 0}, "found the height 0.0"),
        ("categories", 0, {"name": 5}, r'\["name"\]: found 5.0, expected a na'),
        ("categories", 0, {"name": "fruit"}, "names 'fruit' more than once"),
        ("categories", 0, {"name": "root"}, "found the label 'root', expected"),
        ("annotations", 1, {"image_id": 9}, r'\[1\]\["image_id"\]: found 9,'),
        ("annotations", 1, {"image_id": 9}, r"one of \"images\": 8, 3\."),
        (
            "annotations",
            1,
            {"category_id": 9},
            r"one of \"categories\": 5, 2\.",
        ),
        ("annotations", 1, {"category_id": 9}, r'"category_id"\]: found 9,'),
        ("annotations", 1, {"iscrowd": "0"}, r"found '0', expected 0, or 1"),
        ("annotations", 1, {"bbox": [1, 2, 3]}, r"expected \[x, y, width, he"),
        ("annotations", 1, {"bbox": None}, r'\[1\]\["bbox"\]: found None'),
        ("annotations", 1, {"bbox": [1, 2, "3", 4]}, r"\[2\]: found '3'"),
        ("annotations", 1, {"bbox": [1, 2, -3, 4]}, "found the width -3 and h"),
    ],
)
def test_a_slip_names_file_and_place(
    tmp_path, content, kind, index, slip, words
):
    content[kind][index] |= slip
    with pytest.raises(ValueError, match=rf"coco\.json, .*{words}"):
        read(tmp_path, content)


def test_an_image_without_objects_is_an_item_of_images(tmp_path, content):
    item = content["images"].pop(0)
    with pytest.raises(
        ValueError, match=r'b\.png.* add an item to "images" fo'
    ):
        read(tmp_path, content)
    content["images"].append(item)
    assert len(read(tmp_path, content)["b.png"].boxes) == 0


def test_categories_must_be_there(tmp_path, content):
    del content["categories"]
    with pytest.raises(ValueError, match=r'\["categories"\]: found None'):
        read(tmp_path, content)
