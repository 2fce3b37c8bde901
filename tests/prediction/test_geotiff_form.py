"""Results of georeferenced images are GeoTIFFs that lie where these do."""

import sys

import keras
import numpy as np
import pytest
import rasterio
import tifffile
from image_files import noise
from maps import KINDS, write_map

import keras_patching as kp
from keras_patching.data.images.georeference import Georeference
from keras_patching.prediction.geotiff_form import missing_value

HEIGHT, WIDTH = 40, 1100  # wide enough for overviews
IMAGE = noise(HEIGHT, WIDTH, 3)


@pytest.fixture(scope="module")
def model():
    return kp.SemanticSegmentationModel(3, net(), overlap="auto", patch_size=32)


def net(*layers):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(3, 3, padding="same", activation="softmax"),
            *layers,
        ]
    )


def fields_of(path):
    """What `gdalinfo` tells, but for how the pixels are stored."""
    with rasterio.open(path) as file:
        points, points_crs = file.gcps
        return {
            "crs": file.crs,
            "transform": file.transform,
            "gcps": [(p.row, p.col, p.x, p.y) for p in points],
            "gcps_crs": points_crs,
            "nodata": file.nodata,
            "size": file.shape,
            "mask": file.mask_flag_enums[0],
            "area_or_point": file.tags()["AREA_OR_POINT"],
        }


def bands_of(path):
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_has_the_fields_of_its_source(tmp_path, model, kind):
    valid = np.arange(WIDTH) >= 16 if kind == "masked" else None
    options = {"nodata": 250} if kind in ("rotated", "tiled") else {}
    path = write_map(
        tmp_path / "a.tif",
        IMAGE,
        kind,
        None if valid is None else np.tile(valid, (HEIGHT, 1)),
        **options,
    )
    (made,) = model.predict_images(
        [path],
        transform="classes",
        out=tmp_path / "out" / "a.tif",
        verbose=False,
    )
    assert fields_of(made) == fields_of(path)
    assert [each.name for each in made.parent.iterdir()] == ["a.tif"]
    with rasterio.open(made) as file:
        assert file.profile["tiled"]
        assert file.compression.name == "deflate"
        assert file.overviews(1) == [2, 4]


def test_probabilities_are_bands_and_means_in_overviews(tmp_path, model):
    path = write_map(tmp_path / "a.tif", IMAGE)
    (expected,) = model.predict_images([path], verbose=False)
    with rasterio.open(path) as data_set:
        model.predict_images([data_set], out=tmp_path / "b.tif", verbose=False)
    np.testing.assert_array_equal(bands_of(tmp_path / "b.tif"), expected)
    with rasterio.open(tmp_path / "b.tif", overview_level=0) as file:
        halved = expected.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3)
        np.testing.assert_allclose(
            np.moveaxis(file.read(), 0, -1), halved.mean((1, 3)), atol=1e-6
        )


def test_pixels_of_a_smaller_result_are_larger(tmp_path):
    pooled = net(keras.layers.AveragePooling2D(4))
    model = kp.PatchedModel(pooled, patch_size=32, overlap="auto")
    path = write_map(tmp_path / "a.tif", IMAGE)
    model.predict_images([path], out=tmp_path / "b.tif", verbose=False)
    with rasterio.open(tmp_path / "b.tif") as file:
        assert file.shape == (HEIGHT // 4, WIDTH // 4)
        assert file.res == (2, 2)
        assert file.bounds == rasterio.open(path).bounds


def test_what_lies_nowhere_is_written_as_before(tmp_path, model):
    kp.data.write_image(tmp_path / "a.tif", IMAGE)
    model.predict_images(
        [tmp_path / "a.tif"], out=tmp_path / "b.tif", verbose=False
    )
    assert kp.data.read_image(tmp_path / "b.tif").shape == (HEIGHT, WIDTH, 3)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_only_the_first_image_of_a_file_lies_where_the_file_says(
    tmp_path, model
):
    path = write_map(tmp_path / "a.tif", IMAGE)
    tifffile.imwrite(path, IMAGE[:, :50], append=True, photometric="rgb")
    with kp.data.open_image(path, series=0) as image:
        assert image.pixel_size.unit == "m"
        (made,) = model.predict_images(
            [image], out=tmp_path / "0.tif", verbose=False
        )
    assert fields_of(made)["transform"] == fields_of(path)["transform"]
    with kp.data.open_image(path, series=1) as image:
        assert image.pixel_size is None
        (made,) = model.predict_images(
            [image], out=tmp_path / "1.tif", verbose=False
        )
        with pytest.raises(ValueError, match="where on the earth"):
            kp.data.to_geojson(image, points=[(1, 1)])
    with rasterio.open(made) as file:
        assert file.crs is None


@pytest.mark.parametrize("name", ["a.npy", "a.zarr", "a.ome.tif", "a.tif"])
def test_a_place_that_a_result_does_not_keep_is_told(
    tmp_path, model, capsys, name
):
    path = write_map(tmp_path / "map.tif", IMAGE)
    model.predict_images([path], transform="classes", out=tmp_path / name)
    printed = "".join(capsys.readouterr())
    assert ("does not keep where on the earth" in printed) == (name != "a.tif")


def test_files_of_maps_are_maps_with_a_palette(tmp_path, model, capsys):
    (tmp_path / "in").mkdir()
    write_map(tmp_path / "in" / "a.tif", IMAGE)
    kp.data.write_image(tmp_path / "in" / "b.tif", IMAGE)
    done = kp.inference.predict_files(
        model, tmp_path / "in", tmp_path / "out", report=True
    )
    assert not done.faults
    masks = tmp_path / "out" / "masks"
    assert sorted(each.name for each in masks.iterdir()) == ["a.tif", "b.png"]
    np.testing.assert_array_equal(
        kp.data.read_mask(masks / "a.tif"), kp.data.read_mask(masks / "b.png")
    )
    with rasterio.open(masks / "a.tif") as file:
        assert file.crs == rasterio.open(tmp_path / "in" / "a.tif").crs
        assert file.colormap(1)[1][:3] == (86, 180, 233)
    kp.inference.predict_files(
        model, tmp_path / "in", tmp_path / "png", format="png"
    )
    assert "a.png: does not keep where on the earth" in capsys.readouterr().out


def test_without_rasterio_no_place_is_lost_in_silence(
    tmp_path, model, monkeypatch
):
    path = write_map(tmp_path / "a.tif", IMAGE)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ValueError, match=r"\[geo\]"):
        model.predict_images([path], out=tmp_path / "b.tif", verbose=False)
    (made,) = model.predict_images(
        [path], out=tmp_path / "b.npy", verbose=False
    )
    assert made.exists()


@pytest.mark.parametrize(
    ("own", "dtype", "values", "preferred", "expected"),
    [
        (250, "uint8", range(3), None, 250),
        (0, "uint8", range(3), None, 255),  # 0 is a class
        (0, "uint8", range(3), 254, 254),
        (-9999, "uint8", range(3), None, 255),
        (-9999, "int32", range(3), None, -9999),
        (255, "uint8", range(256), None, None),
        (255, "int32", None, None, None),  # may be any number
        (-9999, "float32", None, None, -9999),
        (0, "float32", None, None, np.nan),
        (255, "float32", None, None, np.nan),
        (np.nan, "float32", None, None, np.nan),
        (-1.7e308, "float32", None, None, np.nan),  # more than it holds
    ],
)
def test_no_data_is_a_value_that_results_never_have(
    own, dtype, values, preferred, expected
):
    reference = Georeference(None, None, nodata=own)
    found = missing_value(reference, np.dtype(dtype), values, preferred)
    assert found == expected or (found != found and expected != expected)


def test_where_all_is_data_no_value_stands_for_none():
    reference = Georeference(None, None)
    assert missing_value(reference, np.dtype("uint8"), range(3)) is None
