"""The likeliest mistakes of a first user end in what mends them."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching import cli
from keras_patching.data.images.image_io import write_image


def net(outputs=2, size=(None, None), channels=3, **options):
    return keras.Sequential(
        [
            keras.Input((*size, channels)),
            keras.layers.Conv2D(outputs, 3, padding="same", **options),
        ]
    )


def segmenter(outputs=2, num_classes=2, **options):
    return kp.SemanticSegmentationModel(
        num_classes,
        net(outputs, activation="softmax"),
        **{"patch_size": 8, **options},
    )


def counter(**options):
    options = {"density_map_sigma": 1.0, "patch_size": 8, **options}
    return kp.HeatmapObjectCountingModel(net(1), **options)


def detector():
    return kp.ObjectDetectionModel(
        net(6, (8, 8)), grid_size=8, anchors=[(4, 4)], patch_size=8
    )


def load(model=None, **options):
    model = model or segmenter()
    return model.load_dataset_from_directory_with_segmentation_masks(
        "images", "masks", verbose=False, **options
    )


def load_points(text, **options):
    pathlib.Path("images/points.csv").write_text(text)
    return counter().load_heatmap_dataset_with_csv_from_directory(
        "images", "points.csv", verbose=False, **options
    )


def no_patch_size():
    segmenter(patch_size=None).predict(np.zeros((1, 20, 20, 3)))


def class_ids_beyond_num_classes():
    write_image("masks/b.png", np.full((20, 30), 2, "uint8"))
    load()


def a_mask_is_missing():
    pathlib.Path("masks/b.png").unlink()
    load()


def a_mask_of_another_size():
    write_image("masks/b.png", np.zeros((30, 20), "uint8"))
    load()


def a_folder_that_is_not_there():
    pathlib.Path("masks").rename("labels")
    load()


def floats_of_0_to_1():
    for path in pathlib.Path("images").iterdir():
        path.unlink()
        image = np.random.default_rng(0).uniform(0, 1, (20, 30, 3))
        write_image(path.with_suffix(".tif"), image.astype("float32"))
    load()


def colours_for_a_model_of_grey():
    grey = net(channels=1, activation="softmax")
    load(kp.SemanticSegmentationModel(2, grey, channels=1, patch_size=8))


def another_patch_size_after_loading():
    model = segmenter()
    patches = load(model)
    model.set_patch_size(height=16, width=16)
    model.compile("adam")
    model.fit(patches)


def an_image_without_the_batch_axis():
    segmenter().predict(np.zeros((20, 20, 3)))


def images_of_several_sizes():
    segmenter().predict([np.zeros((20, 20, 3)), np.zeros((16, 20, 3))])


def a_net_of_one_fixed_size():
    fixed = net(size=(32, 32), activation="softmax")
    kp.SemanticSegmentationModel(2, fixed).set_patch_size(16, 16)


def a_net_with_other_classes():
    segmenter(outputs=3, num_classes=2)


def an_overlap_as_large_as_the_patch():
    segmenter(overlap=8)


def no_seams_of_a_net_that_looks_at_all():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    x = keras.layers.Multiply()([inputs, x])
    x = keras.layers.Conv2D(2, 1, activation="softmax")(x)
    model = kp.SemanticSegmentationModel(
        2, keras.Model(inputs, x), overlap="auto", patch_size=8
    )
    model.predict(np.zeros((1, 20, 20, 3)))


def x_and_y_exchanged():
    load_points("image,x,y\na.png,19,29\nb.png,3,4\n")


def an_image_that_the_points_leave_out():
    load_points("image,x,y\na.png,3,4\n")


def points_of_an_image_that_is_not_there():
    load_points("image,x,y\na.png,3,4\nb.png,3,4\nc.png,3,4\n")


def a_split_without_saying_which_part():
    load(validation_split=0.5)


def an_argument_that_is_misspelt():
    load(batchsize=8)


def an_argument_of_a_model_that_is_misspelt():
    kp.SemanticSegmentationModel(patch_model=net(), num_clases=3)


def an_argument_of_a_layer_that_is_misspelt():
    kp.PatchedPredictor(net(), 8, overlapp=2)


def an_argument_of_a_data_set_that_is_misspelt():
    kp.PatchingSequence("images_patches", batchsize=8)


def an_argument_of_a_prediction_that_is_misspelt():
    segmenter().predict_images("images", transfrom="classes")


def an_argument_of_the_model_given_to_its_loader():
    load(class_names=["soil", "crop"])


def fit_before_compile():
    model = segmenter()
    model.fit(load(model))


def labels_of_a_class_that_the_detector_does_not_know():
    box = {"all_points_x": [2, 6], "all_points_y": [2, 6]}
    labels = {
        "a.png": {"objects": [{**box, "label": "weed"}]},
        "b.png": {"objects": [{**box, "label": "plant"}]},
    }
    pathlib.Path("labels.json").write_text(json.dumps(labels))
    detector().load_yolo_dataset_from_directory(
        "labels.json", "images", verbose=False
    )


def results_over_those_of_another_run():
    model = segmenter()
    kp.inference.predict_files(model, "images", "found", verbose=False)
    kp.inference.predict_files(model, "images", "found", verbose=False)


def a_result_in_a_format_that_holds_none():
    segmenter().predict_images("images", out="{name}.jpg", verbose=False)


def one_image_that_is_split_over_images():
    for folder in ("images", "masks"):
        pathlib.Path(folder, "b.png").unlink()
    load(validation_split=0.5, subset="both")


def a_level_of_all_files():
    segmenter().predict_images("images", transform="classes", level=1)


MENDS = {
    no_patch_size: r"`?model\.set_patch_size\(",
    class_ids_beyond_num_classes: r"b\.png: found the values 2.*`num_classes`",
    a_mask_is_missing: r"b\.png.*mask",
    a_mask_of_another_size: r"b\.png.*\(30, 20\).*\(20, 30\)",
    a_folder_that_is_not_there: "masks: no such folder",
    floats_of_0_to_1: r"value_range=\(0(\.0)?, 1(\.0)?\)",
    colours_for_a_model_of_grey: "3 channels.*channels=3",
    another_patch_size_after_loading: r"set_patch_size\(height=8, width=8\)",
    an_image_without_the_batch_axis: r"\[None\]",
    images_of_several_sizes: "predict_images",
    a_net_of_one_fixed_size: r"\(32, 32\).*\(16, 16\)",
    a_net_with_other_classes: "3.*num_classes=2",
    an_overlap_as_large_as_the_patch: "overlap.*leave a step",
    no_seams_of_a_net_that_looks_at_all: "global_average_pooling.*overlap",
    x_and_y_exchanged: r"points\.csv, line 2.*x and y swapped",
    an_image_that_the_points_leave_out: r"b\.png.*unlabelled=\"skip\"",
    points_of_an_image_that_is_not_there: r"line 4.*c\.png.*remove the row",
    a_split_without_saying_which_part: "subset=",
    an_argument_that_is_misspelt: "Did you mean `batch_size`",
    an_argument_of_a_model_that_is_misspelt: "Did you mean `num_classes`",
    an_argument_of_a_layer_that_is_misspelt: "Did you mean `overlap`",
    an_argument_of_a_data_set_that_is_misspelt: "Did you mean `batch_size`",
    an_argument_of_a_prediction_that_is_misspelt: "Did you mean `transform`",
    an_argument_of_the_model_given_to_its_loader: (
        "to the model.*class_names="
    ),
    fit_before_compile: "compile",
    labels_of_a_class_that_the_detector_does_not_know: "weed.*class_names",
    results_over_those_of_another_run: "overwrite=True",
    a_result_in_a_format_that_holds_none: r"\.npy.*\.tif.*\.zarr",
    one_image_that_is_split_over_images: 'split_by="blocks"',
    a_level_of_all_files: r"open_image\(path, level=1\)",
}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        pathlib.Path(folder).mkdir()
    for name in ("a.png", "b.png"):
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        write_image(f"images/{name}", image)
        write_image(f"masks/{name}", np.eye(20, 30, dtype=np.uint8))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mistake", MENDS, ids=lambda each: each.__name__)
def test_the_error_of(mistake):
    with pytest.raises((ValueError, TypeError, OSError)) as raised:
        mistake()
    message = " ".join(str(raised.value).split())
    assert re.search(MENDS[mistake], message), message


def test_options_of_commands_that_are_misspelt(capsys):
    for option in ("--patch-sise", "--patch-sise=8"):
        with pytest.raises(SystemExit):
            cli.main(["predict", "model.keras", "images", "--out", "o", option])
        said = capsys.readouterr().err
        assert "usage: keras-patching predict" in said
        assert (
            f"unrecognized arguments: {option}. Did you mean `--patch-size`?"
            in said
        )


def test_the_command_tells_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        cli.main(["predikt", "model.keras", "images"])
    assert "predict" in capsys.readouterr().err
