"""Loaders of all tasks split one image in space, and nothing leaks."""

import json
import re

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.models.unet import unet

SIZE = 150, 200
SPLIT = {
    "validation_split": 0.2,
    "subset": "both",
    "split_by": "blocks",
    "verbose": False,
}


def write_objects(folder, name, rng):
    """An image of small squares, in all forms that loaders read."""
    image = rng.integers(0, 50, (*SIZE, 3)).astype("uint8")
    mask = np.zeros(SIZE, "uint8")
    places = rng.integers((0, 0), np.subtract(SIZE, 8), (60, 2)).tolist()
    for y, x in places:
        image[y : y + 8, x : x + 8] = 200
        mask[y : y + 8, x : x + 8] = 1
    write_image(folder / "images" / f"{name}.png", image)
    write_image(folder / "masks" / f"{name}.png", mask)
    return places


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    rng, rows, objects = np.random.default_rng(0), ["image,x,y"], {}
    for name in ("a", "b"):
        places = write_objects(folder, name, rng)
        rows += [f"{name},{x + 4},{y + 4}" for y, x in places]
        objects[name] = {
            "file_name": f"{name}.png",
            "objects": [
                {"all_points_x": [x, x + 8], "all_points_y": [y, y + 8]}
                for y, x in places
            ],
        }
    (folder / "points.csv").write_text("\n".join(rows))
    (folder / "labels.json").write_text(json.dumps(objects))
    return folder


def load_masks(folder, model, **options):
    return model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images", folder / "masks", **options
    )


def load_points(folder, model, **options):
    return model.load_heatmap_dataset_with_csv_from_directory(
        folder / "images", folder / "points.csv", **options
    )


def load_boxes(folder, model, **options):
    return model.load_yolo_dataset_from_directory(
        folder / "labels.json", folder / "images", **options
    )


def make_segmentation():
    net = unet(2, filters=(4, 4))
    return kp.SemanticSegmentationModel(2, net, patch_size=8)


def make_counting():
    net = unet(1, "linear", filters=(4,))
    return kp.HeatmapObjectCountingModel(net, patch_size=8)


def make_detection():
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(12, 17, 8, padding="same"),
        ]
    )
    anchors = [(8, 8), (4, 4)]
    return kp.ObjectDetectionModel(net, 2, anchors, patch_size=16)


TASKS = pytest.mark.parametrize(
    ("make", "load"),
    [
        (make_segmentation, load_masks),
        (make_counting, load_points),
        (make_detection, load_boxes),
    ],
)


def brute_force(train, val, size, reach):
    """Count pixels by maps: those of validation, and those near training."""
    found = []
    near = val.patch_boxes()
    for name, boxes in near.items():
        shown, seen = np.zeros((2, *size), bool)
        for x1, y1, x2, y2 in boxes:
            shown[y1:y2, x1:x2] = True
        for x1, y1, x2, y2 in train.patch_boxes().get(name, ()):
            y1, x1 = max(y1 - reach[0], 0), max(x1 - reach[1], 0)
            seen[y1 : y2 + reach[0], x1 : x2 + reach[1]] = True
        found.append((shown.sum(), (shown & seen).sum()))
    return np.sum(found, axis=0).tolist()


@TASKS
def test_training_sees_nothing_within_reach_of_validation(folder, make, load):
    model = make()
    train, val = load(folder, model, **SPLIT)
    report = kp.check_leakage(train, val, model, verbose=False)
    assert (report.seen, report.within_reach, report.by_image) == (0, 0, {})
    pixels, near = brute_force(train, val, SIZE, report.reach)
    assert (pixels, near) == (report.pixels, 0)
    assert 0 < val.num_samples < train.num_samples
    assert train.image_names == val.image_names == ["a.png", "b.png"]
    # It is the guard that does it.
    train, val = load(folder, model, guard=0, **SPLIT)
    report = kp.check_leakage(train, val, model, verbose=False)
    assert report.seen == 0
    assert report.within_reach == brute_force(train, val, SIZE, report.reach)[1]
    assert report.within_reach > 0


@TASKS
def test_parts_come_from_one_cache_and_stay_as_they_are(folder, make, load):
    model, options = make(), {"seed": 3, "test_split": 0.15, **SPLIT}
    options["subset"] = "all"
    parts = load(folder, model, **options)
    whole = load(folder, model, seed=3, verbose=False)
    assert {each.manifest_path for each in parts} == {whole.manifest_path}
    for one in parts:
        for other in parts:
            if one is not other:
                report = kp.check_leakage(one, other, model, verbose=False)
                assert (report.seen, report.within_reach) == (0, 0)
    # The same parts are read from the cache alone.
    guard = kp.check_leakage(*parts[:2], model, verbose=False).reach
    split = kp.data.BlockSplit(0.2, 0.15, seed=3, guard=guard)
    for part, subset in zip(
        parts, ("training", "validation", "test"), strict=True
    ):
        again = kp.PatchingSequence(
            whole.manifest_path, split=split, subset=subset
        )
        boxes, expected = again.patch_boxes(), part.patch_boxes()
        assert boxes.keys() == expected.keys()
        for name in boxes:
            np.testing.assert_array_equal(boxes[name], expected[name])


def test_batches_hold_patches_of_their_part_in_every_epoch(folder):
    model = make_segmentation()
    train, val = load_masks(folder, model, batch_size=7, **SPLIT)
    image = kp.data.read_image(folder / "images" / "a.png")
    for sequence in (train, val):
        boxes = sequence.patch_boxes()["a.png"]
        expected = {
            image[y1:y2, x1:x2].tobytes()
            for x1, y1, x2, y2 in boxes
            if (y2 - y1, x2 - x1) == (8, 8)
        }
        for epoch in range(2):
            sequence.epoch = epoch
            seen = {p.tobytes() for images, _ in sequence for p in images}
            assert expected <= seen
            assert sum(len(images) for images, _ in sequence) == len(
                np.concatenate([*sequence.patch_boxes().values()])
            )


def test_foreground_is_drawn_among_the_patches_of_training(folder):
    options = {"foreground_fraction": 0.8, "keep_empty": 0.3, **SPLIT}
    train, val = load_masks(folder, make_segmentation(), **options)
    masks = train.read_labels()
    assert np.mean(masks.any(axis=(1, 2))) == pytest.approx(0.8, abs=0.01)
    (images, _), model = val[0], make_segmentation()
    held_out = {patch.tobytes() for patch in images}
    assert not any(
        patch.tobytes() in held_out for images, _ in train for patch in images
    )
    assert kp.check_leakage(train, val, model, verbose=False).seen == 0


def test_patches_that_are_drawn_anew_stay_in_their_part(folder):
    model = make_detection()
    train, val = load_boxes(folder, model, store="images", **SPLIT)
    before = train.num_samples, train.patch_boxes()
    for number in (1, 2):
        train.resample(number)
        boxes = train.patch_boxes()
        assert any(
            boxes[name].tolist() != before[1][name].tolist() for name in boxes
        )
        assert train.num_samples == before[0]
        report = kp.check_leakage(train, val, model, verbose=False)
        assert (report.seen, report.within_reach) == (0, 0)
        assert sum(len(images) for images, _ in train) == before[0]


def test_the_loader_says_what_the_guard_costs(folder, capsys):
    load_masks(folder, make_segmentation(), **{**SPLIT, "verbose": True})
    printed = capsys.readouterr().out
    assert re.search(
        r"Of 950 patches \d+ for training, \d+ for validation; \d+ \(\d+%\) "
        r"are left out, which .* come nearer than \((\d+), \1\) pixels",
        printed,
    )


def test_images_too_small_for_blocks_are_told_before_anything_is_cut(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    write_image(tmp_path / "images" / "a.png", np.zeros((16, 16, 3), "uint8"))
    write_image(tmp_path / "masks" / "a.png", np.zeros((16, 16), "uint8"))
    with pytest.raises(
        ValueError, match=r"of 4 patches none is for validation.*guard=\("
    ):
        load_masks(tmp_path, make_segmentation(), **SPLIT)
    assert not (tmp_path / "images_patches").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_by": "pixels"}, r"`split_by` must be one of \('images', "),
        ({"split_by": "blocks"}, "needs a `validation_split`"),
        ({"guard": 3}, 'pass split_by="blocks" too.*guard=3'),
        ({"block_size": 3}, 'pass split_by="blocks" too.*block_size=3'),
        ({**SPLIT, "guard": -2}, "`guard` must be at least 0"),
        ({**SPLIT, "block_size": (0, 3)}, "`block_size` must be positive"),
    ],
)
def test_what_is_no_split_is_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        load_masks(folder, make_segmentation(), **options)


def test_a_part_that_no_split_makes_is_refused(folder):
    manifest = load_masks(
        folder, make_segmentation(), verbose=False
    ).manifest_path
    split = kp.data.BlockSplit(0.2)
    for options in (
        {"subset": "validation"},
        {"split": split, "subset": "test"},
        {"split": split, "subset": "both"},
    ):
        with pytest.raises(ValueError, match="`subset` must be one of"):
            kp.PatchingSequence(manifest, **options)
