"""Pixels without data are black to a net, and have no result."""

import json

import keras
import numpy as np
import pytest
import rasterio
from exact_models import red_counter, red_model
from image_files import noise
from maps import write_map

import keras_patching as kp

HEIGHT, WIDTH = 70, 90
IMAGE = noise(HEIGHT, WIDTH, 3) // 2 + 10
KNOWN = np.ones((HEIGHT, WIDTH), bool)
KNOWN[20:40, :50] = KNOWN[-9:] = False
BLACK = IMAGE * KNOWN[..., None]
HOW = ("value", "mask", "alpha", "float")


def write(path, how, image=IMAGE):
    """Write an image whose pixels are not all known."""
    if how == "mask":
        return write_map(path, image, valid=KNOWN)
    if how == "alpha":
        alpha = (KNOWN * 255).astype("uint8")[..., None]
        whole = np.concatenate([image, alpha], axis=-1)
        return write_map(path, whole, photometric="rgb", alpha="yes")
    value, dtype = (0, "uint8") if how == "value" else (-9999, "float32")
    whole = np.where(KNOWN[..., None], image.astype(dtype), value)
    whole = whole.astype(dtype)
    return write_map(path, whole, nodata=value)


def conv(filters, activation):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(
                filters, 3, padding="same", activation=activation
            ),
        ]
    )


@pytest.fixture(scope="module")
def segmenter():
    return kp.SemanticSegmentationModel(
        3, conv(3, "softmax"), overlap="auto", patch_size=32
    )


def results_of(model, path, **options):
    (found,) = model.predict_images([path], verbose=False, **options)
    return found


@pytest.mark.parametrize("how", HOW)
def test_the_net_sees_black_and_results_are_filled(tmp_path, segmenter, how):
    path = write(tmp_path / "a.tif", how)
    expected = results_of(segmenter, BLACK)
    expected[~KNOWN] = -1
    found = results_of(segmenter, path, fill=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(segmenter.read_image(path), BLACK)
    with rasterio.open(path) as data_set:
        found = results_of(segmenter, data_set, fill=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("how", HOW)
def test_maps_have_no_data_where_their_source_has_none(
    tmp_path, segmenter, how
):
    path = write(tmp_path / "a.tif", how)
    expected = results_of(segmenter, BLACK, transform="classes")
    for transform in ("classes", None):
        made = results_of(
            segmenter, path, transform=transform, out=tmp_path / "out.tif"
        )
        with rasterio.open(made) as file:
            np.testing.assert_array_equal(file.dataset_mask() != 0, KNOWN)
            found = file.read()
        made.unlink()
        classes = found[0] if transform else found.argmax(axis=0)
        np.testing.assert_array_equal(classes[KNOWN], expected[KNOWN])
        missing = found[:, ~KNOWN]
        assert (missing == missing.flat[0]).all() or np.isnan(missing).all()


def test_a_band_that_is_the_value_alone_is_a_colour(tmp_path, segmenter):
    image = IMAGE.copy()
    image[:, :45, 0] = 0
    path = write_map(tmp_path / "a.tif", image, nodata=0)
    np.testing.assert_array_equal(
        results_of(segmenter, path), results_of(segmenter, image)
    )


def test_where_nothing_has_data_nothing_is_computed(tmp_path):
    known = np.zeros((128, 128), bool)
    known[:32] = True
    image = np.full((128, 128, 3), 7, "uint8")
    path = write_map(tmp_path / "a.tif", image, valid=known)
    model = kp.PatchedModel(conv(2, "relu"), overlap=0, patch_size=32)
    found = results_of(model, path)
    assert model.skipped_share == 0.75
    assert (found[32:] == 0).all()


def test_pixels_of_a_smaller_result_need_one_that_has_data(tmp_path):
    net = keras.Sequential(
        [*conv(2, "relu").layers, keras.layers.AveragePooling2D(2)]
    )
    model = kp.PatchedModel(net, overlap="auto", patch_size=32)
    known = np.zeros((64, 64), bool)
    known[11, 21] = True
    image = np.full((64, 64, 3), 9, "uint8")
    path = write_map(tmp_path / "a.tif", image, valid=known)
    results_of(model, path, out=tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as file:
        assert np.argwhere(file.dataset_mask()).tolist() == [[5, 10]]


@pytest.mark.parametrize("how", ["value", "mask"])
def test_a_level_has_no_results_where_the_level_has_no_data(
    tmp_path, segmenter, how
):
    path = write(tmp_path / "a.tif", how)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    with kp.data.open_image(path, 1) as level:
        made = results_of(segmenter, level, out=tmp_path / "out.tif")
    with rasterio.open(made) as file:
        known = file.read_masks(1) != 0
        # GDAL may take either pixel of two.
        is_inner = ~(KNOWN[::2, ::2] ^ KNOWN[1::2, 1::2])
        np.testing.assert_array_equal(
            known[is_inner], KNOWN[::2, ::2][is_inner]
        )


def test_channels_of_several_files_have_no_data_where_all_have_none(
    tmp_path, segmenter
):
    lowest = IMAGE.min(axis=-1) > 11  # black in one file alone is a colour
    paths = [
        write_map(
            tmp_path / f"{index}.tif",
            IMAGE[..., index] * KNOWN * (lowest if index == 0 else 1),
            nodata=0,
        )
        for index in range(3)
    ]
    with kp.data.open_image(paths) as image:
        made = results_of(segmenter, image, out=tmp_path / "out.tif")
    with rasterio.open(made) as file:
        np.testing.assert_array_equal(file.read_masks(1) != 0, KNOWN)


@pytest.mark.parametrize("level", [None, 0, 1])
def test_what_has_no_data_does_not_count_in_evaluations(tmp_path, level):
    image = np.zeros((48, 64, 3), "uint8")
    image[10:12, 50:52, 0] = 255
    image[30:32, 10:12, 0] = 200
    valid = np.ones(image.shape[:2], bool)
    valid[24:] = False
    true = (image[..., 0] > 0).astype("uint8")
    path = write_map(tmp_path / "a.tif", image, valid=valid)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    step = 2 if level else 1
    with kp.data.open_image(path, level) as opened:
        images = [path if level is None else opened]
        scores = red_model().evaluate_full_images(
            images, [true[::step, ::step]]
        )
        assert scores["mean_iou"] == 1
        count = red_counter().evaluate_full_images(images, [[]])
        (found,) = red_counter().predict_images(images, verbose=False)
    assert count["count_mae"] == pytest.approx(found["count"], rel=1e-5)


def test_a_mask_in_a_file_of_its_own_is_refused(tmp_path, segmenter):
    path = write_map(tmp_path / "a.tif", IMAGE)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(path, "r+") as file,
    ):
        file.write_mask(KNOWN)
    with pytest.raises(ValueError, match=r"a\.tif\.msk says.*gdal_translate"):
        results_of(segmenter, path)


def test_images_that_are_resized_have_no_results_there_either(tmp_path):
    model = kp.SemanticSegmentationModel(
        3, conv(3, "softmax"), overlap="auto", patch_size=32, resize=0.5
    )
    path = write(tmp_path / "a.tif", "mask")
    made = results_of(model, path, transform="classes", out=tmp_path / "b.tif")
    with rasterio.open(made) as file:
        np.testing.assert_array_equal(file.dataset_mask() != 0, KNOWN)
    made = results_of(model, path, out=tmp_path / "c.tif")
    with rasterio.open(made) as file:
        np.testing.assert_array_equal(file.dataset_mask() != 0, KNOWN)


def test_files_count_only_what_has_data(tmp_path, segmenter):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tif", "mask")
    done = kp.inference.predict_files(
        segmenter, tmp_path / "in", tmp_path / "out", verbose=False, report=True
    )
    assert not done.faults
    (row,) = done.rows
    assert sum(row[f"pixels_{index}"] for index in range(3)) == KNOWN.sum()
    assert sum(row[f"fraction_{i}"] for i in range(3)) == pytest.approx(1)
    done = kp.inference.predict_files(
        segmenter,
        tmp_path / "in",
        tmp_path / "p",
        verbose=False,
        transform="probabilities",
        report=True,
    )
    assert not done.faults


def test_objects_without_data_are_not_counted(tmp_path):
    model = kp.HeatmapObjectCountingModel(
        conv(1, "sigmoid"),
        overlap="auto",
        patch_size=32,
        density_map_sigma=1.0,
    )
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in" / "a.tif", "value")
    expected = results_of(model, BLACK, transform="heatmap")[KNOWN].sum()
    done = kp.inference.predict_files(
        model, tmp_path / "in", tmp_path / "out", verbose=False, report=True
    )
    assert done.rows[0]["count"] == pytest.approx(expected, rel=1e-3)
    assert results_of(model, path)["count"] == pytest.approx(expected, rel=1e-5)
    with rasterio.open(tmp_path / "out" / "heatmaps" / "a.tif") as file:
        assert np.isnan(file.nodata)
        np.testing.assert_array_equal(~np.isnan(file.read(1)), KNOWN)


@pytest.mark.parametrize("resize", [None, 0.5])
def test_the_mean_doubt_is_of_pixels_that_have_data(resize, tmp_path):
    model = kp.SemanticSegmentationModel(
        2,
        conv(2, "softmax"),
        overlap="auto",
        patch_size=32,
        resize=resize,
        test_time_augmentation="left_right",
    )
    path = write(tmp_path / "a.tif", "value")
    done = kp.inference.predict_files(
        model, path, tmp_path / "out", transform="doubt", verbose=False
    )
    with rasterio.open(tmp_path / "out" / "doubts" / "a.tif") as file:
        expected = np.nanmean(file.read(1))
    assert expected > 1e-4
    assert done.rows[0]["doubt"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.filterwarnings("ignore:The patches of .* do not overlap")
def test_boxes_whose_center_has_no_data_are_dropped(tmp_path):
    net = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])

    def decode(outputs, **options):
        boxes = np.tile(
            [[[8.0, 8, 16, 16], [2, 2, 6, 6]]], (len(outputs), 1, 1)
        )
        return {
            "boxes": boxes,
            "scores": np.tile([[0.9, 0.8]], (len(outputs), 1)),
            "labels": np.zeros((len(outputs), 2), int),
        }

    model = kp.ObjectDetectionModel(
        patch_model=net,
        class_names=("plant",),
        prediction_decoder=decode,
        patch_size=32,
    )
    known = np.zeros((64, 64), bool)
    known[:32, 10:40] = True
    path = write_map(tmp_path / "a.tif", noise(64, 64, 3), valid=known)
    found = results_of(model, path)
    assert found["boxes"].tolist() == [[8, 8, 16, 16], [34, 2, 38, 6]]


def test_points_of_maps_are_written_in_longitude_and_latitude(tmp_path):
    net = conv(1, "sigmoid")
    model = kp.HeatmapObjectCountingModel(
        net, overlap="auto", patch_size=32, density_map_sigma=1.0
    )
    (tmp_path / "in").mkdir()
    path = write_map(tmp_path / "in" / "a.tif", IMAGE)
    kp.data.write_image(tmp_path / "in" / "b.png", IMAGE)
    done = kp.inference.predict_files(
        model, tmp_path / "in", tmp_path / "out", verbose=False
    )
    written = json.loads((tmp_path / "out" / "points.geojson").read_text())
    rows = [row for row in done.tables["points.csv"] if row["image"] == "a.tif"]
    points = [(row["y"], row["x"]) for row in rows]
    properties = [{"image": "a.tif", "score": row["score"]} for row in rows]
    assert written == kp.data.to_geojson(
        path, points=np.reshape(points, (-1, 2)), properties=properties
    )


@pytest.mark.parametrize("resize", [(33, 20), 0.4, 1.7])
def test_a_pixel_that_has_data_has_a_result_also_where_it_is_resized(
    tmp_path, resize
):
    """Of a pixel that is read, some may have data and some none."""
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    weights = [np.zeros((1, 1, 3, 1)), np.full(1, 5.0)]
    net.layers[-1].set_weights(weights)
    model = kp.HeatmapObjectCountingModel(
        net, patch_size=32, density_scale=1, resize=resize
    )
    path = write(tmp_path / "a.tif", "mask")
    found = results_of(model, path, transform=lambda outputs: outputs)
    np.testing.assert_array_equal(found[KNOWN], 5)
    assert (found[25:35, :40] == 0).all()
