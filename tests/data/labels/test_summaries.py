"""What loaders print of labels, and warn of, is what the labels hold."""

import json
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

import keras_patching as kp
from keras_patching.data.images.image_io import write_image

SIZE = (40, 60)


@pytest.fixture
def folder(tmp_path):
    """Five images without labels."""
    (tmp_path / "images").mkdir()
    for name in "abcde":
        image = np.zeros((*SIZE, 3), "uint8")
        write_image(tmp_path / "images" / f"{name}.png", image)
    return tmp_path / "images"


def load_points(folder, text, **options):
    (folder / "points.csv").write_text(text)
    return kp.load_heatmap_dataset_with_csv_from_directory(
        folder, "points.csv", 32, **options
    )


def load_masks(folder, masks, **options):
    directory = folder.with_name("masks")
    directory.mkdir()
    for name, mask in zip("abcde", masks, strict=True):
        write_image(directory / f"{name}.png", np.full(SIZE, mask, "uint8"))
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder, directory, 32, **options
    )


def box(x1, y1, x2, y2, label):
    return {
        "all_points_x": [x1, x2],
        "all_points_y": [y1, y2],
        "label": label,
    }


TEXT = "a,1,2,3,39\nb\nc,7,7\n"


def test_objects_and_images_left_out_are_counted(folder, capsys):
    load_points(folder, TEXT, unlabelled="skip")
    printed = capsys.readouterr().out.splitlines()
    assert (
        "Labels of 3 images: 3 objects; 1 image has none. Left out 2 images "
        "without labels: 'd.png', 'e.png'." in printed
    )
    load_points(folder, TEXT, unlabelled="empty")
    printed = capsys.readouterr().out.splitlines()
    assert "Labels of 5 images: 3 objects; 3 images have none." in printed


def test_images_that_are_shown_turned_are_counted(folder, capsys):
    exif = Image.Exif()
    exif[274] = 6
    (folder / "e.png").unlink()
    Image.new("RGB", SIZE[::-1]).save(folder / "e.jpg", exif=exif)
    load_points(folder, f"{TEXT}d\ne,35,55\n")
    assert (
        "4 objects; 2 images have none. 1 image turned by 90 degrees, as the "
        "EXIF orientation says" in capsys.readouterr().out
    )


def test_a_model_hands_on_what_is_done_with_unlabelled_images(folder):
    (folder / "points.csv").write_text(TEXT)
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    model = kp.HeatmapObjectCountingModel(net, patch_size=32)
    train = model.load_heatmap_dataset_with_csv_from_directory(
        folder, "points.csv", unlabelled="skip", verbose=False
    )
    assert train.image_names == ["a.png", "b.png", "c.png"]


def test_boxes_are_counted_once_and_per_class(folder, capsys):
    names = ("leaf", "fruit", "root")
    entries = {name: {"objects": []} for name in "abcde"}
    entries["a"]["objects"] = [
        box(1, 1, 9, 9, "leaf"),
        box(2, 1, 9, 39, "leaf"),
        box(20, 20, 30, 30, "fruit"),
    ]
    (folder / "labels.json").write_text(json.dumps(entries))
    kp.load_yolo_dataset_from_directory(
        "labels.json", folder, 32, grid_size=2, class_names=names
    )
    assert (
        "Labels of 5 images: 3 objects (leaf 2, fruit 1, root 0); 4 images "
        "have none." in capsys.readouterr().out.splitlines()
    )


def test_pixels_are_counted_per_class_without_padding(folder, capsys):
    masks = [0, 0, 1, 3, 255]
    load_masks(folder, masks, num_classes=5, ignore_value=255)
    assert (
        "Labels of 5 images: class 0: 40.000%, class 1: 20.000%, class 3: "
        "20.000% of the pixels, 20.000% unlabelled; no pixel of class 2, 4."
        in capsys.readouterr().out.splitlines()
    )


@pytest.mark.parametrize("ignore_value", [None, 0])
def test_padding_is_no_pixel_of_class_0(folder, capsys, ignore_value):
    load_masks(
        folder, [1, 1, 1, 2, 0], num_classes=3, ignore_value=ignore_value
    )
    first = "class 0: 20.000%, " if ignore_value is None else ""
    assert (
        f"images: {first}class 1: 60.000%, class 2: 20.000% of the pixels"
        in capsys.readouterr().out
    )


def test_ready_heatmaps_are_counted(folder, capsys):
    (folder.parent / "heatmaps").mkdir()
    heatmap = np.zeros(SIZE, "float32")
    for name in "abcde":
        write_image(folder.parent / "heatmaps" / f"{name}.npy", heatmap)
        heatmap[0, 0] += 0.75
    kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        folder, folder.parent / "heatmaps", 32
    )
    assert (
        "Labels of 5 images: 8 objects; 1 image has none."
        in capsys.readouterr().out.splitlines()
    )


@pytest.mark.parametrize(
    ("subset", "lines"),
    [
        ("training", ["Using 4 images for training."]),
        ("validation", ["Using 1 images for validation."]),
        (
            "both",
            ["Using 4 images for training.", "Using 1 images for validation."],
        ),
        (None, []),
    ],
)
def test_a_split_is_rounded_and_printed_as_keras_does(
    folder, capsys, subset, lines
):
    split = subset and 0.39  # Keras rounds 1.95 down
    load_points(folder, f"{TEXT}d\ne\n", validation_split=split, subset=subset)
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("Using")] == lines


def test_without_verbose_nothing_is_printed(folder, capsys):
    load_points(
        folder,
        TEXT,
        unlabelled="skip",
        verbose=False,
        validation_split=0.4,
        subset="both",
    )
    assert capsys.readouterr().out == ""


# What can hardly be meant


def test_masks_whose_foreground_is_all_ignored_are_warned_of(folder):
    with pytest.warns(UserWarning, match="class 0, and none of class 1") as w:
        load_masks(folder, [0, 0, 255, 255, 0], ignore_value=255, verbose=False)
    assert "leave out `ignore_value`" in str(w[0].message)
    again = kp.load_dataset_from_directory_with_segmentation_masks(
        folder, folder.with_name("masks"), 32, verbose=False
    )
    assert again.num_samples == 20


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ([0] * 5, "class 0, and none of class 1"),
        ([255] * 5, "class 1, and non"),
    ],
)
def test_masks_of_one_class_are_warned_of(folder, masks, words):
    with pytest.warns(UserWarning, match=words):
        load_masks(folder, masks, verbose=False)


def test_labels_without_any_object_are_warned_of(folder):
    with pytest.warns(UserWarning, match="no object in any image"):
        load_points(folder, "a\nb\nc\nd\ne\n", verbose=False)


def test_labels_that_are_there_twice_are_warned_of(folder):
    rows = [f"a,{i},{i}\n" for i in range(30)]
    text = "".join(["image,x,y\nb\nc\nd\ne\na,59,39\n", *rows, *rows[:20]])
    with pytest.warns(UserWarning, match="20 of 51 objects are exactly where"):
        load_points(folder, text, verbose=False)
    load_points(folder, text[: -len("".join(rows[10:20]))], verbose=False)


@pytest.mark.parametrize("factor", [1, 0.5])
def test_places_on_a_smaller_copy_are_warned_of(folder, factor):
    rng = np.random.default_rng(0)
    places = rng.uniform((0, 0), (60, 40), (5, 20, 2)) * factor
    rows = zip("abcde", places.reshape(5, -1).tolist(), strict=True)
    text = "\n".join(",".join(map(str, [name, *row])) for name, row in rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_points(folder, text, verbose=False)
    told = [str(w.message) for w in caught]
    assert any("upper left 50% x 50%" in each for each in told) == (factor < 1)
