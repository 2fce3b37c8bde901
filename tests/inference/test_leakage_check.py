"""What training has seen of validation is counted to the pixel."""

import shutil

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.images.image_io import write_image

PATCH = 8


def make_folder(folder, sizes):
    rng = np.random.default_rng(len(sizes))
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for name, size in sizes.items():
        image = rng.integers(0, 255, (*size, 3)).astype("uint8")
        write_image(folder / "images" / f"{name}.png", image)
        write_image(folder / "masks" / f"{name}.png", image[..., 0] // 128)
    return folder


def load(folder, **options):
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        **{"patch_size": PATCH, "verbose": False, **options},
    )


def check(train, val, model=None):
    return kp.check_leakage(train, val, model, verbose=False)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "a", {"x": (20, 30), "y": (16, 16)})


def looks(pixels):
    """A net that looks so far."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 2 * pixels + 1, padding="same"),
        ]
    )


def test_a_split_by_images_is_clean(folder):
    train, val = load(folder, validation_split=0.5, subset="both")
    report = check(train, val, looks(3))
    assert (report.seen, report.within_reach, report.reach) == (0, 0, (3, 3))
    assert report.pixels in (600, 256)
    assert report.by_image == {}
    assert check(train, val).within_reach is None


def test_the_same_patches_are_seen_whole(folder):
    sequence = load(folder)
    report = check(sequence, sequence)
    assert report.seen == report.pixels == 600 + 256
    assert report.by_image["x.png"] == {
        "pixels": 600,
        "seen": 600,
        "seen_in": ["x.png"],
    }
    # In patches of another size too, which are another cache.
    other = load(folder, patch_size=7)
    assert other.manifest_path != sequence.manifest_path
    assert check(other, sequence).seen == 856


def test_a_copy_under_another_name_is_found(folder, tmp_path):
    other = make_folder(tmp_path / "b", {"clean": (12, 12)})
    for name in ("images", "masks"):
        shutil.copy(folder / name / "x.png", other / name / "x_copy.png")
    report = check(load(folder), load(other))
    assert (report.pixels, report.seen) == (600 + 144, 600)
    assert report.seen_fraction == pytest.approx(600 / 744)
    assert list(report.by_image) == ["x_copy.png"]
    assert report.by_image["x_copy.png"]["seen_in"] == ["x.png"]


def test_pixels_within_reach_are_counted_exactly(folder):
    # Columns of patches begin at 0, 8, 16, 24; validation has two of them.
    manifest = load(folder).manifest_path
    split = kp.data.BlockSplit(0.5, seed=1, block_size=(64, 8), guard=0)
    train, val = (
        kp.PatchingSequence(
            manifest, names=["x.png"], split=split, subset=subset
        )
        for subset in ("training", "validation")
    )
    shown = np.zeros((2, 30), bool)
    for columns, each in zip(shown, (train, val), strict=True):
        for x1, _, x2, _ in each.patch_boxes()["x.png"]:
            columns[x1:x2] = True
    assert (shown[0] ^ shown[1]).all()
    for reach in (1, 5):
        near = np.convolve(shown[0], np.ones(2 * reach + 1), "same") > 0
        report = check(train, val, looks(reach))
        assert report.pixels == 20 * shown[1].sum()
        assert report.within_reach == 20 * (near & shown[1]).sum() > 0
        assert report.seen == 0
    # A net that looks at all of a patch.
    everything = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.GroupNormalization(1),
            keras.layers.Conv2D(2, 1),
        ]
    )
    assert check(train, val, everything).reach == (PATCH, PATCH)


def test_images_that_are_resized_are_compared_where_they_are(folder):
    small, whole = load(folder, resize=0.5), load(folder)
    split = kp.data.BlockSplit(0.5, seed=1, block_size=(64, 8))
    manifests = small.manifest_path, whole.manifest_path
    train, val = (
        kp.PatchingSequence(each, names=["x.png"], split=split, subset=subset)
        for each, subset in zip(
            manifests, ("training", "validation"), strict=True
        )
    )
    columns = np.zeros((2, 30), bool)
    for x1, _, x2, _ in train.patch_boxes()["x.png"]:
        columns[0, 2 * x1 : 2 * x2] = True
    for x1, _, x2, _ in val.patch_boxes()["x.png"]:
        columns[1, x1:x2] = True
    assert check(train, val).seen == 20 * columns.all(axis=0).sum() > 0


def test_one_line_says_what_was_found(folder, capsys):
    sequence = load(folder)
    report = kp.check_leakage(sequence, sequence, looks(2))
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.strip() == report.describe()
    assert "seen 856 of 856 pixels of validation (100.0%)" in line
    assert "(2, 2)" in line
    assert "x.png" in line


def test_other_data_is_refused(folder):
    with pytest.raises(ValueError, match="`val` must be a `PatchingSequence`"):
        kp.check_leakage(load(folder), np.zeros(3))


def test_what_sees_turned_images_looks_as_far_along_both_axes(folder):
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, (7, 1), padding="same"),
            keras.layers.Softmax(),
        ]
    )
    model = kp.SemanticSegmentationModel(2, net, patch_size=PATCH)
    sequence = load(folder)
    assert check(sequence, sequence, model).reach == (3, 0)
    model.set_tiling(test_time_augmentation="turns")
    assert check(sequence, sequence, model).reach == (3, 3)
    # Of so small images none has room for it.
    with pytest.raises(ValueError, match=r"guard=\(3, 3\)"):
        model.load_dataset_from_directory_with_segmentation_masks(
            folder / "images",
            folder / "masks",
            validation_split=0.5,
            subset="both",
            split_by="blocks",
            verbose=False,
        )
