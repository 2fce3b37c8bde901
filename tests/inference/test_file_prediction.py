"""Files are predicted one by one; one that fails does not stop the others."""

import csv
import json

import keras
import numpy as np
import pytest
from exact_models import detector, red_counter, red_model

from keras_patching import (
    PatchedModel,
    SemanticSegmentationModel,
    read_boxes,
)
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.points_csv import read_points_csv
from keras_patching.inference.file_prediction import load_model, predict_files
from keras_patching.inference.source_files import find_images
from keras_patching.visualization import COLORS


@pytest.fixture(scope="module")
def counter():
    return red_counter()


@pytest.fixture(scope="module")
def model():
    return red_model()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.tif", "c.2.png"):
        image = rng.integers(0, 256, (10, 14, 3), dtype=np.uint8)
        write_image(folder / name, image)
    return folder


def read_rows(out, name="results.csv"):
    with open(out / name, newline="") as stream:
        return list(csv.DictReader(stream))


def predict(model, paths, out, **kwargs):
    return predict_files(model, paths, out, verbose=False, **kwargs)


def test_each_image_has_a_mask_an_overlay_and_a_row(model, folder, tmp_path):
    out = tmp_path / "new" / "out"
    done = predict(model, [folder], out)
    assert done.faults == []
    rows = read_rows(out)
    assert [row["image"] for row in rows] == ["a.png", "b.tif", "c.2.png"]
    for row in rows:
        truth = read_image(folder / row["image"])[..., 0] > 100
        name = f"{row['image'].rpartition('.')[0]}.png"
        np.testing.assert_array_equal(read_mask(out / "masks" / name), truth)
        # A viewer shows colours, where ids alone would be black.
        shown = read_image(out / "masks" / name)
        np.testing.assert_array_equal(shown[truth], COLORS[:1] * truth.sum())
        overlay = read_image(out / "overlays" / name)
        assert overlay.shape[0] >= 10
        assert overlay.shape[1] >= 14
        assert (row["height"], row["width"]) == ("10", "14")
        assert int(row["pixels_1"]) == truth.sum()
        assert int(row["pixels_0"]) + int(row["pixels_1"]) == 140
        assert float(row["fraction_1"]) == pytest.approx(truth.mean())
        assert float(row["seconds"]) > 0
    assert len([path for path in out.rglob("*") if path.is_file()]) == 7


@pytest.fixture
def dots(tmp_path):
    """Three images with none, one and two dots of 40 thousandths each."""
    places = {"none": [], "one": [(3, 12)], "two": [(9, 0), (2, 2)]}
    (tmp_path / "dots").mkdir()
    for name, points in places.items():
        image = np.zeros((10, 14, 3), "uint8")
        for y, x in points:
            image[y, x, 0] = 40
        write_image(tmp_path / "dots" / f"{name}.png", image)
    return tmp_path / "dots", places


def test_each_image_has_a_heatmap_an_overlay_and_a_count(
    counter, dots, tmp_path
):
    folder, places = dots
    out = tmp_path / "out"
    done = predict(counter, [folder], out)
    assert done.faults == []
    for row in read_rows(out):
        stem = row["image"].removesuffix(".png")
        image = read_image(folder / row["image"])
        heatmap = read_image(out / "heatmaps" / f"{stem}.tif")
        assert heatmap.dtype == "float32"
        np.testing.assert_allclose(heatmap, image[..., :1] / 1e3, rtol=1e-6)
        overlay = read_image(out / "overlays" / f"{stem}.png")
        height, width, _ = image.shape
        drawn = (overlay[:height, :width] != image).any()
        assert drawn == bool(places[stem])
        assert len(overlay) > height  # what the rings are, and how many
        assert row["count"] == str(round(0.04 * len(places[stem]), 2))
        assert row["located"] == str(len(places[stem]))
    assert len([path for path in out.rglob("*") if path.is_file()]) == 8


def test_located_points_can_be_loaded_as_labels(counter, dots, tmp_path):
    folder, places = dots
    out = tmp_path / "out"
    predict(counter, [folder], out)
    labels = read_points_csv(
        out / "points.csv", list_images(folder), unlabelled="empty"
    )
    found = {path.stem: each.points.tolist() for path, each in labels.items()}
    assert found == {
        name: sorted([y + 0.5, x + 0.5] for y, x in points)
        for name, points in places.items()
    }
    rows = read_rows(out, "points.csv")
    assert [row["image"] for row in rows] == ["one.png", "two.png", "two.png"]
    assert all(0.9 < float(row["score"]) < 1.1 for row in rows)
    with pytest.raises(ValueError, match=r"points\.csv"):
        predict(counter, [folder], out)


# Per image x1, y1, class and score in percent; each 4 wide and 2 high.
BLOCKS = {
    "empty": [],
    "two, far": [(1, 2, 0, 90), (12, 11, 1, 60)],
    "weak": [(3, 4, 1, 20), (9, 1, 1, 50)],
}


@pytest.fixture
def trays(tmp_path):
    (tmp_path / "trays").mkdir()
    for name, objects in BLOCKS.items():
        image = np.zeros((13, 18, 3), "uint8")
        for x, y, label, score in objects:
            image[y, x, label] = score
        write_image(tmp_path / "trays" / f"{name}.png", image)
    return tmp_path / "trays"


def test_each_image_has_an_overlay_its_boxes_and_their_number(trays, tmp_path):
    out = tmp_path / "out"
    done = predict(detector(), [trays], out)
    assert done.faults == []
    rows = {row["image"]: row for row in read_rows(out)}
    counts = [
        [rows[f"{name}.png"][f"count{end}"] for end in ("", "_leaf", "_fruit")]
        for name in BLOCKS
    ]
    assert counts == [["0"] * 3, ["2", "1", "1"], ["1", "0", "1"]]
    assert read_rows(out, "boxes.csv") == [
        dict(
            zip(
                ("image", "x1", "y1", "x2", "y2", "score", "label"),
                values,
                strict=True,
            )
        )
        for values in (
            ("two, far.png", "1.0", "2.0", "5.0", "4.0", "0.9", "leaf"),
            ("two, far.png", "12.0", "11.0", "16.0", "13.0", "0.6", "fruit"),
            ("weak.png", "9.0", "1.0", "13.0", "3.0", "0.5", "fruit"),
        )
    ]
    for name, objects in BLOCKS.items():
        overlay = read_image(out / "overlays" / f"{name}.png")
        image = read_image(trays / f"{name}.png")
        height, width, _ = image.shape
        assert (overlay[:height, :width] != image).any() == bool(objects)
        assert len(overlay) > height  # the names of the classes
    assert len([path for path in out.rglob("*") if path.is_file()]) == 6


def test_boxes_are_written_in_the_format_of_coco(trays, tmp_path):
    predict(detector(), [trays], tmp_path / "out")
    coco = json.loads((tmp_path / "out" / "coco.json").read_text("utf-8"))
    assert coco["categories"] == [
        {"id": 1, "name": "leaf"},
        {"id": 2, "name": "fruit"},
    ]
    assert [image["file_name"] for image in coco["images"]] == [
        f"{name}.png" for name in BLOCKS
    ]
    for image in coco["images"]:
        assert (image["height"], image["width"]) == (13, 18)
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    assert coco["annotations"][1] == {
        "id": 2,
        "image_id": 2,
        "category_id": 2,
        "bbox": [12, 11, 4, 2],
        "area": 8,
        "iscrowd": 0,
        "score": 0.6,
    }
    assert [names[each["image_id"]] for each in coco["annotations"]] == [
        "two, far.png",
        "two, far.png",
        "weak.png",
    ]
    read = read_boxes(
        tmp_path / "out/coco.json", trays, class_names=detector().class_names
    )
    assert [len(each["boxes"]) for each in read.values()] == [0, 2, 1]
    assert read["two, far.png"]["boxes"][1].tolist() == [12, 11, 16, 13]
    with pytest.raises(ValueError, match=r"coco\.json"):
        predict(detector(), [trays / "weak.png"], tmp_path / "out")


def test_a_lower_score_threshold_finds_more(trays, tmp_path):
    found = []
    for score in (0.1, 0.55):
        done = predict(
            detector(), [trays], tmp_path / f"{score}", score_threshold=score
        )
        found.append([row["count"] for row in done.rows])
    assert found == [[0, 2, 2], [0, 2, 0]]


def test_options_of_other_tasks_are_refused(model, folder, tmp_path):
    with pytest.raises(ValueError, match="no option score_threshold"):
        predict(model, [folder], tmp_path / "out", score_threshold=0.5)
    assert not (tmp_path / "out").exists()


def test_classes_without_a_name_are_a_fault_of_the_file(trays, tmp_path):
    done = predict(detector(class_names=("leaf",)), [trays], tmp_path / "out")
    assert len(done.rows) == 1
    assert len(done.faults) == 2
    assert "weak.png: A box has the label 1" in done.faults[1]
    assert "class_names=('leaf',)" in done.faults[1]


def test_files_that_fail_are_named_and_the_others_done(model, folder, tmp_path):
    (folder / "bad.png").write_bytes(b"no image")
    write_image(folder / "deep.tif", np.full((9, 9, 3), 4000, "uint16"))
    write_image(folder / "five.tif", np.zeros((9, 9, 5), "uint8"))
    missing = folder / "missing.png"
    done = predict(model, [missing, folder], tmp_path / "out")
    assert len(done.rows) == len(read_rows(tmp_path / "out")) == 3
    expected = {
        missing: "no such file",
        folder / "bad.png": "not an image",
        folder / "deep.tif": "takes values from 0 to 255",
        folder / "five.tif": "has 5 channels, expected 3",
    }
    assert len(done.faults) == len(expected)
    for (path, message), fault in zip(
        expected.items(), done.faults, strict=True
    ):
        assert fault.startswith(f"{path}: ")
        assert message in fault
        assert not (tmp_path / "out" / "masks" / f"{path.stem}.png").exists()


def test_what_the_model_refuses_is_a_fault_of_the_file(folder, tmp_path):
    model = red_model()
    model.channels = None  # so that only the net says what it takes
    write_image(folder / "b.tif", np.zeros((9, 9, 5), "uint8"))
    done = predict(model, [folder], tmp_path / "out")
    assert len(done.rows) == 2
    assert "b.tif: has 5 channels, expected 3" in done.faults[0]
    assert "memory" not in done.faults[0]


def test_an_image_that_memory_cannot_hold_is_a_fault(folder, tmp_path):
    class Full(keras.layers.Layer):
        is_full = False

        def call(self, inputs):
            if self.is_full:
                raise MemoryError("no room")
            return inputs

    full = Full()
    layers = full, keras.layers.Conv2D(2, 1, activation="softmax")
    net = keras.Sequential([keras.Input((None, None, 3)), *layers])
    model = SemanticSegmentationModel(2, net, patch_size=8)
    assert model.built
    full.is_full = True
    done = predict(model, [folder], tmp_path / "out")
    assert not done.rows
    assert "cannot be predicted (MemoryError: " in done.faults[0]
    assert "patch_batch_size" in done.faults[0]


def test_images_of_one_name_are_refused_before_predicting(
    model, folder, tmp_path
):
    other = tmp_path / "other"
    other.mkdir()
    write_image(other / "a.tif", np.zeros((8, 8, 3), "uint8"))
    with pytest.raises(ValueError, match="overwrite each other") as caught:
        predict(model, [folder, other], tmp_path / "out")
    assert f"{folder / 'a.png'} and {other / 'a.tif'}" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_file_named_twice_is_predicted_once(folder):
    images = find_images([folder / "b.tif", folder])
    assert list(images) == ["b", "a", "c.2"]


def test_results_are_replaced_only_on_demand(model, folder, tmp_path):
    truth = tmp_path / "masks" / "a.png"
    truth.parent.mkdir()
    truth.write_bytes(b"precious")
    with pytest.raises(ValueError, match="would be overwritten") as caught:
        predict(model, [folder], tmp_path)
    assert str(truth) in str(caught.value)
    assert truth.read_bytes() == b"precious"
    predict(model, [folder], tmp_path, overwrite=True)
    assert truth.read_bytes() != b"precious"


def test_an_output_that_cannot_be_written_stops_all(model, folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="cannot be written"):
        predict(model, [folder], tmp_path / "file" / "out")


def test_a_saved_model_predicts_the_same(model, folder, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    first = predict(model, [folder / "a.png"], tmp_path / "1").rows[0]
    second = predict(loaded, [folder / "a.png"], tmp_path / "2").rows[0]
    assert first["pixels_1"] == second["pixels_1"] > 0


def test_models_that_cannot_be_used_are_refused(folder, tmp_path):
    plain = PatchedModel(red_model().patch_model, patch_size=8)
    with pytest.raises(ValueError, match="is a PatchedModel"):
        predict(plain, [folder], tmp_path / "out")
    plain.patch_model.save(tmp_path / "plain.keras")
    with pytest.raises(ValueError, match="is a Sequential"):
        load_model(tmp_path / "plain.keras")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_model(folder / "a.png")
    (tmp_path / "bad.keras").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"bad\.keras: cannot be loaded"):
        load_model(tmp_path / "bad.keras")
    with pytest.raises(FileNotFoundError, match=r"model\.save"):
        load_model(tmp_path / "missing.keras")


def test_a_model_without_patch_size_is_refused_at_once(folder, tmp_path):
    model = SemanticSegmentationModel(2, red_model().patch_model)
    with pytest.raises(ValueError, match="set_patch_size"):
        predict(model, [folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()
