"""Slides and microscopes' images, predicted and trained on."""

import csv
import json

import numpy as np
import pytest
import rasterio
from exact_models import red_counter, red_model
from image_files import noise
from maps import write_map
from page_reader import PageReader
from slides import halved, write_ome_tiff, write_ome_zarr

import keras_patching as kp
from keras_patching.cli import main

IMAGE = noise(40, 33, 3)
LEVELS = halved(IMAGE, 2)


def is_red(image):
    return (image[..., 0] > 100).astype("uint8")


def write_zarr(folder, levels=LEVELS, **options):
    first = [np.moveaxis(level, -1, 0) for level in levels]
    return write_ome_zarr(folder, first, chunks=(1, 16, 16), **options)


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    write_zarr(folder / "a.ome.zarr")
    write_ome_tiff(folder / "b.ome.tif", [LEVELS], photometric="rgb")
    return folder


def test_zarrs_and_tiffs_of_a_folder_are_predicted(scans):
    model = red_model()
    assert len(kp.data.list_images(scans)) == 2
    for found in model.predict_images(scans, transform="classes"):
        np.testing.assert_array_equal(found, is_red(IMAGE))
    (found,) = model.predict_images(scans / "a.ome.zarr", transform="classes")
    np.testing.assert_array_equal(found, is_red(IMAGE))


def test_a_level_that_was_opened_is_predicted_and_left_open(scans, tmp_path):
    model = red_model()
    out = str(tmp_path / "{name}.npy")
    with kp.data.open_image(scans / "b.ome.tif", 1) as image:
        for _ in range(2):
            (path,) = model.predict_images(
                [image], transform="classes", out=out, overwrite=True
            )
            assert path.name == "b.ome.npy"
            np.testing.assert_array_equal(np.load(path), is_red(LEVELS[1]))
        (found,) = model.predict(model.read_image(image)[None], verbose=0)
        np.testing.assert_array_equal(found.argmax(-1), is_red(LEVELS[1]))


def test_the_result_of_a_level_of_a_map_lies_where_the_map_does(tmp_path):
    folder, profile = tmp_path / "maps", {"crs": "EPSG:32632", "count": 3}
    folder.mkdir()
    profile |= {"height": 40, "width": 32, "dtype": "uint8"}
    place = rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    with rasterio.open(
        folder / "a.tif", "w", driver="GTiff", transform=place, **profile
    ) as raster:
        raster.write(np.moveaxis(IMAGE[:, :32], -1, 0))
        raster.build_overviews([2])
    model = red_model()
    with kp.data.open_image(folder / "a.tif", 1) as image:
        model.predict_images(
            [image], transform="classes", out=tmp_path / "opened.tif"
        )
    kp.inference.predict_files(model, folder, tmp_path / "out", level=1)
    for path in tmp_path / "opened.tif", tmp_path / "out/masks/a.tif":
        with rasterio.open(path) as raster:
            expected = is_red(LEVELS[1][:, :16])
            np.testing.assert_array_equal(raster.read(1), expected)
            assert tuple(raster.transform)[:3] == (1, 0, 500_000)
            assert tuple(raster.transform)[3:6] == (0, -1, 5_000_000)


@pytest.fixture
def one_dot(tmp_path):
    """A folder of a map with levels, with one red dot around (61, 101)."""
    image = np.zeros((96, 128, 3), "uint8")
    image[60:62, 100:102, 0] = 255
    (tmp_path / "in").mkdir()
    path = write_map(tmp_path / "in" / "a.tif", image)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    return tmp_path / "in"


@pytest.mark.parametrize("level", [0, 1])
def test_points_of_a_level_of_a_map_lie_where_they_are(
    tmp_path, one_dot, level
):
    done = kp.inference.predict_files(
        red_counter(), one_dot, tmp_path / "out", level=level, verbose=False
    )
    (row,) = done.tables["points.csv"]
    written = json.loads((tmp_path / "out" / "points.geojson").read_text())
    (feature,) = written["features"]
    with kp.data.open_image(one_dot / "a.tif", level) as image:
        expected = kp.data.to_geojson(image, points=[(row["y"], row["x"])])
    assert feature["geometry"] == expected["features"][0]["geometry"]
    assert row["x"] == pytest.approx(100 / 2**level, abs=1)


def test_what_is_true_of_a_file_is_not_compared_with_a_level(tmp_path, one_dot):
    with pytest.raises(ValueError, match=r"largest level.*leave out"):
        kp.inference.predict_files(
            red_model(),
            one_dot,
            tmp_path / "out",
            level=1,
            report=True,
            truth=tmp_path,
            verbose=False,
        )
    assert not (tmp_path / "out").exists()


def test_the_page_shows_the_level_that_was_predicted(tmp_path):
    path = tmp_path / "a.ome.tif"
    whole = np.full((32, 48, 3), 9, "uint8")
    whole[:16] = 200
    series = [halved(255 - whole, 2), halved(whole, 2)]
    write_ome_tiff(path, series, photometric="rgb")
    kp.inference.predict_files(
        red_model(),
        path,
        tmp_path / "out",
        series=1,
        level=1,
        report=True,
        verbose=False,
    )
    page = PageReader((tmp_path / "out" / "report.html").read_text("utf-8"))
    shown = np.asarray(page.pictures()[0].convert("RGB"))
    assert shown.shape == series[1][1].shape
    off = shown.astype(int) - series[1][1]
    assert np.abs(off).mean() < 5  # It is a JPEG.


def test_one_of_several_images_of_a_file_is_compared_with_the_truth(tmp_path):
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(path, [[255 - IMAGE], [IMAGE]], photometric="rgb")
    kp.inference.predict_files(
        red_model(),
        path,
        tmp_path / "out",
        series=1,
        truth={path.name: is_red(IMAGE)},
        report=True,
        verbose=False,
    )
    page = PageReader((tmp_path / "out" / "report.html").read_text("utf-8"))
    assert "mean100.0%" in page.text


def test_channels_of_a_level_are_those_of_the_model(tmp_path):
    model = red_model()
    grey = write_zarr(tmp_path / "a.zarr", [IMAGE[..., :1]])
    with kp.data.open_image(grey) as image:
        assert model.read_image(image).shape == (40, 33, 3)
        (found,) = model.predict_images([image], transform="classes")
    np.testing.assert_array_equal(found, is_red(IMAGE))
    with kp.data.open_image(write_zarr(grey, [IMAGE[..., :2]])) as image:
        with pytest.raises(ValueError, match="has 2 channels, expected 3"):
            model.read_image(image)
        with pytest.raises(ValueError, match="has 2 channels, expected 3"):
            list(model.predict_images([image]))


def test_levels_are_evaluated(scans):
    model = red_model()
    with kp.data.open_image(scans / "a.ome.zarr", 1) as image:
        scores = model.evaluate_full_images([image], [is_red(LEVELS[1])])
    assert scores["mean_iou"] == 1


@pytest.mark.parametrize(
    "options",
    [["--level", "1"], ["--pixel-size", "2.5"], ["--level=1", "--series=0"]],
)
def test_the_command_reads_the_level_that_is_asked_for(
    scans, tmp_path, options
):
    red_model().save(tmp_path / "red.keras")
    write_zarr(scans / "a.ome.zarr", scale=[1, 1.0, 1.0])
    (scans / "b.ome.tif").unlink()
    write_ome_tiff(scans / "b.ome.tif", [LEVELS], (1, 1), photometric="rgb")
    out = tmp_path / "out"
    command = ["predict", tmp_path / "red.keras", scans, "--out", out, *options]
    assert main([str(each) for each in command]) == 0
    for name in "a.ome.png", "b.ome.png":
        mask = kp.data.read_mask(out / "masks" / name)
        np.testing.assert_array_equal(mask, is_red(LEVELS[1]))
    with open(out / "results.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["height"], row["width"]) for row in rows] == [("20", "17")] * 2


def test_a_prediction_that_stopped_does_not_go_on_at_another_level(
    scans, tmp_path
):
    model = red_model()
    (scans / "c.png").write_bytes(b"no image")
    done = kp.inference.predict_files(model, scans, tmp_path / "out", level=0)
    assert (len(done.rows), len(done.faults)) == (2, 1)
    with pytest.raises(ValueError, match="has other options"):
        kp.inference.predict_files(model, scans, tmp_path / "out", level=1)
    (scans / "c.png").unlink()
    write_zarr(scans / "a.ome.zarr", [IMAGE // 2])
    again = kp.inference.predict_files(model, scans, tmp_path / "out")
    assert again.num_before == 1  # the zarr has changed, the TIFF has not


def test_zarrs_are_trained_on_and_their_labels_too(scans, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    kp.data.write_image(masks / "a.ome.png", is_red(IMAGE))
    write_ome_zarr(masks / "b.ome.zarr", [is_red(IMAGE)], axes="yx")

    def load():
        return kp.load_dataset_from_directory_with_segmentation_masks(
            scans, masks, patch_size=(40, 33), num_classes=2, shuffle=False
        )

    images, targets = load()[0]
    np.testing.assert_array_equal(images, [IMAGE, IMAGE])
    np.testing.assert_array_equal(targets, [is_red(IMAGE)] * 2)
    write_zarr(scans / "a.ome.zarr", [IMAGE[::-1]])
    np.testing.assert_array_equal(load()[0][0][0], IMAGE[::-1])


def test_a_zarr_that_was_read_is_not_read_again(scans, tmp_path, capsys):
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in "ab":
        kp.data.write_image(masks / f"{name}.ome.png", is_red(IMAGE))
    for said in "Cut 2 patches", "Found 2 cached patches":
        kp.load_dataset_from_directory_with_segmentation_masks(
            scans, masks, patch_size=(40, 33), num_classes=2
        )
        assert said in capsys.readouterr().out


def test_objects_of_a_level_are_outlined_for_qupath_in_the_slide(tmp_path):
    image = np.zeros((40, 32, 3), "uint8")
    image[4:12, 8:20, 0] = 255
    folder = tmp_path / "slides"
    folder.mkdir()
    write_ome_tiff(
        folder / "a.ome.tif",
        [halved(image, 2)],
        (0.25, 0.25),
        photometric="rgb",
    )
    done = kp.inference.predict_files(
        red_model(class_names=("rest", "leaf")),
        folder,
        tmp_path / "out",
        transform="instances",
        format="ome.tif",
        level=1,
    )
    (row,) = done.tables["objects.csv"]
    assert (row["area"], row["unit"], row["physical_area"]) == (24, "µm", 6)
    with kp.data.open_image(tmp_path / "out/instances/a.ome.tif") as numbers:
        np.testing.assert_array_equal(
            numbers[..., 0], image[::2, ::2, 0] // 255
        )
        assert numbers.pixel_size.height == 0.5
    found = json.loads(
        (tmp_path / "out/polygons/a.ome.geojson").read_text("utf-8")
    )
    (feature,) = found["features"]
    assert feature["properties"]["objectType"] == "detection"
    assert feature["properties"]["classification"]["name"] == "leaf"
    (ring,) = feature["geometry"]["coordinates"]
    assert {tuple(place) for place in ring} >= {
        (8, 4), (20, 4), (20, 12), (8, 12)
    }  # fmt: skip
