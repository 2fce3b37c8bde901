"""What was found, as GeoJSON in map coordinates."""

import json

import numpy as np
import pytest
import rasterio
from image_files import noise
from maps import write_map

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
