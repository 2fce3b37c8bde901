"""Objects that `predict_files` numbers, measures and outlines in files."""

import csv
import json

import keras
import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.features import rasterize
from scipy_regions import number, random_map

import keras_patching as kp
from keras_patching import cli
from keras_patching.data.images.label_images import read_mask
from keras_patching.inference import pictures
from keras_patching.inference.file_prediction import predict_files


def model_of(**options):
    """Return a model that finds the class that its image says, of three."""
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(3, 1, use_bias=False),
        ]
    )
    net.set_weights([np.eye(3)[None, None]])
    return kp.SemanticSegmentationModel(
        3,
        net,
        activation="linear",
        class_names=["soil", "crop", "weed"],
        patch_size=16,
        overlap="auto",
        **options,
    )


def mask_of(seed=0):
    return random_map(np.random.default_rng(seed))[0] % 3


def write(path, mask, **profile):
    """Write an image that says the classes of a mask."""
    image = np.eye(3, dtype="uint8")[mask] * 255
    if not profile:
        tifffile.imwrite(path, image, photometric="rgb")
        return
    height, width = mask.shape
    shape = {"height": height, "width": width, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **profile) as file:
        file.write(image.transpose(2, 0, 1))


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def check_polygons(path, numbers, **how):
    """Draw polygons again, which gives the numbers of their objects."""
    features = json.loads(path.read_text())["features"]
    shapes = []
    for each in features:
        properties = each["properties"]
        measured = properties.get("measurements", properties)
        shapes.append((each["geometry"], int(measured["object"])))
    assert len(shapes) == numbers.max()
    drawn = rasterize(shapes, numbers.shape, dtype="uint32", **how)
    np.testing.assert_array_equal(drawn, numbers)
    return features


@pytest.fixture(params=["held", "large"])
def _size(request, monkeypatch):
    if request.param == "large":
        monkeypatch.setattr(pictures, "MOST_PIXELS", 16)


@pytest.mark.usefixtures("_size")
def test_they_are_written_with_numbers_measures_and_outlines(tmp_path):
    masks = {"a": mask_of(0), "b": mask_of(1), "c": np.zeros((9, 8), int)}
    (tmp_path / "images").mkdir()
    for name, mask in masks.items():
        write(tmp_path / "images" / f"{name}.tif", mask)
    out = tmp_path / "found"
    done = predict_files(
        model_of(),
        tmp_path / "images",
        out,
        transform="instances",
        verbose=False,
        report=True,
    )
    table = rows_of(out / "objects.csv")
    for (name, mask), row in zip(masks.items(), done.rows, strict=True):
        numbers = number(mask)
        found = tifffile.imread(out / f"instances/{name}.tif")
        assert found.dtype == "uint32"
        np.testing.assert_array_equal(found, numbers)
        assert row["count"] == numbers.max()
        assert row["pixels_weed"] == (mask == 2).sum()
        assert row["unit"] is None
        crops = set(np.unique(numbers[mask == 1]))
        assert row["count_crop"] == len(crops)
        of_image = [each for each in table if each["image"] == f"{name}.tif"]
        for i, each in enumerate(of_image, 1):
            assert int(each["object"]) == i
            assert int(each["area"]) == (numbers == i).sum()
            assert each["label"] == ("crop" if i in crops else "weed")
            assert each["physical_area"] == each["unit"] == ""
        features = check_polygons(out / f"polygons/{name}.geojson", numbers)
        for each in features:
            properties = each["properties"]
            row = of_image[int(properties["measurements"]["object"]) - 1]
            assert properties["classification"]["name"] == row["label"]
            assert properties["measurements"]["area"] == int(row["area"])
    names = {each.name for each in out.iterdir()}
    assert names == {
        *("instances", "overlays", "polygons"),
        *("objects.csv", "results.csv", "report.html"),
    }


def test_metres_are_as_short_as_they_can_be(tmp_path):
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine.scale(0.1)}
    write(tmp_path / "map.tif", mask_of(1), **place)
    predict_files(
        model_of(),
        tmp_path / "map.tif",
        tmp_path / "found",
        transform="instances",
        verbose=False,
    )
    for each in rows_of(tmp_path / "found/objects.csv"):
        for name in ("x1", "y1", "x2", "y2", "perimeter"):
            assert each[f"physical_{name}"] == str(int(each[name]) / 10)


def test_those_of_a_map_are_in_metres_and_lie_where_it_does(tmp_path):
    mask = mask_of(1)
    transform = rasterio.Affine(0.5, 0, 9.5, 0, -0.25, 47.5)
    place = {"crs": "EPSG:4326", "transform": transform}
    write(tmp_path / "map.tif", mask, **place)
    metres = rasterio.Affine(0.5, 0, 5e5, 0, -0.25, 5e6)
    write(tmp_path / "metres.tif", mask, crs="EPSG:32632", transform=metres)
    out = tmp_path / "found"
    done = predict_files(
        model_of(),
        [tmp_path / "map.tif", tmp_path / "metres.tif"],
        out,
        transform="instances",
        verbose=False,
    )
    check_polygons(
        out / "polygons/map.geojson", number(mask), transform=transform
    )
    in_degrees, in_metres = (
        [each for each in rows_of(out / "objects.csv") if each["image"] == name]
        for name in ("map.tif", "metres.tif")
    )
    assert {each["unit"] for each in in_degrees} == {""}
    for each in in_metres:
        assert each["unit"] == "m"
        assert float(each["physical_area"]) == int(each["area"]) / 8
        assert float(each["physical_x"]) == pytest.approx(
            float(each["x"]) / 2, abs=1e-6
        )
        assert float(each["physical_y2"]) == int(each["y2"]) / 4
    _, row = done.rows
    assert row["physical_area_crop"] == (mask == 1).sum() / 8
    for name in ("map", "metres"):
        with rasterio.open(out / f"instances/{name}.tif") as file:
            np.testing.assert_array_equal(file.read(1), number(mask))
            assert file.crs is not None


def test_those_of_resized_images_are_in_pixels_of_the_files(tmp_path):
    write(tmp_path / "a.tif", np.kron(mask_of(), np.ones((2, 2), int)))
    out = tmp_path / "found"
    model = model_of(resize=0.5)
    how = {"verbose": False}
    predict_files(model, tmp_path / "a.tif", tmp_path / "masks", **how)
    predict_files(model, tmp_path / "a.tif", out, transform="instances", **how)
    mask = read_mask(tmp_path / "masks/masks/a.png")
    assert mask.shape == tuple(2 * n for n in mask_of().shape)
    numbers = tifffile.imread(out / "instances/a.tif")
    np.testing.assert_array_equal(numbers, number(mask))
    check_polygons(out / "polygons/a.geojson", numbers)


@pytest.mark.parametrize("format", ["npy", "zarr", "ome.tif", "ome.zarr"])
@pytest.mark.parametrize("transform", ["classes", "instances"])
def test_a_page_shows_them_whatever_they_are_written_as(
    format, transform, tmp_path
):
    mask = mask_of(1)
    write(tmp_path / "a.tif", mask)
    predict_files(
        model_of(),
        tmp_path / "a.tif",
        tmp_path / "found",
        transform=transform,
        format=format,
        report=True,
        truth={"a.tif": mask.astype("uint8")},
        verbose=False,
    )
    assert "100.0%" in (tmp_path / "found/report.html").read_text()


def test_the_command_scores_them_as_classes(tmp_path):
    mask = mask_of(1)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    write(tmp_path / "images/a.tif", mask)
    kp.data.write_image(tmp_path / "masks/a.png", mask.astype("uint8"))
    model_of().save(tmp_path / "model.keras")
    found = tmp_path / "found"
    cli.main(
        [
            *("predict", str(tmp_path / "model.keras")),
            *(str(tmp_path / "images"), "--out", str(found)),
            *("--transform", "instances", "--report"),
            *("--truth", str(tmp_path / "masks")),
        ]
    )
    page = (found / "report.html").read_text()
    assert "100.0%" in page
    assert "Numbers of objects" in page


def test_pixels_without_data_are_of_no_object(tmp_path):
    path, out = tmp_path / "map.tif", tmp_path / "found"
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine.scale(2)}
    write(path, np.ones((20, 24), int), **place)
    has_data = np.zeros((20, 24), bool)
    has_data[3:, 5:] = True
    with rasterio.open(path, "r+") as file:
        file.write_mask(has_data)
    how = {"transform": "instances", "verbose": False}
    predict_files(model_of(), path, out, **how)
    (row,) = rows_of(out / "objects.csv")
    assert int(row["area"]) == has_data.sum()
    (found,) = model_of().predict_images([path], **how)
    assert found["boxes"].tolist() == [[5, 3, 24, 20]]
