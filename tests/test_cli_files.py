"""The commands that read and write files: inspect, export, predict, verify."""

import csv
import json

import keras
import numpy as np
import pytest

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    PatchedModel,
    PatchingSequence,
    SemanticSegmentationModel,
    cli,
    load_heatmap_dataset_with_csv_from_directory,
    load_yolo_dataset_from_directory,
)
from keras_patching.data.images.image_io import read_image, write_image


@pytest.fixture
def field(tmp_path):
    rng = np.random.default_rng(0)
    for folder, shape, values in (
        ("images", (10, 14, 3), (0, 256)),
        ("masks", (10, 14), (0, 2)),
    ):
        (tmp_path / folder).mkdir()
        for index in range(2):
            array = rng.integers(*values, shape, dtype=np.uint8)
            write_image(tmp_path / folder / f"{index}.png", array)
    return tmp_path


@pytest.fixture
def cache(field, capsys):
    folders = str(field / "images"), str(field / "masks")
    assert cli.main(["patch", *folders, "--patch-size", "8"]) == 0
    capsys.readouterr()
    return field / "images_patches"


@pytest.fixture
def model(tmp_path):
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    path = tmp_path / "model.keras"
    model = SemanticSegmentationModel(2, patch_model, patch_size=8)
    model.build((None, 8, 8, 3))
    model.save(path)
    return path


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect"],
        ["export", "cache"],
        ["predict", "model.keras", "--out", "found"],
        ["predict", "model.keras", "images"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        run(*arguments)
    assert exit_info.value.code == 2
    assert "usage: keras-patching" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["inspect", "export", "predict"])
def test_help_names_the_defaults(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        run(command, "--help")
    assert exit_info.value.code == 0
    assert "default: " in " ".join(capsys.readouterr().out.split())


def test_inspect_prints_what_is_there_and_draws_it(cache, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert run("inspect", cache, "--out", sheet) == 0
    printed = capsys.readouterr().out
    (manifest,) = cache.glob("*.json")
    assert printed.startswith(str(manifest))
    assert "segmentation" in printed
    assert str(sheet) in printed
    assert read_image(sheet).shape[2] == 3


def test_inspect_writes_a_page_that_shows_patches(cache, tmp_path, capsys):
    path = tmp_path / "new" / "page.html"
    assert run("inspect", cache, "--report", path) == 0
    assert f"Page  {path}" in capsys.readouterr().out
    assert "_y0000_x0000" in path.read_text("utf-8")


def test_inspect_names_a_picture_that_it_cannot_write(cache, tmp_path, capsys):
    sheet = tmp_path / "sheet.xyz"
    assert run("inspect", cache, "--out", sheet) == 1
    assert f"error: {sheet}: .xyz cannot hold" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.xyz")] == []


def test_a_folder_is_no_picture_and_a_file_no_folder(
    cache, model, field, capsys
):
    assert run("inspect", cache, "--out", field) == 1
    assert f"error: {field}: is a folder, expected" in capsys.readouterr().err
    images, file = field / "images", field / "images" / "0.png"
    before = file.read_bytes()
    assert run("predict", model, images, "--out", file) == 1
    assert f"error: {file}: is a file, expected" in capsys.readouterr().err
    assert run("predict", model, images, "--out", file / "found") == 1
    assert "one of its folders is a file" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_inspect_of_several_caches_shows_the_good_ones(cache, field, capsys):
    masks = str(field / "masks")
    run("patch", field / "images", masks, "--patch-size", "4")
    (cache / "bad.json").write_text("{}")
    capsys.readouterr()
    assert run("inspect", cache) == 1
    captured = capsys.readouterr()
    assert "2 caches, " in captured.out
    assert "bad.json" in captured.err
    assert "Traceback" not in captured.err


def test_export_writes_files_or_a_copy(cache, tmp_path, capsys):
    assert run("export", cache, tmp_path / "files") == 0
    assert len(list((tmp_path / "files").glob("*/*.png"))) == 16
    assert run("export", cache, tmp_path / "copy", "--copy") == 0
    assert str(tmp_path / "copy") in capsys.readouterr().out
    assert PatchingSequence(tmp_path / "copy").num_samples == 8
    assert run("export", cache, tmp_path / "copy") == 1
    assert "is not empty" in capsys.readouterr().err


def test_predict_writes_masks_and_a_table(model, field, capsys):
    out = field / "found"
    assert run("predict", model, field / "images", "--out", out) == 0
    captured = capsys.readouterr()
    assert "Predicted 2 of 2 images" in captured.out
    assert captured.err == ""
    with open(out / "results.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    assert run("predict", model, field / "images", "--out", out) == 1
    assert "--overwrite" in capsys.readouterr().err
    again = ("predict", model, field / "images", "--out", out, "--overwrite")
    assert run(*again) == 0


def test_predict_writes_a_page_that_shows_the_images(model, field, capsys):
    out = field / "found"
    asked = "predict", model, field / "images", "--out", out
    assert run(*asked, "--report") == 0
    assert f"Page  {out / 'report.html'}" in capsys.readouterr().out
    page = (out / "report.html").read_text("utf-8")
    for path in (field / "images").iterdir():
        assert f'alt="{path.name}"' in page


def test_predict_keeps_to_a_device_memory(model, field, capsys):
    asked = "predict", model, field / "images", "--out", field / "found"
    assert run(*asked, "--device-memory", "1KB") == 1
    (first, *_) = capsys.readouterr().err.splitlines()
    assert "0.png: A patch of 8 x 8 pixels takes about" in first
    assert run(*asked, "--device-memory", "0.1 MB") == 0


def test_predict_scores_images_whose_masks_are_given(model, field, capsys):
    out, masks = field / "found", field / "masks"
    asked = "predict", model, field / "images", "--out", out
    assert run(*asked, "--report", "--truth", masks) == 0
    assert "Scores of pixels" in (out / "report.html").read_text("utf-8")
    assert run(*asked, "--truth", masks) == 1
    assert "--report" in capsys.readouterr().err


def test_counting_is_inspected_exported_and_predicted(field, capsys):
    (field / "images" / "points.csv").write_text("0,3,4,12.5,9\n1")
    cache = load_heatmap_dataset_with_csv_from_directory(
        field / "images", "points.csv", 8, verbose=False
    ).manifest_path
    assert run("inspect", cache, "--out", field / "sheet.png") == 0
    assert "2" in capsys.readouterr().out.split("objects")[-1].split()
    assert run("export", cache, field / "files") == 0
    assert len(list((field / "files").glob("images/*.json"))) == 8
    assert len(list((field / "files").glob("heatmaps/*.tif"))) == 8
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    model = HeatmapObjectCountingModel(patch_model, patch_size=8)
    model.build((None, 8, 8, 3))
    model.save(field / "counter.keras")
    out = field / "found"
    images = field / "images"
    assert run("predict", field / "counter.keras", images, "--out", out) == 0
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))
    assert names == [
        "heatmaps/0.tif",
        "heatmaps/1.tif",
        "overlays/0.png",
        "overlays/1.png",
        "points.csv",
        "results.csv",
    ]


@pytest.fixture(params=["patches", "images"])
def boxes(field, request):
    """A cache of two images, of which one has no objects and no patches."""
    box = {"all_points_x": [2, 9], "all_points_y": [3, 8]}
    labels = {"0": {"objects": [box]}, "1": {"objects": []}}
    (field / "labels.json").write_text(json.dumps(labels))
    return load_yolo_dataset_from_directory(
        field / "labels.json",
        field / "images",
        8,
        grid_size=2,
        store=request.param,
        verbose=False,
    ).manifest_path


def test_detection_is_inspected_and_exported(boxes, field, capsys):
    assert run("inspect", boxes, "--out", field / "sheet.png") == 0
    printed = capsys.readouterr().out
    assert "1, which are " in printed
    assert "plant " in printed
    assert run("export", boxes, field / "files") == 0
    stems = [
        {path.stem for path in (field / "files" / folder).iterdir()}
        for folder in ("images", "labels")
    ]
    assert len(stems[0]) == PatchingSequence(boxes).num_samples
    assert stems[0] == stems[1]
    assert {path.name for path in (field / "files").glob("*.*")} == {
        "labels.json",
        "coco.json",
        "classes.txt",
    }


def make_detector(path):
    net = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.AveragePooling2D(4),
            keras.layers.Conv2D(6, 1, bias_initializer="zeros"),
        ]
    )
    model = ObjectDetectionModel(
        net, 2, anchors=((3, 4),), patch_size=8, overlap=4
    )
    model.build((None, 8, 8, 3))
    model.save(path)


def test_objects_are_predicted_from_a_score_on(field, capsys):
    model, images = field / "detector.keras", field / "images"
    make_detector(model)
    out = field / "found"
    asked = "predict", model, images, "--out", out
    assert run(*asked, "--score-threshold", "0") == 0
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))
    assert names == [
        "boxes.csv",
        "coco.json",
        "overlays/0.png",
        "overlays/1.png",
        "results.csv",
    ]
    with open(out / "results.csv", newline="") as stream:
        assert all(int(row["count"]) > 0 for row in csv.DictReader(stream))
    assert run(*asked, "--overwrite", "--score-threshold", "0.5") == 0
    with open(out / "boxes.csv", newline="") as stream:
        scores = [float(row["score"]) for row in csv.DictReader(stream)]
    assert all(score >= 0.5 for score in scores)
    capsys.readouterr()


@pytest.mark.parametrize("score", ["1.5", "many"])
def test_a_score_is_from_0_to_1(score, model, field, capsys):
    asked = "predict", model, field / "images", "--out", field / "found"
    with pytest.raises(SystemExit):
        run(*asked, "--score-threshold", score)
    assert "number" in capsys.readouterr().err
    assert run(*asked, "--score-threshold", "0.5") == 1
    message = "a SemanticSegmentationModel has no option score_threshold"
    assert message in capsys.readouterr().err


def test_predict_takes_another_tiling(tmp_path):
    write_image(tmp_path / "a.png", _noise((70, 90, 3)))
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(1, 9, padding="same"),
        ]
    )
    model = HeatmapObjectCountingModel(
        patch_model, density_map_sigma=2.0, density_scale=1
    )
    model.set_patch_size(16, 16)
    model.build((None, None, None, 3))
    model.save(tmp_path / "m.keras")
    model.set_patch_size(96, 96)
    image = model.read_image(tmp_path / "a.png")[None]
    whole = model.predict(image, verbose=0)[0, ..., 0]
    seamless = "--overlap", "auto", "--patch-size", 32, "all"
    for options, most in [((), np.inf), (seamless, 1e-5)]:
        out = tmp_path / f"found{len(options)}"
        files = tmp_path / "m.keras", tmp_path / "a.png"
        assert run("predict", *files, "--out", out, *options) == 0
        heatmap = read_image(out / "heatmaps" / "a.tif", channels=None)
        difference = np.abs(heatmap.squeeze() - whole)[:60, :80].max()
        assert difference <= most
        assert (difference > 1e-3) == (not options)


def test_predict_takes_patterns_a_transform_and_a_format(model, field, capsys):
    pattern, out = field / "**" / "[01].png", field / "found"
    (field / "masks").rename(field / "other")
    for path in (field / "other").iterdir():
        path.rename(path.with_suffix(".mask"))
    asked = "predict", model, pattern, "--out", out
    assert run(*asked, "--transform", "probabilities", "--format", "npy") == 0
    assert "Predicted 2 of 2 images" in capsys.readouterr().out
    for name in "01":
        probabilities = np.load(out / "probabilities" / f"{name}.npy")
        assert probabilities.shape == (10, 14, 2)
    with pytest.raises(SystemExit):
        run(*asked, "--format", "jpg")
    assert run(*asked, "--transform", "heatmap") == 1
    assert "'classes', 'probabilities'" in capsys.readouterr().err
    assert run("predict", model, field / "x*.png", "--out", out) == 1
    assert "x*.png: no image file matches" in capsys.readouterr().err


def test_predict_goes_on_unless_it_is_told_not_to(model, field, capsys):
    (field / "images" / "bad.png").write_bytes(b"")
    asked = "predict", model, field / "images", "--out", field / "found"
    assert run(*asked) == 1
    assert run(*asked, "--no-resume") == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert run(*asked, "--resume") == 1
    assert "2 of 3 images, 2 of them before" in capsys.readouterr().out


def test_predict_tells_of_each_file_that_failed(model, field, capsys):
    bad, missing = field / "bad.png", field / "missing.png"
    bad.write_bytes(b"")
    images = bad, missing, field / "images"
    assert run("predict", model, *images, "--out", field / "found") == 1
    captured = capsys.readouterr()
    assert "Predicted 2 of 4 images" in captured.out
    assert len(captured.err.splitlines()) == 3
    for path in (bad, missing):
        assert f"keras-patching: error: {path}: " in captured.err
    assert "2 of 4 images failed." in captured.err
    assert len(list((field / "found").glob("masks/*.png"))) == 2


def test_predict_refuses_what_is_no_model(field, capsys):
    image = field / "images" / "0.png"
    assert run("predict", image, image, "--out", field / "found") == 1
    assert "cannot be loaded" in capsys.readouterr().err
    assert not (field / "found").exists()


def _noise(shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _save_convolution(folder, kernel_size, **tiling):
    """Save a model of one convolution, and return its path."""
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(2, kernel_size, padding="same"),
        ]
    )
    model = PatchedModel(patch_model, 16, **tiling)
    model.build((None, None, None, 3))
    model.save(folder / "m.keras")
    return folder / "m.keras"


def test_verify_prints_the_difference_of_each_overlap(tmp_path, capsys):
    write_image(tmp_path / "a.png", _noise((70, 90, 3)))
    files = _save_convolution(tmp_path, 9, overlap=6), tmp_path / "a.png"
    assert run("verify", *files, "--out", tmp_path / "seams") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[3:] if line.startswith(" ")]
    assert [row[0] for row in rows] == ["0", "4", "6,", "auto"]
    assert any(line.startswith("Precision: float32 ") for line in lines)
    differences = [float(row[-3]) for row in rows]
    assert min(differences[:3]) > 1e-3
    assert differences[3] < 1e-5
    pictures = sorted(path.name for path in (tmp_path / "seams").iterdir())
    assert pictures == [
        f"overlap-{overlap}.png" for overlap in (0, 4, "6-saved", "auto")
    ]


def test_verify_searches_the_smallest_overlap_for_a_tolerance(tmp_path, capsys):
    write_image(tmp_path / "a.png", _noise((30, 24, 3)))
    files = _save_convolution(tmp_path, 5), tmp_path / "a.png"
    tolerance = "--overlap", 0, "--tolerance", 1e-5
    assert run("verify", *files, *tolerance) == 0
    out = capsys.readouterr().out
    assert "Tried for differences of at most 1e-05\n" in out
    found = "For differences of at most 1e-05, overlap=(4, 4) in patches of"
    assert f"{found} (16, 16) computes " in out


def test_verify_searches_an_overlap_where_none_is_exact(tmp_path, capsys):
    write_image(tmp_path / "a.png", _noise((40, 44, 3)))
    inputs = keras.Input((None, None, 3))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")
    x = keras.layers.Multiply()([inputs, mean(inputs)])
    model = PatchedModel(keras.Model(inputs, x), 16)
    model.build((None, None, None, 3))
    model.save(tmp_path / "m.keras")
    files = tmp_path / "m.keras", tmp_path / "a.png"
    assert run("verify", *files, "--tolerance", "1e9") == 0
    printed = capsys.readouterr().out
    assert "'squeeze'" in printed
    assert "Tried for differences of at most 1e+09" in printed


def test_verify_takes_bands(tmp_path, capsys):
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), "uint8"))
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Dense(2)]
    )
    model = PatchedModel(patch_model, 8)
    model.build((None, None, None, 3))
    model.save(tmp_path / "m.keras")
    files = tmp_path / "m.keras", tmp_path / "a.png"
    bands = "--overlap", 2, "--patch-size", 8, "all"
    assert run("verify", *files, *bands) == 0
    assert "8 x 30" in capsys.readouterr().out


def test_verify_says_which_file_is_missing(tmp_path, capsys):
    files = tmp_path / "m.keras", tmp_path / "a.png"
    assert run("verify", *files) == 1
    assert "a.png: no such image file" in capsys.readouterr().err
    write_image(files[1], np.zeros((8, 8, 3), "uint8"))
    assert run("verify", *files) == 1
    assert "m.keras: no such file" in capsys.readouterr().err
