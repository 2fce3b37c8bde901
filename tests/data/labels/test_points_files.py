"""A file for each image, as QuPath, Fiji and Deep Plant Phenomics have it."""

import json

import pytest

from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.points_files import read_points_files

# File > Object data > Export as GeoJSON, of QuPath 0.5: two point annotations.
QUPATH = """\
{"type":"FeatureCollection","features":[
{"type":"Feature","id":"7f4a9c2e-5a57-4d61-9b4b-1f8a4c7d1a01",
 "geometry":{"type":"MultiPoint","coordinates":[[12.5,4],[7.25,30.75]]},
 "properties":{"objectType":"annotation","classification":
  {"name":"Tumor","color":[200,0,0]},"isLocked":true}},
{"type":"Feature","id":"0c0e6b1c-8d2b-4a9f-a8c1-2f9f5b1f2b02",
 "geometry":{"type":"Point","coordinates":[1,2]},
 "properties":{"objectType":"annotation"}}]}
"""
POINTS = [[2, 1], [4, 12.5], [30.75, 7.25]]
REGION = {
    "type": "Feature",
    "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9]]]},
    "properties": {"classification": {"names": ["Region", "Left"]}},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.png").touch()
    return tmp_path


def read(images, *args, **kwargs):
    """Give the points of each image by its name, and the notes."""
    labels, notes = read_points_files(list_images(images), *args, **kwargs)
    points = {path.name: each.points.tolist() for path, each in labels.items()}
    return points, notes


def error_of(folder, *args, **kwargs):
    with pytest.raises(ValueError, match="Points that cannot be used") as error:
        read(folder, *args, **kwargs)
    return str(error.value)


# GeoJSON


@pytest.mark.parametrize("name", ["a.geojson", "a.json"])
@pytest.mark.parametrize("form", ["collection", "list"])
def test_geojson_of_qupath_is_read(folder, name, form):
    content = json.loads(QUPATH)
    if form == "list":
        content = content["features"]
    (folder / name).write_text(json.dumps(content))
    assert read(folder) == ({"a.png": POINTS}, [])


def test_a_lone_feature_is_geojson_too(folder):
    feature = json.loads(QUPATH)["features"][1]
    (folder / "a.json").write_text(json.dumps(feature))
    assert read(folder)[0] == {"a.png": [[2, 1]]}


def test_geojson_without_features_is_an_image_without_objects(folder):
    (folder / "a.geojson").write_text("[]")
    assert read(folder)[0] == {"a.png": []}
    content = '{"type": "FeatureCollection", "features": []}'
    (folder / "a.geojson").write_text(content)
    assert read(folder)[0] == {"a.png": []}


def test_points_of_geojson_know_their_class_and_place(folder):
    (folder / "a.json").write_text(QUPATH)
    labels, _ = read_points_files(list_images(folder))
    (label,) = labels.values()
    assert label.classes == (None, "Tumor", "Tumor")
    assert label.places[0] == '["features"][1]'


def test_shapes_may_be_regions_so_they_are_no_objects(folder):
    content = json.loads(QUPATH)
    content["features"] += [REGION, REGION]
    (folder / "a.json").write_text(json.dumps(content))
    message = error_of(folder)
    assert 'a.json, ["features"][2]: found a Polygon and 1 more' in message
    assert "Convert detections to points" in message
    assert read(folder, classes=["Tumor"])[0] == {"a.png": POINTS}
    assert "found a Polygon" in error_of(folder, classes=["Region: Left"])


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        ({"type": "Point", "coordinates": [1]}, "coordinates [1.0], expected"),
        ({"type": "Point", "coordinates": ["1", 2]}, "['1', 2.0], expected"),
        ({"type": "MultiPoint", "coordinates": [[1, None]]}, "[1.0, None]"),
        ({"type": "Point"}, "found the coordinates None"),
        (None, "found {}, expected a Point"),
    ],
)
def test_a_slip_in_geojson_names_its_feature(folder, geometry, words):
    content = json.loads(QUPATH)
    content["features"][1]["geometry"] = geometry
    (folder / "a.json").write_text(json.dumps(content))
    message = error_of(folder)
    assert f'{folder / "a.json"}, ["features"][1]' in message
    assert words in message


def test_geojson_of_a_map_is_refused(folder):
    content = {"crs": {"type": "name"}, **json.loads(QUPATH)}
    (folder / "a.json").write_text(json.dumps(content))
    assert "coordinates are those of a map" in error_of(folder)


# Tables


def test_a_folder_may_hold_a_table_of_fiji_for_each_image(folder, tmp_path):
    (folder / "b.png").touch()
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "a.csv").write_text(" ,Area,X,Y\n1,0,12.5,4\n2,0,7,30.75\n")
    (tables / "b.csv").write_text(" ,Area,X,Y\n")
    points, notes = read(folder, folder=tables)
    assert points == {"a.png": [[4, 12.5], [30.75, 7]], "b.png": []}
    assert [note.split(": ")[0] for note in notes] == ["*.csv", "*.csv"]


def test_a_table_of_one_image_may_have_classes(folder, tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "a.tsv").write_text("x\ty\tlabel\n1\t2\tcell\n")
    labels, _ = read_points_files(list_images(folder), folder=tables)
    (label,) = labels.values()
    assert (label.points.tolist(), label.classes) == ([[2, 1]], ("cell",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,x,y\nb.png,1,2\n", "line 2: found the name 'b.png' in the tab"),
        ("Label,x,y\na.png,1,2\nb.png,1,2\n", "line 3: found the name 'b.png'"),
        ("x,y\n1,two\n", "line 2: found 'two' as coordinates"),
        ("1,2\n3,4\n", "has no header, expected one with the columns x and y"),
    ],
)
def test_a_slip_in_a_table_names_its_row(folder, tmp_path, text, words):
    (folder / "b.png").touch()
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "a.csv").write_text(text)
    message = error_of(folder, "skip", tables)
    assert f"{tables / 'a.csv'}" in message
    assert words in message


# Names

AXES = '{"x": {"p1": 1}, "y": {"p1": 2}}'


def test_labels_are_called_as_deep_plant_phenomics_calls_them(tmp_path):
    for name in ("1.tif.png", "2.png"):
        (tmp_path / name).touch()
    for name in ("1.json", "2.json"):
        (tmp_path / name).write_text(AXES)
    assert read(tmp_path)[0] == {"1.tif.png": [[2, 1]], "2.png": [[2, 1]]}


def test_an_image_that_is_called_as_the_file_goes_first(tmp_path):
    for name in ("1.png", "1.tif.png"):
        (tmp_path / name).touch()
    (tmp_path / "1.json").write_text(AXES)
    assert "no file for 1 of 2 images: '1.tif.png'" in error_of(tmp_path)
    assert read(tmp_path, "skip")[0] == {"1.png": [[2, 1]]}


def test_a_file_that_may_be_of_two_images_is_an_error(tmp_path):
    for name in ("1.a.png", "1.b.png"):
        (tmp_path / name).touch()
    (tmp_path / "1.json").write_text(AXES)
    assert "may be of '1.a.png', '1.b.png'" in error_of(tmp_path, "skip")


def test_two_files_of_one_image_are_an_error(folder):
    (folder / "a.json").write_text(AXES)
    (folder / "a.geojson").write_text(QUPATH)
    assert "a.json: is of a.png, as is a.geojson" in error_of(folder)


def test_json_that_holds_no_labels_is_left_out_and_named(folder):
    (folder / "a.json").write_text(AXES)
    (folder / "settings.json").write_text('{"exposure": 3}')
    points, notes = read(folder)
    assert points == {"a.png": [[2, 1]]}
    assert notes == [
        "Left out 'settings.json', which hold no points and are not called as "
        "an image."
    ]


@pytest.mark.parametrize(
    "text",
    [AXES, '{"x": {}}', QUPATH, '{"images": [], "annotations": []}', "{"],
)
def test_labels_of_an_image_that_is_not_there_are_an_error(folder, text):
    (folder / "a.json").write_text(AXES)
    (folder / "b.json").write_text(text)
    assert "b.json: has no image beside it. " in error_of(folder)
