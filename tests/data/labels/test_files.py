"""Label files are found in one place, and other forms are named."""

import json

import pytest

from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.boxes import read_box_file
from keras_patching.data.labels.files import find_label_file
from keras_patching.data.labels.points_csv import read_points_csv
from keras_patching.data.labels.points_files import read_points_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of images below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells/a.png").touch()
    return tmp_path / "cells"


def find(label_file):
    return find_label_file(label_file, "cells", "Expected a row.")


# Where it lies


def test_a_label_file_lies_in_the_image_folder_or_where_its_path_says(folder):
    (folder / "in.csv").touch()
    (folder.parent / "beside.csv").touch()
    assert find("in.csv").samefile(folder / "in.csv")
    assert find("beside.csv").samefile(folder.parent / "beside.csv")
    assert find("cells/in.csv").samefile(folder / "in.csv")
    assert find(folder / "in.csv") == folder / "in.csv"


def test_two_files_of_one_name_are_told_with_paths_that_work(folder):
    both = [folder / "points.csv", folder.parent / "points.csv"]
    for index, path in enumerate(both):
        path.write_text(f"a,{index},1")
    with pytest.raises(ValueError, match="two files of this name") as error:
        find("points.csv")
    for path in both:
        assert f"{path} in the" in str(error.value)
        assert find(str(path)) == path


def test_copies_of_one_file_are_as_good_as_one(folder):
    (folder / "points.csv").write_text("a,1,1")
    (folder.parent / "points.csv").write_text("a,1,1")
    assert find("points.csv").read_text() == "a,1,1"


def test_a_file_in_no_place_names_both(folder):
    with pytest.raises(FileNotFoundError, match=r"nor is there cells") as error:
        find("points.csv")
    assert str(error.value).endswith("Expected a row.")


def test_a_folder_is_no_label_file(folder):
    (folder / "labels").mkdir()
    with pytest.raises(ValueError, match="labels: is a folder, expected one"):
        find("labels")


@pytest.mark.parametrize(
    ("name", "words"), [("a.txt", "as of YOLO"), ("a.xml", "as of Pascal VOC")]
)
def test_labels_of_many_files_are_told(folder, name, words):
    (folder / "labels").mkdir()
    (folder / "labels" / name).touch()
    with pytest.raises(ValueError, match=f"is a folder, .*{words}"):
        find("labels")
    (folder / name).touch()
    with pytest.raises(ValueError, match=f"no files of points.*{words}"):
        read_points_files(list_images(folder))


# What it is

POLYGON = {"shape_attributes": {"name": "polygon"}}
JSON_FORMS = {
    "LabelMe": {"version": "5", "shapes": [], "imagePath": "a.png"},
    "VIA": {"a.png1": {"filename": "a.png", "regions": [POLYGON]}},
    "VGG": {"a.png1": {"filename": "a.png", "regions": {"0": POLYGON}}},
    r"VIA\)": {"a.png1": {"filename": "a.png", "size": 1, "regions": []}},
    "project of the VGG": {"_via_settings": {}, "_via_img_metadata": {}},
    "GeoJSON": {"type": "FeatureCollection", "features": []},
    "QuPath": [{"type": "Feature", "geometry": {}}],
    "results of COCO": [{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 1}],
    "Label Studio": [{"id": 1, "data": {}, "annotations": []}],
    "CreateML": [{"image": "a.png", "annotations": []}],
}
# Of the others boxes are read.
NO_BOXES = ["results of COCO", "Label Studio", "CreateML"]
XML = '<?xml version="1.0"?>\n<annotation><folder/></annotation>'
TEXT_FORMS = {
    "XML, as of Pascal VOC": XML,
    "text file of YOLO": "0 0.5 0.25 0.1 0.2\n1 0.5 0.5 1e-1 0.2\n",
}


def read_boxes(folder):
    return read_box_file(folder / "labels.json", list_images(folder))


def read_beside(folder):
    (folder / "labels.json").rename(folder / "a.json")
    return read_points_files(list_images(folder))


def read_csv(folder):
    return read_points_csv(folder / "labels.json", list_images(folder))


@pytest.mark.parametrize(
    ("read", "form"),
    [
        *((read_boxes, form) for form in NO_BOXES),
        *((read_beside, form) for form in list(JSON_FORMS)[-3:]),
    ],
)
def test_well_known_forms_of_json_are_named(folder, read, form):
    (folder / "labels.json").write_text(json.dumps(JSON_FORMS[form]))
    with pytest.raises(ValueError, match=f"json: is .*{form}.*not read") as e:
        read(folder)
    assert "Expected {" in str(e.value)


@pytest.mark.parametrize("form", ["GeoJSON", "QuPath"])
def test_features_are_of_images_that_lie_on_the_earth(folder, form):
    (folder / "labels.json").write_text(json.dumps(JSON_FORMS[form]))
    with pytest.raises(
        ValueError, match=r"json: is GeoJSON.*'a\.png'.*of QuPath, the folder"
    ):
        read_boxes(folder)


def test_objects_may_be_called_regions(folder):
    box = {"all_points_x": [1, 3], "all_points_y": [2, 4]}
    content = {"a.png": {"regions": [box]}}
    (folder / "labels.json").write_text(json.dumps(content))
    (labels,) = read_box_file(
        folder / "labels.json", list_images(folder), objects_key="regions"
    ).labels.values()
    assert labels.boxes.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("read", [read_boxes, read_beside, read_csv])
@pytest.mark.parametrize("form", TEXT_FORMS)
def test_well_known_forms_of_text_are_named(folder, read, form):
    (folder / "labels.json").write_text(TEXT_FORMS[form])
    with pytest.raises(ValueError, match=f"json.*It is .*{form}") as error:
        read(folder)
    assert "Expected " in str(error.value)


def test_json_for_csv_and_csv_for_json_are_told(folder):
    (folder / "labels.json").write_text('{"a": {"objects": []}}')
    with pytest.raises(ValueError, match=r"is no CSV\. It looks like JSON"):
        read_csv(folder)
    (folder / "labels.json").write_text("a,1,2\n")
    with pytest.raises(ValueError, match="line 1: found the columns 'a', '1'"):
        read_boxes(folder)


def test_a_workbook_is_told_with_what_to_save(folder):
    (folder / "labels.json").write_bytes(b"PK\3\4\0\0")
    with pytest.raises(ValueError, match=r"workbook .* \"CSV UTF-8\""):
        read_csv(folder)
