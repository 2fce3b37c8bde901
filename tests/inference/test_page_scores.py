"""The page compares what was found with what is true, where that is given."""

import json

import keras
import numpy as np
import pytest
from exact_models import detector, red_counter, red_model
from page_reader import PageReader

import keras_patching as kp
from keras_patching.data.images.image_io import write_whole_image
from keras_patching.inference.file_prediction import predict_files


def predict(model, folder, truth, **kwargs):
    out = folder / "out"
    done = predict_files(
        model,
        folder / "images",
        out,
        verbose=False,
        report=True,
        truth=truth,
        **kwargs,
    )
    assert not done.faults
    return PageReader((out / "report.html").read_text("utf-8"))


def cells(page, name):
    """Give the numbers of an image by the header, without the unit."""
    (row,) = (row for row in page.rows if row[1][0].startswith(name))
    return {
        head: number for head, (_, number) in zip(page.head, row, strict=True)
    }


@pytest.fixture
def reds(tmp_path):
    """Images whose left half is red, and a mask of the left quarter."""
    for name in "ab":
        image = np.full((8, 16, 3), 9, "uint8")
        image[:, :8, 0] = 200
        write_whole_image(tmp_path / "images" / f"{name}.png", image)
    mask = np.zeros((8, 16), "uint8")
    mask[:, :4] = 1
    mask[0, 8:] = 255
    write_whole_image(tmp_path / "masks" / "a.png", mask)
    return tmp_path


def test_masks_have_ious_and_show_the_truth_and_the_errors(reds):
    page = predict(red_model(ignore_value=255), reds, reds / "masks")
    head = "Mean IoUof classes in truth or found"
    # Of class 0: 56 shared of 88 pixels, of class 1: 32 of 64.
    assert float(cells(page, "a")[head]) == pytest.approx(
        (56 / 88 + 32 / 64) / 2
    )
    assert cells(page, "b")[head] == "NaN"
    assert "class 150.0%50.0%100.0%" in page.text  # IoU, precision, recall
    assert "true class 0" in page.text
    layers = [found.get("data-layer") for found in page.named("img")]
    truth = np.asarray(page.pictures()[layers.index("truth")])
    errors = np.asarray(page.pictures()[layers.index("errors")])
    assert (truth[..., 3] > 0).tolist() == [[True] * 4 + [False] * 12] * 8
    wrong = [False] * 4 + [True] * 4 + [False] * 8
    assert (errors[..., 3] > 0).tolist() == [wrong] * 8


def test_shapes_are_a_truth_too(reds):
    shape = {"label": "leaf", "points": [[0, 0], [4, 8]], "flags": {}}
    content = {
        "shapes": [{**shape, "shape_type": "rectangle", "group_id": None}],
        "imagePath": "a.png",
        "imageData": None,
    }
    (reds / "shapes").mkdir()
    (reds / "shapes" / "a.json").write_text(json.dumps(content))
    page = predict(red_model(), reds, reds / "shapes")
    head = "Mean IoUof classes in truth or found"
    found = float(cells(page, "a")[head])
    assert found == pytest.approx((64 / 96 + 32 / 64) / 2)
    assert cells(page, "b")[head] == "NaN"


def test_scores_are_those_of_evaluate_full_images(reds):
    model = red_model(ignore_value=255)
    page = predict(model, reds, {"a.png": reds / "masks" / "a.png"})
    scores = model.evaluate_full_images(
        [reds / "images" / "a.png"], [reds / "masks" / "a.png"]
    )
    assert f"mean{scores['mean_iou']:.1%}" in page.text


def test_logits_far_below_zero_are_scored_too(reds):
    layer = keras.layers.Conv2D(2, 1)
    net = keras.Sequential([keras.Input((None, None, 3)), layer])
    red = [[0, 0.2], [0, 0], [0, 0]]
    layer.set_weights([np.reshape(red, (1, 1, 3, 2)), np.array([-20, -40])])
    model = kp.SemanticSegmentationModel(
        2, net, patch_size=8, activation="linear", ignore_value=255
    )
    truth = {"a.png": reds / "masks" / "a.png"}
    page = predict(model, reds, truth, transform="probabilities")
    head = "Mean IoUof classes in truth or found"
    scores = model.evaluate_full_images(
        [reds / "images" / "a.png"], list(truth.values())
    )
    assert float(cells(page, "a")[head]) == pytest.approx(scores["mean_iou"])


def test_counts_have_errors_and_places_have_scores(tmp_path):
    for name, columns in (("none", []), ("two", [3, 12])):
        image = np.zeros((10, 16, 3), "uint8")
        image[4, columns, 0] = 250
        write_whole_image(tmp_path / "images" / f"{name}.png", image)
    (tmp_path / "points.csv").write_text("none\ntwo,3,4,9,2,12,5")
    page = predict(red_counter(), tmp_path, tmp_path / "points.csv")
    two = cells(page, "two")
    assert two["True count"] == "3"
    assert float(two["Errorcount - true"]) == -2.5
    assert float(two["F1of places within 4 px"]) == pytest.approx(0.8)
    assert cells(page, "none")["True count"] == "0"
    assert "images with a truth2" in page.text
    assert "recall of places66.7%" in page.text
    assert len(page.named("circle", cx="9", cy="2")) == 1


def test_boxes_have_hits_of_their_class(tmp_path):
    image = np.zeros((13, 18, 3), "uint8")
    image[2, 1, 0], image[11, 12, 1] = 90, 60
    write_whole_image(tmp_path / "images" / "a.png", image)
    entries = [
        {"all_points_x": [x, x + 4], "all_points_y": [y, y + 2], "label": name}
        for x, y, name in ((1, 2, "leaf"), (12, 11, "leaf"), (6, 6, "fruit"))
    ]
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"a.png": {"objects": entries}}))
    page = predict(detector(), tmp_path, labels)
    # Of two found boxes one is right, and three are true.
    assert float(cells(page, "a")["F1at IoU 0.5"]) == pytest.approx(2 / 5)
    assert cells(page, "a")["True boxes"] == "3"
    assert "leaf211100.0%50.0%66.7%" in page.text
    assert "all32150.0%33.3%40.0%" in page.text
    assert page.named("g", **{"class": "dashed"})


def test_a_truth_of_no_image_is_refused_before_anything_is_done(reds):
    with pytest.raises(ValueError, match="is of none"):
        predict(red_model(), reds, {"c.png": np.zeros((8, 16), "uint8")})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        predict(red_model(), reds, reds / "nowhere")
    with pytest.raises(ValueError, match=r"as high and wide"):
        predict(red_model(), reds, {"a.png": np.zeros((8, 9), "uint8")})
    assert not (reds / "out").exists()


def test_a_truth_without_a_page_is_refused(reds):
    with pytest.raises(ValueError, match="`--report`"):
        predict_files(
            red_model(),
            reds / "images",
            reds / "out",
            verbose=False,
            truth=reds / "masks",
        )


def test_a_file_of_truth_needs_images_of_one_folder(reds):
    write_whole_image(reds / "others" / "c.png", np.zeros((8, 16, 3), "uint8"))
    folders = [reds / "images", reds / "others"]
    with pytest.raises(ValueError, match="images of 2 folders"):
        predict_files(
            red_model(),
            folders,
            reds / "out",
            verbose=False,
            report=True,
            truth=reds / "masks",
        )
