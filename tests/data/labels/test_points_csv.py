"""Tables of points are read as spreadsheets and Fiji write them."""

import numpy as np
import pytest

from keras_patching.data.images.headers import ImageHeader
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.point_labels import (
    check_points_inside,
    choose_classes,
)
from keras_patching.data.labels.points_csv import read_points_table

# "Analyze > Measure" of a multi-point selection, with "Display label"; saved
# as Results.csv, and in the form of all other names.
IMAGEJ = """\
 ,Label,Area,Mean,Min,Max,X,Y,Counter,Count
1,a.png,0,129,129,129,12.333,4,0,2
2,a.png:embryo,0,88,88,88,7,30.667,0,2
3,images:b.png,0,90,90,90,1,2,0,1
"""
POINTS = {"a.png": [[4, 12.333], [30.667, 7]], "b.png": [[2, 1]]}


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder, text, **kwargs):
    data = text if isinstance(text, bytes) else text.encode()
    path = folder / "points.csv"
    path.write_bytes(data)
    options = {"unlabelled": "error", **kwargs}
    return read_points_table(path, list_images(folder), **options)


def points_of(labels):
    return {path.name: each.points.tolist() for path, each in labels.items()}


def classes_of(labels):
    return {path.name: each.classes for path, each in labels.items()}


@pytest.mark.parametrize("text", [IMAGEJ, IMAGEJ.replace(",", "\t")])
def test_results_of_imagej_are_read_and_their_unit_is_a_question(folder, text):
    labels, (read_columns, unit) = read(folder, text)
    assert points_of(labels) == POINTS
    assert classes_of(labels)["a.png"] == ("0", "0")
    assert "read the columns Label, X, Y, Counter, not Area," in read_columns
    assert "taken as pixels" in unit
    assert "Click to Remove Scale" in unit


def test_results_outside_of_their_image_may_be_in_another_unit(folder):
    labels, _ = read(folder, IMAGEJ)
    header = ImageHeader((16, 16), 3, np.dtype("uint8"), False)
    (fault,) = check_points_inside(labels, dict.fromkeys(labels, header))
    assert "line 3: the point x=7, y=30.667 lies outside" in fault
    assert "another unit, such as µm, remove it (Analyze > Set Scale" in fault


def test_results_without_a_column_of_images_say_what_to_tick(folder):
    with pytest.raises(ValueError, match=r"Display label.*pass their folder"):
        read(folder, " ,Area,X,Y,Slice\n1,0,3,4,1\n")
    with pytest.raises(ValueError, match="of labels such as 'stack:1', exp"):
        read(folder, " ,Label,X,Y,Slice\n1,stack:1,3,4,1\n")


@pytest.mark.parametrize("text", ["x,y\n3,4\n", "x,y,label\n3,4,cell\n"])
def test_a_header_without_images_is_an_error(folder, text):
    with pytest.raises(ValueError, match="expected a column that names the im"):
        read(folder, text)


@pytest.mark.parametrize(
    "data",
    [
        "image;x;y\r\na;12,333;4\r\na;7;30,667\r\nb.png;1;2\r\n".encode(
            "utf-8-sig"
        ),
        "image\tx\ty\r\na\t12,333\t4,0\r\na\t7\t30,667\r\nb.png\t1\t2\r\n".encode(
            "utf-16"
        ),
        b"a;12,333;4;7;30,667\r\nb.png;1;2\r\n",
        b"a.png\t12.333\t4\t7\t30.667\nb\t1\t2\n",
        b"Y;X;Image;Note\n4.0;12.333;a;1,5\n30.667;7;a;x\n2;1;b;\n",
    ],
)
def test_what_european_excel_writes_is_read(folder, data):
    labels, _ = read(folder, data)
    assert points_of(labels) == POINTS


def test_classes_are_read_and_further_columns_are_named(folder):
    text = "label,image,x,y,who\ncell,a,1,2,me\ndead,a,3,4,me\n,b,5,6,me\n"
    labels, (note,) = read(folder, text)
    assert classes_of(labels) == {"a.png": ("cell", "dead"), "b.png": ("",)}
    assert note == (
        "points.csv: read the columns image, x, y, label, not who; separated "
        "by commas, decimals after a point."
    )


def test_a_table_of_rows_per_image_has_nothing_to_say(folder):
    labels, notes = read(folder, "a,1,2\nb\n")
    assert notes == []
    assert classes_of(labels) == {"a.png": (None,), "b.png": ()}


def test_a_name_that_is_joined_of_two_images_is_an_error(folder):
    with pytest.raises(ValueError, match=r"the name 'a\.png:b\.png'"):
        read(folder, "Label,X,Y\na.png:b.png,1,2\na.png,3,4\nb.png,3,4\n")


def test_csv_of_via_is_told_to_be_exported_as_json(folder):
    header = "filename,file_size,region_count,region_shape_attributes"
    with pytest.raises(ValueError, match="Image Annotator: export it as JSON"):
        read(folder, f'{header}\na.png,1,1,"{{""cx"":1}}"\n')


def test_points_of_a_class_in_another_spelling_are_not_left_out(folder):
    rows = "a.png,1,2,leaf\nb.png,1,2,Leaf\n"
    labels, _ = read(folder, f"image,x,y,class\n{rows}")
    with pytest.raises(ValueError, match=r"class 'Leaf' too, .* ask for both"):
        choose_classes(labels, ["leaf"])
    both = choose_classes(labels, ["leaf", "Leaf"])
    assert points_of(both) == points_of(labels)
