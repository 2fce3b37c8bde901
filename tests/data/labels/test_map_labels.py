"""Labels of georeferenced images in one GeoJSON file."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise
from maps import NORTH_UP, write_map
from rasterio.transform import Affine

import keras_patching as kp
from keras_patching.data.labels.drawing import DrawnShape, draw_shapes
from keras_patching.data.labels.map_labels import clip_polygon
from keras_patching.data.labels.shapes import Shape

SIZE = 40, 60
RIGHT = Affine(*(*tuple(NORTH_UP)[:2], 500_030, *tuple(NORTH_UP)[3:6]))
POINTS = [(5.5, 7.25), (20.0, 59.5)]
BOXES = [(4, 6, 14, 16), (50, 20, 58, 38)]


@pytest.fixture
def folder(tmp_path):
    """Two maps side by side."""
    (tmp_path / "images").mkdir()
    write_map(tmp_path / "images" / "a.tif", noise(*SIZE, 3))
    write_map(tmp_path / "images" / "b.tif", noise(*SIZE, 3), transform=RIGHT)
    return tmp_path


def write_labels(folder, crs="EPSG:4326", name="labels.geojson", **shapes):
    """Write what is in pixels of both images in map coordinates."""
    features = []
    for image in ("a", "b"):
        found = kp.data.to_geojson(
            folder / "images" / f"{image}.tif",
            properties=[{"label": image}] * len(*shapes.values()),
            crs=crs,
            **shapes,
        )
        features += found["features"]
    path = folder / name
    path.write_text(json.dumps({**found, "features": features}))
    return path


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "image"])
def test_points_come_back_to_their_images(folder, crs):
    path = write_labels(folder, crs, points=POINTS)
    found = kp.data.read_points(folder / "images", path)
    for name in ("a.tif", "b.tif"):
        np.testing.assert_allclose(found[name], POINTS, atol=1e-2)
    found = kp.data.read_points(folder / "images", path, classes=["a"])
    assert [len(each) for each in found.values()] == [2, 0]


def test_boxes_come_back_to_their_images(folder):
    path = write_labels(folder, "image", boxes=BOXES)
    found = kp.data.read_boxes(path, folder / "images", class_names=["a", "b"])
    for index, name in enumerate(("a.tif", "b.tif")):
        np.testing.assert_allclose(found[name]["boxes"], BOXES, atol=1e-2)
        assert found[name]["labels"].tolist() == [index] * 2


def test_polygons_are_drawn_in_all_images_that_they_reach_into(folder):
    ring = [(10, 50), (10, 70), (30, 70), (30, 50)]  # over the border
    found = kp.data.to_geojson(
        folder / "images" / "a.tif", polygons=[[ring]], crs="image"
    )
    found["features"][0]["properties"]["label"] = "roof"
    (folder / "roofs.geojson").write_text(json.dumps(found))
    data = kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "roofs.geojson",
        patch_size=SIZE,
        shuffle=False,
        verbose=False,
    )
    expected = np.zeros((2, *SIZE))
    expected[0, 10:30, 50:] = expected[1, 10:30, :10] = 1
    np.testing.assert_array_equal(data[0][1], expected)


def test_what_lies_in_no_image_is_told(folder):
    path = write_labels(folder, "image", points=POINTS)
    content = json.loads(path.read_text())
    content["features"][0]["geometry"]["coordinates"] = [0, 0]
    path.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="1 of its 4 shapes lie in no image"):
        kp.data.read_points(folder / "images", path)
    del content["crs"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'none of its 4 shapes.*"crs"'):
        kp.data.read_points(folder / "images", path)


def test_longitudes_are_never_taken_for_pixels(folder):
    for name in ("a", "b"):
        write_labels(folder, name=f"images/{name}.geojson", points=POINTS[:1])
    content = json.loads((folder / "images" / "a.geojson").read_text())
    for index, name in enumerate(("a", "b")):
        content["features"] = content["features"][index : index + 1] or [
            json.loads((folder / "images" / "b.geojson").read_text())[
                "features"
            ][1]
        ]
        (folder / "images" / f"{name}.geojson").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="as longitude and latitude"):
        kp.data.read_points(folder / "images", folder / "images")


def test_one_feature_alone_is_read_as_a_list_of_it(folder):
    path = write_labels(folder, points=POINTS[:1])
    content = json.loads(path.read_text())["features"][0]
    path.write_text(json.dumps(content))
    found = kp.data.read_points(folder / "images", path, unlabelled="empty")
    np.testing.assert_allclose(found["a.tif"], POINTS[:1], atol=1e-2)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"features": 1}, "are no list"),
        ({"crs": {"properties": {"name": "mars"}}}, "mars' is not known"),
    ],
)
def test_files_that_are_not_as_they_should_be_are_named(folder, changed, match):
    path = write_labels(folder, points=POINTS)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(ValueError, match=rf"labels\.geojson.*{match}"):
        kp.data.read_points(folder / "images", path)


@pytest.mark.parametrize("ring", [[], [[1], [2], [3], [4]]])
def test_rings_of_no_pairs_are_refused(folder, ring):
    path = write_labels(folder, boxes=BOXES)
    content = json.loads(path.read_text())
    content["features"][0]["geometry"]["coordinates"] = [ring]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"\[0\]: has .* no pairs of numbers"):
        kp.data.read_boxes(path, folder / "images", class_names=["a", "b"])


def test_images_that_lie_nowhere_are_named(folder):
    path = write_labels(folder, points=POINTS)
    kp.data.write_image(folder / "images" / "c.png", noise(*SIZE, 3))
    with pytest.raises(ValueError, match=r"c\.png.* do not say where"):
        kp.data.read_points(folder / "images", path)


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.integers(-12, 30)] * 2), min_size=3, max_size=3))
def test_a_triangle_that_is_cut_off_covers_the_same_pixels(corners):
    corners = np.add(corners, (0.13, 0.29))

    def drawn(points, size):
        if not len(points):
            return np.zeros(size, "uint8")
        shape = Shape(
            kind="polygon",
            points=np.asarray(points),
            label=None,
            place="",
            instance=0,
        )
        return draw_shapes([DrawnShape.of(shape, 1)], size, np.dtype("uint8"))

    whole = drawn(corners + 12, (60, 60))[12:32, 12:30]
    cut = drawn(clip_polygon(corners, (20, 18)), (20, 18))
    assert np.count_nonzero(whole != cut) <= 1
