"""What a prediction of files writes on demand, and of large images."""

import csv

import keras
import numpy as np
import pytest
from keras import ops

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    SemanticSegmentationModel,
)
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.inference import pictures
from keras_patching.inference.file_prediction import predict_files
from keras_patching.inference.source_files import find_images

SIZES = {"a.png": (10, 14), "b.tif": (21, 9), "c.png": (33, 40)}


def net_of(*layers):
    return keras.Sequential([keras.Input((None, None, 3)), *layers])


def set_last(net, kernel, bias):
    kernel = np.array(kernel, "float32")[None, None]
    net.layers[-1].set_weights([kernel, np.array(bias, "float32")])
    return net


def segmenter(*layers, **options):
    """A model that finds what is redder than 100."""
    net = net_of(*layers, keras.layers.Conv2D(2, 1, activation="softmax"))
    set_last(net, [[0, 1], [0, 0], [0, 0]], [100.5, 0])
    return SemanticSegmentationModel(2, net, **{"patch_size": 8, **options})


def counter():
    """A model whose objects per pixel are the red channel over 1000."""
    return HeatmapObjectCountingModel(
        set_last(net_of(keras.layers.Conv2D(1, 1)), [[1], [0], [0]], [0]),
        density_map_sigma=2.0,
        density_scale=1000,
        patch_size=8,
    )


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name, size in SIZES.items():
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        write_image(tmp_path / "images" / name, image)
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def _all_is_large(monkeypatch):
    """As if images of 151 pixels did not fit in memory."""
    monkeypatch.setattr(pictures, "MOST_PIXELS", 150)
    monkeypatch.setattr(pictures, "_SHOWN_PIXELS", 150)


def predict(model, paths, out, **options):
    return predict_files(model, paths, out, verbose=False, **options)


def rows_of(out, name="results.csv"):
    with open(out / name, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row.pop("seconds", None)
    return rows


def names_of(out):
    return sorted(
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file()
    )


def test_probabilities_take_the_place_of_masks(folder, out, tmp_path):
    predict(segmenter(), folder, out, transform="probabilities")
    assert names_of(out) == [
        *(f"overlays/{name}.png" for name in "abc"),
        *(f"probabilities/{name}.tif" for name in "abc"),
        "results.csv",
    ]
    for name in SIZES:
        image = read_image(folder / name)
        expected = segmenter().predict(image[None], verbose=0)[0]
        found = read_image(out / "probabilities" / f"{name[0]}.tif")
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected, atol=1e-6)
    predict(segmenter(), folder, tmp_path / "masks", transform="classes")
    assert rows_of(out) == rows_of(tmp_path / "masks")


@pytest.mark.parametrize("format", ["tif", "npy"])
def test_masks_are_written_in_the_format_that_is_asked_for(format, folder, out):
    predict(segmenter(), folder, out, format=format)
    for name in SIZES:
        truth = read_image(folder / name)[..., 0] > 100
        mask = read_mask(out / "masks" / f"{name[0]}.{format}")
        np.testing.assert_array_equal(mask, truth)


def test_a_zarr_array_is_kept_by_a_call_that_goes_on(folder, out):
    zarr = pytest.importorskip("zarr")
    (folder / "d.png").write_bytes(b"no image")
    predict(counter(), folder, out, format="zarr")
    heatmap = np.asarray(zarr.open(out / "heatmaps" / "c.zarr"))
    image = read_image(folder / "c.png")
    np.testing.assert_allclose(heatmap, image[..., 0] / 1e3, rtol=1e-6)
    assert predict(counter(), folder, out, format="zarr").num_before == 3
    assert not list((out / "heatmaps").glob(".*"))


def test_heatmaps_can_be_had_without_places(folder, out, tmp_path):
    predict(counter(), folder, out, transform="heatmap")
    assert names_of(out) == [
        *(f"heatmaps/{name}.tif" for name in "abc"),
        "results.csv",
    ]
    predict(counter(), folder, tmp_path / "all")
    counts = [row["count"] for row in rows_of(out)]
    assert counts == [row["count"] for row in rows_of(tmp_path / "all")]


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (segmenter, {"transform": "heatmap"}, "'classes', 'probabilities'"),
        (segmenter, {"format": "jpg"}, "one of 'png', 'tif', 'npy', 'zarr'"),
        (counter, {"format": "png"}, "one of 'tif', 'npy', 'zarr'"),
        (
            segmenter,
            {"transform": "probabilities", "format": "png"},
            "one of 'tif', 'npy', 'zarr'",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    make, options, message, folder, out
):
    with pytest.raises(ValueError, match=message):
        predict(make(), folder, out, **options)
    assert not out.exists()


def test_results_of_other_options_are_not_mixed(folder, out):
    (folder / "d.png").write_bytes(b"no image")
    predict(segmenter(), folder, out)
    with pytest.raises(ValueError, match="has other options"):
        predict(segmenter(), folder, out, transform="probabilities")


def test_what_was_done_is_refused_without_resume(folder, out):
    (folder / "d.png").write_bytes(b"no image")
    predict(segmenter(), folder, out)
    before = rows_of(out)
    with pytest.raises(ValueError, match="would be overwritten"):
        predict(segmenter(), folder, out, resume=False)
    done = predict(segmenter(), folder, out, resume=False, overwrite=True)
    assert (done.num_before, rows_of(out)) == (0, before)


# Patterns


def test_a_pattern_finds_images_in_folders_below(folder, tmp_path):
    (tmp_path / "images" / "deep" / "er").mkdir(parents=True)
    for name in ("d.png", "e.TIF", "notes.txt", ".hidden.png"):
        write_bytes = (folder / "deep" / "er" / name).write_bytes
        write_bytes(b"")
    assert list(find_images(f"{folder}/**/*")) == ["a", "b", "c", "d", "e"]
    assert list(find_images([f"{folder}/**/*.png"])) == ["a", "c", "d"]


def test_a_name_with_brackets_is_a_name(folder):
    (folder / "a.png").rename(folder / "a[1].png")
    assert list(find_images(folder / "a[1].png")) == ["a[1]"]
    with pytest.raises(ValueError, match="no image file matches") as error:
        find_images(folder / "x[1].png")
    assert "x[1].png" in str(error.value)


# Large images


@pytest.mark.usefixtures("_all_is_large")
def test_masks_of_large_images_are_written_band_by_band(folder, out, capsys):
    predict_files(segmenter(), folder, out)
    assert names_of(out) == [
        *(f"masks/{name}" for name in ("a.png", "b.tif", "c.tif")),
        *(f"overlays/{name}.png" for name in "abc"),
        "results.csv",
    ]
    assert capsys.readouterr().out.count("megapixels are written as") == 1
    assert not [path for path in out.rglob(".*")]
    image = read_image(folder / "c.png")
    truth = image[..., 0] > 100
    np.testing.assert_array_equal(read_mask(out / "masks" / "c.tif"), truth)
    assert int(rows_of(out)[2]["pixels_1"]) == truth.sum()
    overlay = read_image(out / "overlays" / "c.png")[:11, :14]
    untouched = ~truth[::3, ::3]
    np.testing.assert_array_equal(
        overlay[untouched], image[::3, ::3][untouched]
    )


@pytest.mark.usefixtures("_all_is_large")
def test_a_large_image_that_fails_leaves_nothing(folder, out):
    image = read_image(folder / "c.png").astype("float32")
    image[-1] = np.nan
    (folder / "c.png").unlink()
    write_image(folder / "c.tif", image)
    (fault,) = predict(segmenter(patch_batch_size=5), folder, out).faults
    assert "c.tif: has 120 values that are not finite numbers" in fault
    assert names_of(out / "masks") == ["a.png", "b.tif"]


@pytest.mark.parametrize("is_large", [False, True])
def test_objects_of_large_images_are_those_of_small_ones(
    is_large, tmp_path, out, request
):
    if is_large:
        request.getfixturevalue("_all_is_large")
    image = np.zeros((33, 40, 3), "uint8")
    image[20, 30, 0] = 40
    write_image(tmp_path / "a.png", image)
    predict(counter(), tmp_path / "a.png", out / "counted")
    (point,) = rows_of(out / "counted", "points.csv")
    assert (point["x"], point["y"]) == ("30.5", "20.5")
    heatmap = read_image(out / "counted" / "heatmaps" / "a.tif")
    np.testing.assert_allclose(heatmap, image[..., :1] / 1e3, rtol=1e-6)
    predict(one_box(), tmp_path / "a.png", out / "found")
    (box,) = rows_of(out / "found", "boxes.csv")
    assert [box[key] for key in ("x1", "y1", "x2", "y2")] == [
        *("30.0", "20.0"),
        *("34.0", "22.0"),
    ]
    for task in ("counted", "found"):
        overlay = read_image(out / task / "overlays" / "a.png")
        step = 3 if is_large else 1
        top, left = 21 // step, 31 // step
        assert overlay[top - 4 : top + 4, left - 4 : left + 4].any()
        assert not overlay[0, 0].any()


def one_box():
    """A model that finds boxes of 4 x 2 where red is lit."""

    def decode(outputs):
        lit = ops.reshape(outputs, (-1, 64, 3))[..., 0]
        places = ops.arange(64)
        x, y = places % 8, places // 8
        boxes = ops.stack([x, y, x + 4, y + 2], axis=-1)[None]
        return {
            "boxes": ops.cast(ops.tile(boxes, (len(lit), 1, 1)), "float32"),
            "scores": ops.where(lit > 0, 0.9, -1.0),
            "labels": ops.zeros_like(lit, "int32"),
        }

    return ObjectDetectionModel(
        net_of(keras.layers.Identity()),
        class_names=["leaf"],
        prediction_decoder=decode,
        patch_size=8,
        overlap=4,
    )


# Devices


def test_an_image_that_a_device_cannot_take_is_found_among_others(folder, out):
    class NotWide(keras.layers.Layer):
        def call(self, inputs):
            if inputs.shape[2] == 14:
                raise MemoryError("no room")
            return inputs

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    model = segmenter(NotWide(), patch_size=48, multiple_of=1, shrink=True)
    (fault,) = predict(model, folder, out).faults
    assert "a.png: cannot be predicted (MemoryError: " in fault
    assert [row["image"] for row in rows_of(out)] == ["b.tif", "c.png"]
