"""What is written of images that the model resizes is of their files."""

import csv

import numpy as np
import pytest
from exact_models import detector, red_counter, red_model

from keras_patching import cli, inference
from keras_patching.data import read_image, read_mask, write_image
from keras_patching.data.images.resampling import resampled


@pytest.fixture
def path(tmp_path):
    """An image whose left is red, with one green block."""
    image = np.zeros((26, 40, 3), "uint8")
    image[:, :12, 0] = 160
    image[10:12, 20:22, 1] = 120
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "leaf.tif", image)
    return tmp_path / "images" / "leaf.tif"


def predict(model, path, **options):
    out = path.parents[1] / "out"
    done = inference.predict_files(
        model, [path], out, verbose=False, report=True, **options
    )
    assert done.faults == []
    (row,) = done.rows
    assert (row["height"], row["width"]) == (26, 40)
    overlay = read_image(out / "overlays" / "leaf.png")
    assert overlay.shape[0] >= 26
    assert overlay.shape[1] >= 40
    assert (out / "report.html").exists()
    return out, row, overlay


def rows_of(out, name):
    with open(out / name, newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("resize", [0.5, (40, 31)])
def test_masks_have_the_pixels_of_the_file(resize, path):
    model = red_model(resize=resize)
    mask = model.decode_predictions(
        model.predict(model.read_image(path)[None], verbose=0)
    )[0]
    expected = resampled(mask, (26, 40), "nearest")
    truth = path.parents[1] / "truth"
    truth.mkdir()
    write_image(truth / "leaf.png", expected)
    out, row, overlay = predict(model, path, truth=truth)
    found = read_mask(out / "masks" / "leaf.png")
    np.testing.assert_array_equal(found, expected)
    assert row["pixels_1"] == expected.sum()
    # What the mask is drawn over is the file.
    np.testing.assert_array_equal(
        overlay[:26, 20:40][expected[:, 20:] == 0],
        read_image(path)[:, 20:][expected[:, 20:] == 0],
    )


def test_probabilities_have_the_pixels_of_the_file(path):
    model = red_model(resize=0.5)
    out, _, _ = predict(model, path, transform="probabilities", format="npy")
    alone = model.predict(model.read_image(path)[None], verbose=0)[0]
    np.testing.assert_allclose(
        read_image(out / "probabilities" / "leaf.npy"),
        resampled(alone, (26, 40), "nearest"),
        atol=1e-6,
    )


def test_heatmaps_and_points_are_in_pixels_of_the_file(path):
    image = np.zeros((26, 40, 3), "uint8")
    image[8:10, 24:26, 0] = 40
    write_image(path, image)
    model = red_counter(resize=0.5)
    out, row, _ = predict(model, path)
    heatmap = read_image(out / "heatmaps" / "leaf.tif")
    assert heatmap.shape == (26, 40, 1)
    assert heatmap.sum() == pytest.approx(row["count"], abs=0.005)
    (point,) = rows_of(out, "points.csv")
    assert (point["x"], point["y"]) == ("25.0", "9.0")


def test_places_on_the_page_are_scored_where_sigma_is(path):
    image = np.zeros((26, 40, 3), "uint8")
    image[8:10, 24:26, 0] = 40
    write_image(path, image)
    # A tolerance of 4 resized pixels is one of 8 of the file.
    for distance, f1 in [(7, "100.0%"), (9, "0.0%")]:
        truth = {"leaf.tif": [(9, 25 + distance)]}
        out, _, _ = predict(
            red_counter(resize=0.5), path, truth=truth, overwrite=True
        )
        page = (out / "report.html").read_text("utf-8")
        assert "within 4 resized px" in page
        assert f">{f1}<" in page
    scores = [
        red_counter(resize=0.5).evaluate_full_images(
            [path], [[(9, 25 + distance)]]
        )["f1"]
        for distance in (7, 9)
    ]
    assert scores == [1, 0]


def test_boxes_are_in_pixels_of_the_file(path):
    image = np.zeros((26, 40, 3), "uint8")
    image[10:12, 20:22, 1] = 120
    write_image(path, image)
    out, row, _ = predict(detector(resize=0.5), path, score_threshold=0.5)
    boxes = [
        [float(each[corner]) for corner in ("x1", "y1", "x2", "y2")]
        for each in rows_of(out, "boxes.csv")
    ]
    assert boxes == [[20, 10, 28, 14]]
    assert row["count_fruit"] == 1


def test_the_commands_take_models_that_resize(path, capsys):
    folder = path.parents[1]
    red_model(resize=0.5).save(folder / "model.keras")
    model, out = str(folder / "model.keras"), str(folder / "out")
    assert cli.main(["predict", model, str(path), "--out", out]) == 0
    assert read_mask(folder / "out" / "masks" / "leaf.png").shape == (26, 40)
    assert cli.main(["verify", model, str(path)]) == 0
    assert "13 x 20 pixels (resize=0.5" in capsys.readouterr().out
