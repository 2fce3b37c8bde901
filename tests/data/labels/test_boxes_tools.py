"""Boxes are read as tools export them, each from files in its own layout."""

import json

import keras
import numpy as np
import pytest
from pycocotools.coco import COCO

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.boxes import read_box_file

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def folder(tmp_path):
    """A folder of the images a.png and b.png, beside which labels lie."""
    (tmp_path / "images").mkdir()
    for name in "ab":
        image = np.zeros((HEIGHT, WIDTH, 3), "uint8")
        write_image(tmp_path / "images" / f"{name}.png", image)
    return tmp_path


def read(path, class_names=None, images=None, **options):
    images = list_images(images or path.parent / "images")
    return read_box_file(path, images, class_names, **options)


def boxes_of(found, name="a.png"):
    labels = {image.name: each for image, each in found.labels.items()}[name]
    names = [found.class_names[label] for label in labels.labels]
    return list(zip(names, labels.boxes.tolist(), strict=True))


def message_of(path, error=ValueError, **options):
    with pytest.raises(error) as caught:
        read(path, **options)
    return str(caught.value)


# COCO


def test_boxes_of_coco_are_those_of_pycocotools(folder, capsys):
    rng = np.random.default_rng(0)
    content = {
        "images": [
            {"id": 7, "file_name": "images/b.png", "height": 40, "width": 60},
            {"id": 3, "file_name": "a.png", "height": 40, "width": 60},
        ],
        "categories": [{"id": 4, "name": "weed"}, {"id": 1, "name": "beet"}],
        "annotations": [
            {
                "id": index,
                "image_id": int(rng.choice([3, 7])),
                "category_id": int(rng.choice([1, 4])),
                "bbox": [*rng.uniform(0, 20, 4).round(2)],
                "segmentation": [],
                "iscrowd": 0,
            }
            for index in range(1, 30)
        ],
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    theirs, found = COCO(str(path)), read(path)
    capsys.readouterr()
    assert found.class_names == ("beet", "weed")
    for image_id, name in ((3, "a.png"), (7, "b.png")):
        expected = [
            (
                theirs.cats[each["category_id"]]["name"],
                [x, y, x + width, y + height],
            )
            for each in theirs.loadAnns(theirs.getAnnIds(imgIds=image_id))
            for x, y, width, height in [each["bbox"]]
        ]
        assert sorted(boxes_of(found, name)) == sorted(expected)


# VGG Image Annotator and LabelMe


def via(*regions):
    return {
        "filename": "a.png",
        "size": 99,
        "regions": list(regions),
        "file_attributes": {},
    }


def region(attributes, **shape):
    return {"shape_attributes": shape, "region_attributes": attributes}


RECT = {"name": "rect", "x": 3, "y": 2, "width": 10, "height": 5}


def test_boxes_of_via_are_around_what_was_drawn(folder):
    path = folder / "via.json"
    circle = {"name": "circle", "cx": 20, "cy": 10, "r": 4}
    content = {
        "a.png99": via(
            region({"type": "weed"}, **RECT),
            region({"type": "beet"}, **circle),
        )
    }
    path.write_text(json.dumps(content))
    found = read(path, unlabelled="empty")
    assert found.class_names == ("beet", "weed")
    assert boxes_of(found) == [
        ("weed", [3, 2, 13, 7]),
        ("beet", [16, 6, 24, 14]),
    ]
    assert boxes_of(found, "b.png") == []


def test_attributes_of_via_that_may_not_be_the_class_are_told(folder):
    path = folder / "via.json"
    attributes = {"stage": "3", "note": "wet"}
    path.write_text(json.dumps({"a.png99": via(region(attributes, **RECT))}))
    message = message_of(path, unlabelled="skip")
    assert "has the attributes 'stage', 'note', expected one" in message
    assert 'Call that one "label"' in message
    found = read(path, ["plant"], unlabelled="skip")
    assert boxes_of(found) == [("plant", [3, 2, 13, 7])]


def test_one_attribute_of_via_is_the_class_in_the_whole_file(folder):
    path = folder / "via.json"
    labelled = region({"label": "weed", "type": "old"}, **RECT)
    bare = region({"type": "young"}, **RECT)
    path.write_text(json.dumps({"a.png99": via(labelled)}))
    assert boxes_of(read(path, unlabelled="skip"))[0][0] == "weed"
    path.write_text(json.dumps({"a.png99": via(labelled, bare)}))
    message = message_of(path, unlabelled="skip")
    assert '["regions"][1]: found no label, expected one of' in message


@pytest.mark.parametrize("other", ["Leaf", "leaf ", "LEAF"])
def test_labels_that_differ_in_case_or_spaces_are_told(folder, other):
    path = folder / "labels" / "a.json"
    path.parent.mkdir()
    shapes = [
        {"label": label, "points": [[1, 2], [5, 8]], "shape_type": "rectangle"}
        for label in ("leaf", "leaf", other)
    ]
    content = {"shapes": shapes, "imagePath": "a.png", "imageData": None}
    path.write_text(json.dumps(content))
    message = message_of(path.parent, unlabelled="skip")
    assert "differs in upper and lower case or spaces alone" in message
    names = sorted(["leaf", other])
    assert f"pass class_names={names}" in message
    found = read(path.parent, names, unlabelled="skip")
    assert found.class_names == tuple(names)


def test_a_file_of_labelme_may_end_in_capitals(folder):
    path = folder / "labels" / "a.JSON"
    path.parent.mkdir()
    shape = {"label": "", "points": [[1, 2], [5, 8]], "shape_type": "rectangle"}
    content = {"shapes": [shape], "imagePath": "a.png", "imageData": None}
    path.write_text(json.dumps(content))
    message = message_of(path.parent, unlabelled="empty")
    assert "[\"label\"]: found '', expected a name" in message
    path.write_text(json.dumps(content).replace('""', '"leaf"'))
    found = read(path.parent, unlabelled="empty")
    assert boxes_of(found) == [("leaf", [1, 2, 5, 8])]


def test_a_point_is_no_box(folder):
    path = folder / "via.json"
    point = region({}, name="point", cx=3, cy=4)
    path.write_text(json.dumps({"a.png99": via(point)}))
    assert "is a point, which has no width" in message_of(
        path, unlabelled="skip"
    )


def test_a_group_of_labelme_is_one_box(folder):
    (folder / "labels").mkdir()
    pieces = [[[1, 2], [5, 2], [5, 8]], [[9, 9], [12, 9], [12, 11]]]
    shapes = [
        {
            "label": "leaf",
            "points": points,
            "group_id": 1,
            "shape_type": "polygon",
            "flags": {},
        }
        for points in pieces
    ]
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": [*shapes, shapes[0] | {"group_id": None}],
        "imagePath": "../images/a.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    (folder / "labels" / "a.json").write_text(json.dumps(content))
    found = read(folder / "labels", unlabelled="skip")
    assert boxes_of(found) == [
        ("leaf", [1, 2, 5, 8]),
        ("leaf", [1, 2, 12, 11]),
    ]


# Pascal VOC

VOC = """<?xml version="1.0"?>
<annotation>
  <folder>VOC2012</folder>
  <filename>a.png</filename>
  <source>
    <database>The VOC2007 Database</database>
    <annotation>PASCAL VOC2007</annotation>
    <image>flickr</image>
  </source>
  <size><width>60</width><height>40</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object>
    <name>leaf</name>
    <pose>Unspecified</pose>
    <truncated>1</truncated>
    <difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>5</ymin><xmax>60</xmax><ymax>40</ymax></bndbox>
    <part><name>tip</name>
      <bndbox><xmin>2</xmin><ymin>6</ymin><xmax>3</xmax><ymax>7</ymax></bndbox>
    </part>
  </object>
</annotation>
"""


def read_voc(folder, text=VOC, name="a", **options):
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / f"{name}.xml").write_text(text)
    return read(folder / "labels", unlabelled="skip", **options)


def test_corners_of_voc_are_pixels_counted_from_1(folder):
    found = read_voc(folder)
    assert boxes_of(found) == [("leaf", [0, 4, 60, 40])]
    assert found.labels[folder / "images/a.png"].declared_size == (40, 60)
    assert found.notes[0].endswith("first and last pixel, counted from 1.")
    assert found.notes[1] == "1 objects marked as difficult are objects here."


@pytest.mark.parametrize("corner", ["0", "1.5"])
def test_corners_of_voc_that_do_not_count_from_1_are_taken_as_they_are(
    folder, corner
):
    found = read_voc(folder, VOC.replace("<xmin>1<", f"<xmin>{corner}<"))
    assert boxes_of(found) == [("leaf", [float(corner), 5, 60, 40])]
    assert "taken as they are" in found.notes[0]


def test_corners_of_labelimg_are_taken_as_they_are(folder):
    text = VOC.replace("The VOC2007 Database", "Unknown").replace(
        "<source>", "<path>C:\\images\\a.png</path><source>"
    )
    found = read_voc(folder, text)
    assert boxes_of(found) == [("leaf", [1, 5, 60, 40])]
    assert "they are of LabelImg" in found.notes[0]


def test_a_file_of_voc_without_objects_is_an_image_without_objects(folder):
    start, end = VOC.index("<object>"), VOC.rindex("</annotation>")
    assert boxes_of(read_voc(folder, VOC[:start] + VOC[end:])) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("?>", "?><!DOCTYPE a [<!ENTITY b 'c'>]>", "found <!DOCTYPE, which is"),
        ("</object>", "", "is not XML (mismatched tag: line"),
        ("annotation>", "annotations>", "found <annotations>, expected <anno"),
        ("<xmax>60<", "<xmax>sixty<", "object 1 (leaf): found 'sixty' in <bnd"),
        ("<ymin>5</ymin>", "", "found None in <bndbox><ymin>, expected a fini"),
        ("<xmin>1<", "<xmin>61<", "object 1 (leaf): found x=61 to 60"),
        ("<name>leaf</name>", "", "object 1: has no <name>. Add it."),
        ("<width>60<", "<width>-1<", "found the height '40' and width '-1'"),
        ("<filename>a.", "<filename>b.", "may be of a.png, as the file is"),
    ],
)
def test_a_slip_in_a_file_of_voc_is_told(folder, old, new, words):
    with pytest.raises(ValueError, match=r"a\.xml: ") as error:
        read_voc(folder, VOC.replace(old, new))
    assert words in str(error.value)


def test_a_file_of_voc_that_was_renamed_finds_its_image_by_its_filename(folder):
    assert len(boxes_of(read_voc(folder, name="0001"))) == 1
    text = VOC.replace("a.png", "c.png")
    with pytest.raises(ValueError, match=r"0001\.xml: found the name 'c\.png'"):
        read_voc(folder, text, name="0001")


# YOLO


def write_yolo(folder, rows, labels="labels", **files):
    (folder / labels).mkdir(parents=True, exist_ok=True)
    (folder / labels / "a.txt").write_text(rows)
    (folder / labels / "b.txt").touch()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


YAML = """# Exported
train: images/train
val: images/val  # two images

nc: 2
names:
  0: weed
  1: 'sugar beet'  # Beta vulgaris
roboflow:
  names: none
"""


@pytest.mark.parametrize(
    "names",
    [
        "names: [weed, 'sugar beet']",
        'names: ["weed", "sugar beet",]  # both',
        "names:\n- weed\n- sugar beet\nnc: 2",
        "names:\n  - 'weed'\n\n  # not me\n  - sugar beet",
        "names: {0: weed, 1: sugar beet}",
        "names: [\n  weed,\n  sugar beet\n]\n",
        YAML,
    ],
)
def test_names_of_yolo_are_read_from_data_yaml(folder, names):
    write_yolo(folder, "1 0.5 0.25 0.5 0.5\n", data_yaml=names)
    for path in (folder / "labels", folder / "data.yaml", folder):
        found = read(path, images=folder / "images")
        assert found.class_names == ("weed", "sugar beet")
        assert boxes_of(found) == [("sugar beet", [15, 0, 45, 20])]
        assert boxes_of(found, "b.png") == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("names: weed", "line 1: found no list of names"),
        (
            "nc: 2\nnames:\n  1: weed\n  2: beet",
            "line 2: found the numbers 1, 2",
        ),
        ("names: [weed, weed]", "found the names 'weed', 'weed', expected"),
        ("names: [weed", "has no ] at its end"),
        ("names: [*all]", "found *all as a name"),
        ("names:\n- {a: b}", "found {a: b} as a name"),
        ("train: images", "has no key names"),
    ],
)
def test_names_of_yolo_that_are_not_sure_are_told(folder, names, words):
    write_yolo(folder, "", data_yaml=names)
    message = message_of(folder / "data.yaml")
    assert words in message
    assert "Write it as names: [leaf" in message or "Correct them" in message


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("train/images", "train/labels"),
        ("images/train", "labels/train"),
        ("images", "images"),
    ],
)
def test_labels_of_yolo_are_found_by_their_images(folder, images, labels):
    (folder / "images").rename(folder / "kept")
    (folder / images).parent.mkdir(exist_ok=True)
    (folder / "kept").rename(folder / images)
    write_yolo(folder, "0 0.5 0.5 1 1", labels, data_yaml="names: [leaf]")
    for path in (folder / "data.yaml", folder / labels):
        found = read(path, images=folder / images)
        assert boxes_of(found) == [("leaf", [0, 0, 60, 40])]


def test_names_of_yolo_are_in_classes_txt_or_given(folder):
    write_yolo(folder, "1 0.5 0.5 1 1")
    message = message_of(folder / "labels")
    assert "neither data.yaml nor classes.txt" in message
    assert "class_names=[" in message
    found = read(folder / "labels", ["weed", "beet"])
    assert boxes_of(found) == [("beet", [0, 0, 60, 40])]
    (folder / "labels" / "classes.txt").write_text("beet\nweed\n\n")
    assert boxes_of(read(folder / "labels")) == [("weed", [0, 0, 60, 40])]
    found = read(folder / "labels", ["weed", "beet"])
    assert boxes_of(found) == [("weed", [0, 0, 60, 40])]
    assert "found the label 'weed', expected one of 'plant'" in message_of(
        folder / "labels", class_names=["plant"]
    )


def test_names_of_yolo_that_differ_between_files_are_told(folder):
    write_yolo(folder, "1 0.5 0.5 1 1", data_yaml="names: [leaf, weed]")
    classes = folder / "labels" / "classes.txt"
    classes.write_text("weed\nleaf\n")
    for path in (folder / "labels", folder):
        message = message_of(path, images=folder / "images")
        assert "classes.txt" in message
        assert "hold different names of classes" in message
    found = read(folder / "data.yaml", images=folder / "images")
    assert found.class_names == ("leaf", "weed")


def test_two_files_of_yolo_of_one_image_are_told(folder):
    write_yolo(folder, "0 0.5 0.5 1 1", data_yaml="names: [leaf]")
    (folder / "labels" / "a.png.txt").touch()
    message = message_of(folder / "labels")
    assert "a.txt: is of a.png, as is a.png.txt. Remove one" in message


def test_rows_of_yolo_may_be_polygons_or_end_in_keypoints(folder):
    polygon = "0 0.5 0.5 1 0.5 0.75 0.75\n"
    write_yolo(folder, polygon, data_yaml="names: [leaf]")
    assert boxes_of(read(folder / "data.yaml")) == [("leaf", [30, 20, 60, 30])]
    pose = "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0 0 0\n"
    keys = "names: [leaf]\nkpt_shape: [2, 3]\n"
    write_yolo(folder, pose, data_yaml=keys)
    assert boxes_of(read(folder / "data.yaml")) == [("leaf", [15, 10, 45, 30])]


def test_rows_of_yolo_that_may_be_polygons_or_keypoints_are_told(folder):
    pose = "0 0.5 0.5 0.5 0.5 0.4 0.4 2 0 0 0"
    write_yolo(folder, pose, data_yaml="names: [leaf]")
    message = message_of(folder / "data.yaml")
    assert "a.txt, line 1: found 11 values, which may be a box" in message
    assert "`kpt_shape: [2, 3]`" in message


def test_edges_of_yolo_are_rounded_to_those_of_the_image(folder):
    write_yolo(folder, "0 0.833333 0.166667 0.333335 0.333335")
    ((_, box),) = boxes_of(read(folder / "labels", ["leaf"]))
    assert box[1] == 0
    assert box[2] == WIDTH


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0 0.5 0.5 1", "found 4 values, expected class, x, y, width and"),
        ("0 0.5 0.5 1 1 0.9", "found 6 values, expected class, x, y, width"),
        ("0 0.5 0.5 1 one", "found 'one', expected a number"),
        ("0 0.5 0.5 -1 1", "found the width -1 and height 1"),
        ("0 30 20 12 10", "found 30, expected fractions of the image"),
        ("leaf 0.5 0.5 1 1", "found the class 'leaf', expected a whole"),
        ("1 0.5 0.5 1 1", "found the class 1, expected less than 1"),
    ],
)
def test_a_slip_in_a_row_of_yolo_names_its_line(folder, row, words):
    write_yolo(folder, f"0 0.5 0.5 1 1\n\n{row}\n", data_yaml="names: [leaf]")
    message = message_of(folder / "labels")
    assert f"{folder / 'labels' / 'a.txt'}, line 3: {words}" in message


def test_labels_of_yolo_without_an_image_are_told(folder):
    write_yolo(folder, "", data_yaml="names: [leaf]")
    (folder / "labels" / "README.roboflow.txt").touch()
    assert len(read(folder / "labels").labels) == 2
    (folder / "labels" / "A.txt").touch()
    message = message_of(folder / "labels")
    assert "A.txt: has no image. There is a.png: correct upper" in message


# CSV


def read_csv(folder, text, **options):
    (folder / "boxes.csv").write_bytes(text.encode("utf-8-sig"))
    return read(folder / "boxes.csv", **options)


@pytest.mark.parametrize(
    "text",
    [
        "image,xmin,ymin,xmax,ymax,label\na.png,3,2,13.5,7,leaf\nb.png,,,,,\n",
        # TensorFlow's tutorials, Roboflow
        "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        "a.png,60,40,leaf,3,2,13.5,7\nb.png,60,40,,,,,\n",
        "label;y2;y1;x2;x1;file\nleaf;7;2;13,5;3;a\n;;;;;b\n",
        "image_path\tleft\ttop\twidth\theight\tcategory\n"
        "images/a.png\t3\t2\t10.5\t5\tleaf\nimages/b.png\t\t\t\t\t\n",
        '"image","xmin","ymin","xmax","ymax","label","note"\n'
        '"a.png",3,2,13.5,7,"leaf","a, b"\n"b.png",,,,,"",""\n',
    ],
)
def test_tables_of_boxes_have_columns_by_name(folder, text):
    found = read_csv(folder, text)
    assert found.class_names == ("leaf",)
    assert boxes_of(found) == [("leaf", [3, 2, 13.5, 7])]
    assert boxes_of(found, "b.png") == []


def test_a_label_is_needed_where_others_have_one(folder):
    text = f"{HEADER}a,1,2,3,4,leaf\na,5,6,7,8,\n"
    with pytest.raises(ValueError, match="line 3: found no label, expected"):
        read_csv(folder, text, unlabelled="skip")
    found = read_csv(folder, text, class_names=["leaf"], unlabelled="skip")
    assert len(boxes_of(found)) == 2


HEADER = "image,xmin,ymin,xmax,ymax,label\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEADER}a,1,2,x,4,leaf", "line 2: found 'x', expected a finite"),
        (f"{HEADER}a,1,2,,4,leaf", "line 2: found '', expected a finite"),
        (f"{HEADER}c,1,2,3,4,leaf", "line 2: found the name 'c'"),
        (f"{HEADER}a,5,2,3,4,leaf", "line 2: found x=5 to 3, y=2 to 4"),
        ("a.png,1,2,3,4,leaf\n", "line 1: found the columns 'a.png', '1'"),
        ("filename,file_size,region_shape_attributes\n", "export JSON there"),
        ("image,xmin,ymin,xmax,width,height\n", "line 1: found the columns"),
        ("image,x,y,width,height\n", "whether x and y are a corner: if they"),
        (
            "image,x1,y1,x2,y2,xmin\n",
            "found the columns 'x1', 'xmin', expected one of these",
        ),
        (
            "image,x1,y1,x2,y2,width,height\na,1,2,3,4,6,4\na,1,2,3,4,60,4\n",
            "line 3: found another size of a.png than in line 2",
        ),
    ],
)
def test_a_slip_in_a_table_of_boxes_names_its_line(folder, text, words):
    with pytest.raises(ValueError, match=r"boxes\.csv, line") as error:
        read_csv(folder, text, unlabelled="skip")
    assert words in str(error.value)


# What is what


def test_a_folder_of_two_formats_is_told(folder):
    write_yolo(folder, "")
    (folder / "labels" / "a.xml").write_text(VOC)
    message = message_of(folder / "labels")
    assert "1 of Pascal VOC and 2 of YOLO" in message


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.xml", VOC, "Pass the folder of these files, "),
        ("a.txt", "0 0.5 0.5 1 1\n", "Pass the folder of these files, "),
        ("classes.txt", "leaf\n", "Pass the folder of these files, "),
        ("all.xml", "<annotations><image/>", "Export COCO or Pascal VOC"),
        (
            "via3.json",
            '{"project": 1, "config": 1, "attribute": 1, "file": 1, '
            '"metadata": 1, "view": 1}',
            "is a project of version 3 of .* Export it as COCO",
        ),
    ],
)
def test_a_file_that_is_not_read_says_what_to_do(folder, name, text, words):
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        read(folder / name)


def test_a_folder_without_labels_says_what_is_read(folder):
    (folder / "labels").mkdir()
    message = message_of(folder / "labels")
    assert "holds no labels that are called as an image" in message
    assert "LabelMe JSON or YOLO .txt files" in message


# Through the loaders


def test_the_loader_takes_and_prints_the_names_of_the_labels(folder, capsys):
    write_yolo(folder, "1 0.5 0.5 0.5 0.5\n", data_yaml="names: [weed, beet]")
    sequence = kp.load_yolo_dataset_from_directory(
        folder / "data.yaml", folder / "images", 32, grid_size=2
    )
    assert "Classes, by the labels: weed, beet." in capsys.readouterr().out
    assert sequence.read_labels()["labels"].max() == 1


def test_boxes_to_evaluate_with_have_the_classes_of_the_model(folder):
    write_yolo(folder, "1 0.5 0.5 0.5 0.5\n", data_yaml="names: [weed, beet]")
    arguments = (folder / "data.yaml", folder / "images")
    boxes = kp.read_boxes(*arguments, class_names=("beet", "weed"))
    assert boxes["a.png"]["labels"].tolist() == [0]
    with pytest.raises(ValueError, match=r"model: class_names=\['weed', 'be"):
        kp.read_boxes(*arguments)


def test_a_model_wants_the_names_that_it_has(folder):
    write_yolo(folder, "1 0.5 0.5 0.5 0.5\n", data_yaml="names: [weed, beet]")
    model = kp.ObjectDetectionModel(
        keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.AveragePooling2D(16),
                keras.layers.Conv2D(30, 1),
            ]
        ),
        grid_size=2,
    )
    model.set_patch_size(32, 32)
    with pytest.raises(ValueError, match="label 'beet', expected one of 'pla"):
        model.load_yolo_dataset_from_directory(
            folder / "data.yaml", folder / "images", verbose=False
        )


def test_boxes_beyond_the_edge_are_cut_off_on_request(folder, capsys):
    text = f"{HEADER}a,-1,2,13,41,leaf\na,50,3,60.5,9,leaf\nb,5,5,9,9,leaf\n"
    (folder / "boxes.csv").write_text(text)
    arguments = (folder / "boxes.csv", folder / "images", ["leaf"])
    with pytest.raises(ValueError, match="clip=True"):
        kp.read_boxes(*arguments)
    boxes = kp.read_boxes(*arguments, clip=True)
    assert boxes["a.png"]["boxes"].tolist() == [[0, 2, 13, 40], [50, 3, 60, 9]]
    sequence = kp.load_yolo_dataset_from_directory(
        *arguments[:2], 64, grid_size=1, clip=True
    )
    assert "Cut off 2 boxes" in capsys.readouterr().out
    assert sequence.read_labels()["boxes"].max() <= 64
    (folder / "boxes.csv").write_text(text + "b,60,3,70,9,leaf\n")
    with pytest.raises(ValueError, match=r"line 5.*\. Correct or remove it"):
        kp.read_boxes(*arguments, clip=True)


def test_what_rounding_adds_to_a_sum_does_not_leave_the_image(folder):
    x, width = 0.1, 59.9 + 1e-14
    assert x + width > WIDTH
    text = f"image,xmin,ymin,width,height\na,{x},2,{width!r},5\n"
    (folder / "boxes.csv").write_text(text)
    boxes = kp.read_boxes(
        folder / "boxes.csv", folder / "images", unlabelled="skip"
    )
    assert boxes["a.png"]["boxes"].tolist() == [[x, 2, WIDTH, 7]]


def test_clipping_does_not_hide_axes_that_are_swapped(folder):
    text = f"{HEADER}a,5,40,35,55,leaf\na,5,2,9,7,leaf\n"
    (folder / "boxes.csv").write_text(text)
    with pytest.raises(ValueError, match="With x and y swapped all boxes"):
        kp.read_boxes(
            folder / "boxes.csv",
            folder / "images",
            ["leaf"],
            unlabelled="skip",
            clip=True,
        )
