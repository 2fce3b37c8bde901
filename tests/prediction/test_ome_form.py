"""Results as OME-TIFF and OME-Zarr, as other readers see them."""

import pathlib
import tempfile
import types

import numpy as np
import pytest
import rasterio
import tifffile
import zarr
from exact_models import red_model
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise
from ome_zarr_models.v04 import Image
from ome_zarr_models.v04.image_label import ImageLabel
from slides import halved as every_second
from slides import write_ome_tiff

import keras_patching as kp
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.prediction import levels, ome_form
from keras_patching.prediction.levels import halved
from keras_patching.prediction.ome_form import Meaning
from keras_patching.prediction.targets import open_target

pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning"
)
MEANING = Meaning(
    ("soil", "leaf", "stem"),
    ((1, "leaf"), (2, "stem")),
    ((0, (0, 0, 0)), (1, (0, 200, 0)), (2, (9, 9, 9))),
)
SIZE = PixelSize(0.25, 0.5, "µm")


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(ome_form, "_TILE", 32)
    monkeypatch.setattr(levels, "_BLOCK_BYTES", 2000)


def target_of(path, array, size=SIZE, resume=True, overwrite=False):
    source = types.SimpleNamespace(pixel_size=size, shape=array.shape)
    form = ome_form.ome_form(source, path, (1, 1), MEANING)
    return open_target(
        path,
        array.shape,
        array.dtype,
        "a",
        key=form.key,
        resume=resume,
        overwrite=overwrite,
        form=form,
    )


def written(path, array, size=SIZE, rows=7, **options):
    target = target_of(path, array, size, **options)
    for y in range(target.rows_done, len(array), rows):
        target.write(y, array[y : y + rows])
    assert target.finish() == path
    target.forget()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return path


def means(array):
    """Halve floats: the ten-line reference."""
    height, width = array.shape[:2]
    result = np.zeros((-(-height // 2), -(-width // 2), *array.shape[2:]))
    for y in range(result.shape[0]):
        for x in range(result.shape[1]):
            rows = [min(2 * y, height - 1), min(2 * y + 1, height - 1)]
            columns = [min(2 * x, width - 1), min(2 * x + 1, width - 1)]
            result[y, x] = array[rows][:, columns].mean(axis=(0, 1))
    return result.astype(array.dtype)


LABELS = noise(90, 70) % 3
FLOATS = noise(70, 41, 3).astype("float32") / 255
PLANE = FLOATS[..., 0].copy()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.booleans())
def test_levels_are_halved(height, width, has_channels):
    array = noise(height, width, *[2] * has_channels)
    np.testing.assert_array_equal(halved(array), array[::2, ::2])
    floats = array.astype("float32") / 7
    np.testing.assert_allclose(halved(floats), means(floats), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("array", [LABELS, FLOATS, PLANE, LABELS[:9, :9]])
def test_it_is_read_back_at_each_level(tmp_path, array, suffix):
    path = written(tmp_path / f"a{suffix}", array)
    level, expected = 0, array
    while True:
        with kp.data.open_image(path, level) as image:
            found = np.asarray(image).reshape(expected.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-6)
            assert found.dtype == array.dtype
            assert image.pixel_size == PixelSize(
                0.25 * 2**level, 0.5 * 2**level, "µm"
            )
            is_last = level == len(image.levels) - 1
        if is_last:
            assert max(expected.shape[:2]) <= 32
            break
        level, expected = level + 1, halved(expected)


def test_tifffile_reads_axes_sizes_and_names(tmp_path):
    path = written(tmp_path / "a.ome.tif", FLOATS)
    with tifffile.TiffFile(path) as tiff:
        (series,) = tiff.series
        assert series.axes == "CYX"
        assert [each.shape for each in series.levels] == [
            (3, 70, 41), (3, 35, 21), (3, 18, 11)
        ]  # fmt: skip
        np.testing.assert_array_equal(
            series.asarray(), np.moveaxis(FLOATS, -1, 0)
        )
        np.testing.assert_allclose(
            series.levels[1].asarray(), np.moveaxis(means(FLOATS), -1, 0), 1e-6
        )
        assert series.keyframe.is_tiled
        assert series.keyframe.compression == 8
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (0.25, 0.5)
    assert pixels["PhysicalSizeXUnit"] == "µm"
    names = [channel["Name"] for channel in pixels["Channel"]]
    assert names == ["soil", "leaf", "stem"]


def test_gdal_sees_levels_as_overviews(tmp_path):
    path = written(tmp_path / "a.ome.tif", LABELS)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), LABELS)
        assert raster.block_shapes == [(32, 32)]
        assert raster.compression.name == "deflate"
        assert raster.tags()["TIFFTAG_RESOLUTIONUNIT"].startswith("3")
    with rasterio.open(path, OVERVIEW_LEVEL=0) as raster:
        np.testing.assert_array_equal(raster.read(1), LABELS[::2, ::2])


@pytest.mark.parametrize("size", [SIZE, None])
def test_classes_are_a_label_image_of_ome(tmp_path, size):
    path = written(tmp_path / "a.ome.zarr", LABELS, size)
    group = zarr.open_group(str(path), mode="r")
    found = ImageLabel.from_zarr(group)
    label = found.attributes.image_label
    assert label.colors[0].label_value == 1
    assert tuple(label.colors[0].rgba) == (0, 200, 0, 255)
    assert [each["class"] for each in group.attrs["image-label"]["properties"]]
    (multiscale,) = found.attributes.multiscales
    assert [axis.name for axis in multiscale.axes] == ["y", "x"]
    np.testing.assert_array_equal(group["0"], LABELS)
    np.testing.assert_array_equal(group["1"], LABELS[::2, ::2])
    assert group["0"].chunks == (32, 32)


def test_probabilities_are_an_image_of_ome(tmp_path):
    path = written(tmp_path / "a.ome.zarr", FLOATS)
    group = zarr.open_group(str(path), mode="r")
    found = Image.from_zarr(group)
    (multiscale,) = found.attributes.multiscales
    assert [axis.name for axis in multiscale.axes] == ["c", "y", "x"]
    assert multiscale.axes[1].unit == "micrometer"
    labels = [channel.label for channel in found.attributes.omero.channels]
    assert labels == ["soil", "leaf", "stem"]
    np.testing.assert_array_equal(group["0"], np.moveaxis(FLOATS, -1, 0))


def test_gdal_reads_each_level_of_a_zarr(tmp_path):
    path = written(tmp_path / "a.ome.zarr", LABELS)
    with rasterio.Env() as env:
        if "Zarr" not in env.drivers():
            pytest.skip("GDAL without zarr")
    for number in range(2):
        with rasterio.open(f'ZARR:"{path}":/{number}') as raster:
            step = 2**number
            np.testing.assert_array_equal(
                raster.read(1), LABELS[::step, ::step]
            )


def test_ome_zarr_reads_it(tmp_path):
    reader = pytest.importorskip("ome_zarr.reader")
    io = pytest.importorskip("ome_zarr.io")
    path = written(tmp_path / "a.ome.zarr", FLOATS)
    (node,) = reader.Reader(io.parse_url(str(path)))()
    np.testing.assert_array_equal(node.data[0], np.moveaxis(FLOATS, -1, 0))
    assert len(node.data) == 3
    assert node.metadata["channel_names"] == ["soil", "leaf", "stem"]


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
def test_a_killed_run_goes_on(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    target = target_of(path, LABELS)
    target.write(0, LABELS[:40])
    target.abandon()
    assert not path.exists()
    target = target_of(path, LABELS)
    assert target.rows_done == 40
    target.write(40, LABELS[40:])
    target.finish()
    assert target_of(path, LABELS).is_done
    with kp.data.open_image(path) as image:
        np.testing.assert_array_equal(image[..., 0], LABELS)


def test_what_was_being_formed_when_it_was_killed_is_formed_anew(tmp_path):
    for suffix in ".ome.tif", ".ome.zarr":
        path = tmp_path / suffix[1:] / f"a{suffix}"
        target = target_of(path, LABELS)
        made = target._storage._made
        target.write(0, LABELS)
        target.abandon()
        if suffix == ".ome.zarr":
            made.mkdir()
            made = made / "half"
        made.write_bytes(b"half")
        assert target_of(path, LABELS).is_done
        with kp.data.open_image(path) as image:
            np.testing.assert_array_equal(image[..., 0], LABELS)
        assert not made.exists()


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
def test_only_what_is_of_the_kind_is_replaced(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    written(path, LABELS)
    with pytest.raises(ValueError, match="exists already"):
        target_of(path, LABELS, resume=False)
    written(path, LABELS[::-1].copy(), overwrite=True, resume=False)
    with kp.data.open_image(path) as image:
        np.testing.assert_array_equal(image[..., 0], LABELS[::-1])
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / f"a{suffix}"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is a folder|is no zarr array"):
        target_of(other, LABELS, resume=False, overwrite=True)


@pytest.mark.parametrize("dtype", ["float16", "int64"])
def test_what_ome_has_no_name_for_is_refused(dtype):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.ome.tif")
        with pytest.raises(ValueError, match=r"a\.ome\.tif: \.ome\.tif cannot"):
            target_of(path, LABELS.astype(dtype))


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
def test_a_slide_is_predicted_into_a_slide(tmp_path, suffix):
    image = noise(90, 70, 3)
    folder = tmp_path / "slides"
    folder.mkdir()
    write_ome_tiff(
        folder / "a.ome.tif",
        [every_second(image, 3)],
        (0.25, 0.25),
        photometric="rgb",
    )
    model = red_model(class_names=("soil", "leaf"))
    out = f"{tmp_path}/{{name}}{suffix}"
    (path,) = model.predict_images(folder, transform="classes", out=out)
    assert path == tmp_path / f"a{suffix}"
    kp.inference.predict_files(
        model, folder, tmp_path / "found", format=suffix[1:], level=1
    )
    for found, level in (path, 0), (tmp_path / f"found/masks/a{suffix}", 1):
        with kp.data.open_image(found) as mask:
            expected = image[:: 2**level, :: 2**level, 0] > 100
            np.testing.assert_array_equal(mask[..., 0], expected)
            side = 0.25 * 2**level
            assert mask.pixel_size == PixelSize(side, side, "µm")
    if suffix == ".ome.zarr":
        label = zarr.open_group(str(found)).attrs["image-label"]
        assert [each["class"] for each in label["properties"]] == [
            "soil", "leaf"
        ]  # fmt: skip
        assert len(label["colors"]) == 2
