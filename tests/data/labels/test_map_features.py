"""What was found, as GeoJSON in map coordinates."""

import json

import numpy as np
import pytest
import rasterio
from image_files import noise
from maps import write_map
from slides import halved, write_ome_tiff

import keras_patching as kp

IMAGE = noise(40, 60, 3)


@pytest.fixture(scope="module")
def ortho(tmp_path_factory):
    return write_map(tmp_path_factory.mktemp("maps") / "a.tif", IMAGE)


def coordinates(found):
    return [each["geometry"]["coordinates"] for each in found["features"]]


def test_points_are_in_longitude_and_latitude(ortho):
    found = kp.data.to_geojson(
        ortho, points=[(0, 0), (40, 60)], properties=[{"score": 1}, {}]
    )
    assert "crs" not in found
    expected = rasterio.warp.transform(
        "EPSG:25832", "EPSG:4326", [500_000, 500_030], [5_500_000, 5_499_980]
    )
    np.testing.assert_allclose(
        coordinates(found), np.transpose(expected), atol=1e-9
    )
    assert found["features"][0]["properties"] == {"score": 1}
    assert json.loads(json.dumps(found)) == found


def test_boxes_are_polygons_that_turn_to_the_left(ortho):
    found = kp.data.to_geojson(ortho, boxes=[(2, 4, 6, 10)], crs="image")
    assert found["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::25832"
    (ring,) = coordinates(found)[0]
    assert ring[0] == ring[-1]
    x, y = np.array(ring).T
    assert (x.min(), x.max()) == (500_001, 500_003)
    assert (y.min(), y.max()) == (5_499_995, 5_499_998)
    assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0


def test_polygons_keep_their_holes(ortho):
    outline = [(0, 0), (0, 10), (10, 10), (10, 0)]
    hole = [(2, 2), (2, 4), (4, 4)]
    found = kp.data.to_geojson(
        ortho, polygons=[[outline, hole], [hole]], crs="image"
    )
    assert [len(each) for each in coordinates(found)] == [2, 1]
    assert len(coordinates(found)[0][1]) == 4
    assert kp.data.to_geojson(ortho, polygons=[])["features"] == []


def test_what_has_no_place_or_no_shapes_is_an_error(ortho, tmp_path):
    kp.data.write_image(tmp_path / "b.tif", IMAGE)
    with pytest.raises(ValueError, match=r"b\.tif: does not say where"):
        kp.data.to_geojson(tmp_path / "b.tif", points=[(1, 1)])
    with pytest.raises(ValueError, match="Received: points, boxes"):
        kp.data.to_geojson(ortho, points=[(1, 1)], boxes=[(1, 1, 2, 2)])
    with pytest.raises(ValueError, match="2 for 1 points"):
        kp.data.to_geojson(ortho, points=[(1, 1)], properties=[{}, {}])
    with pytest.raises(ValueError, match="crs='nowhere'"):
        kp.data.to_geojson(ortho, points=[(1, 1)], crs="nowhere")


def test_qupath_reads_boxes_and_polygons_of_a_level(tmp_path):
    image = noise(64, 48, 3)
    write_ome_tiff(tmp_path / "a.ome.tif", [halved(image, 3)], (1, 1))
    with kp.data.open_image(tmp_path / "a.ome.tif", 2) as level:
        found = kp.data.to_geojson(
            level,
            boxes=[(1, 2, 3, 5)],
            properties=[{"label": "leaf", "color": (0, 9, 0), "score": 0.5}],
            crs="pixels",
        )
        rings = [[(0, 0), (0, 4), (4, 4)], [(1, 2), (2, 3), (1, 3)]]
        holed = kp.data.to_geojson(level, polygons=[rings], crs="pixels")
    (feature,) = found["features"]
    assert feature["properties"] == {
        "objectType": "detection",
        "classification": {"name": "leaf", "color": [0, 9, 0]},
        "measurements": {"score": 0.5},
    }
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    assert {tuple(place) for place in ring} == {
        (4, 8), (12, 8), (12, 20), (4, 20)
    }  # fmt: skip
    (feature,) = holed["features"]
    outline, hole = feature["geometry"]["coordinates"]
    assert [0, 0] in outline
    assert [16, 16] in outline
    assert [12, 8] in hole


def test_points_in_pixels_are_read_back(tmp_path):
    points = [(1.5, 2.25), (7, 3)]
    (tmp_path / "images").mkdir()
    kp.data.write_image(tmp_path / "images" / "a.png", noise(9, 9, 3))
    found = kp.data.to_geojson("images/a.png", points=points, crs="pixels")
    assert "crs" not in found
    (tmp_path / "images" / "a.geojson").write_text(json.dumps(found))
    (read,) = kp.read_points(tmp_path / "images", tmp_path / "images").values()
    np.testing.assert_array_equal(read, points)


def test_what_was_found_in_a_level_of_a_map_lies_where_it_is(tmp_path):
    path = write_map(tmp_path / "a.tif", noise(64, 64, 1), overviews=[2])
    with kp.data.open_image(path, 1) as level:
        found = kp.data.to_geojson(level, points=[(10, 20)], crs="image")
    (feature,) = found["features"]
    assert feature["geometry"]["coordinates"] == [500_020, 5_499_990]
