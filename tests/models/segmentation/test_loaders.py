import os

import numpy as np
import pytest
from PIL import Image

from keras_patching.data.cache.manifest import VERSION, read_manifest
from keras_patching.data.images.image_io import write_image
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks as load,
)


def make_folders(root, count=5, size=(10, 14), classes=2):
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir()
    for index in range(count):
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        write_image(root / "images" / f"{index}.png", image)
        mask = rng.integers(0, classes, size, dtype=np.uint8)
        write_image(root / "masks" / f"{index}.png", mask)
    return root / "images", root / "masks"


@pytest.fixture
def folders(tmp_path):
    return make_folders(tmp_path)


def load_quietly(folders, patch_size=8, **options):
    return load(*folders, patch_size, **{"verbose": False, **options})


def replace_mask(folders, values, size=(10, 14), dtype="uint8"):
    mask = np.resize(np.array(values, dtype), size)
    write_image(folders[1] / "0.png", mask)
    return mask


def first_mask(sequence):
    """The mask of the first image, stitched from its 2 x 2 patches."""
    masks = sequence[0][1][:4].reshape(2, 2, 8, 8)
    return masks.swapaxes(1, 2).reshape(16, 16)


def fails(folders, **options):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load_quietly(folders, **options)
    return str(error.value)


def nothing_was_written(folders):
    return not (folders[0].parent / "images_patches").exists()


# What is loaded


def test_batches_hold_padded_tiles_of_images_and_masks(folders):
    mask = replace_mask(folders, [0, 1, 1])
    sequence = load_quietly(folders, shuffle=False)
    images, masks = sequence[0]
    assert (images.shape, images.dtype) == ((20, 8, 8, 3), np.uint8)
    assert (masks.shape, masks.dtype) == ((20, 8, 8), np.uint8)
    stitched = first_mask(sequence)
    np.testing.assert_array_equal(stitched[:10, :14], mask)
    assert not stitched[10:].any()
    assert not stitched[:, 14:].any()
    assert not images[1, :, 6:].any()


def test_black_and_unlabelled_are_what_the_padding_is_made_of(folders):
    for path in folders[0].iterdir():
        write_image(path.with_suffix(".npy"), np.zeros((10, 14), "float32"))
        path.unlink()
    sequence = load_quietly(
        folders,
        channels=1,
        value_range=(-1, 1),
        num_classes=3,
        ignore_value=9,
        shuffle=False,
    )
    images, masks = sequence[0]
    assert images.dtype == np.float32
    assert (images[1, :, 6:] == -1).all()
    assert (masks[1, :, 6:] == 9).all()


def test_the_smallest_unsigned_dtype_holds_the_masks(folders):
    _, masks = load_quietly(folders, num_classes=300)[0]
    assert masks.dtype == np.uint16
    _, masks = load_quietly(folders, ignore_value=255)[0]
    assert masks.dtype == np.uint8


def test_the_manifest_counts_pixels_of_each_class(folders):
    mask = replace_mask(folders, [0, 1, 2, 7])
    sequence = load_quietly(folders, num_classes=3, ignore_value=7)
    source = read_manifest(sequence.manifest_path).sources[0]
    counted = np.sum(source.shards["masks"].facts["pixels"], axis=0)
    assert counted.tolist() == [(mask == i).sum() for i in range(3)]


def test_only_training_drops_a_remainder(folders):
    options = dict(validation_split=0.4, batch_size=3, drop_remainder=True)
    training, validation = load_quietly(folders, subset="both", **options)
    assert [len(masks) for _, masks in training] == [3] * 4
    assert [len(masks) for _, masks in validation] == [3, 3, 2]
    alone = load_quietly(folders, subset="validation", **options)
    assert len(alone) == 3


def test_a_split_is_made_over_images(folders):
    train, val = load_quietly(
        folders, validation_split=0.4, subset="both", augment=True
    )
    assert len(val.image_names) == 2
    assert not set(train.image_names) & set(val.image_names)
    assert train.shuffle
    assert train.augment
    assert not val.shuffle
    assert not val.augment
    for subset, sequence in (("training", train), ("validation", val)):
        alone = load_quietly(folders, validation_split=0.4, subset=subset)
        assert alone.image_names == sequence.image_names


def test_a_test_set_is_seen_by_neither_side(folders, capsys):
    options = {"validation_split": 0.4, "test_split": 0.2, "seed": 3}
    parts = load(*folders, 8, subset="all", augment=True, **options)
    _, val, test = parts
    said = capsys.readouterr().out
    assert "Using 2 images for training." in said
    assert "Using 1 images for test." in said
    assert not test.shuffle
    assert not test.augment
    names = [name for part in parts for name in part.image_names]
    assert sorted(names) == [f"{i}.png" for i in range(5)]
    both = load_quietly(folders, subset="both", **options)
    alone = load_quietly(folders, subset="test", **options)
    for one, other in zip((*both, alone), parts, strict=True):
        assert one.image_names == other.image_names
    _, before = load_quietly(
        folders, subset="both", validation_split=0.4, seed=3
    )
    assert before.image_names == val.image_names


def test_groups_stay_on_one_side(folders):
    train, val = load_quietly(
        folders,
        validation_split=0.4,
        subset="both",
        groups=lambda name: name in ("0.png", "3.png"),
    )
    assert val.image_names == ["0.png", "3.png"]
    assert train.image_names == ["1.png", "2.png", "4.png"]


@pytest.mark.parametrize(
    "options",
    [
        {"validation_split": 0.2},
        {"subset": "both"},
        {"subset": "test", "validation_split": 0.2},
        {"subset": "all", "validation_split": 0.2},
        {"subset": "none", "validation_split": 0.2},
        {"test_split": 0.2},
        {"subset": "all", "test_split": 0.2},
        {"subset": "all", "validation_split": 0.5, "test_split": 0.5},
        {"groups": len},
        {"validation_split": 1.5, "subset": "both"},
        {"batch_size": 0},
        {"num_classes": 1},
        {"ignore_value": -1},
        {"channels": 0},
        {"value_range": (255, 0)},
        {"patch_size": 0},
        {"patch_size": 1.5},
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(folders, options):
    assert "Received: " in fails(folders, **options)
    assert nothing_was_written(folders)


def test_a_second_call_loads_the_cached_patches_and_says_so(folders, capsys):
    first = load(*folders, 8, shuffle=False)
    assert "Cut 20 patches of 5 images" in capsys.readouterr().out
    second = load(*folders, 8, shuffle=False)
    assert "Found 20 cached patches of 5 images" in capsys.readouterr().out
    np.testing.assert_array_equal(first[0][0], second[0][0])
    load(*folders, 8, overwrite=True)
    assert "Cut 20 patches" in capsys.readouterr().out


def test_other_classes_use_the_same_image_shards(folders):
    sequence = load_quietly(folders)
    shards = sequence.directory / "shards"
    before = {path.name for path in shards.iterdir()}
    load_quietly(folders, num_classes=3)
    new = {path.name for path in shards.iterdir()} - before
    assert len(new) == 5
    assert all(name.endswith(".masks.npy") for name in new)


def test_masks_of_another_folder_are_another_cache(folders, tmp_path):
    first = load_quietly(folders)
    other = make_folders_of_masks(tmp_path / "other")
    second = load_quietly((folders[0], other))
    assert first.manifest_path != second.manifest_path
    assert first.directory == second.directory


def make_folders_of_masks(folder):
    folder.mkdir()
    for index in range(5):
        mask = np.resize(np.array([0, 1], np.uint8), (10, 14))
        write_image(folder / f"{index}.png", mask)
    return folder


def test_a_changed_mask_is_noticed(folders):
    load_quietly(folders)
    replace_mask(folders, [1])
    assert first_mask(load_quietly(folders, shuffle=False))[:10, :14].all()


# Masks


@pytest.mark.parametrize("white", [1, 255])
def test_binary_masks_are_0_and_1_or_0_and_255(folders, white):
    mask = replace_mask(folders, [0, white, white])
    found = first_mask(load_quietly(folders, shuffle=False))
    np.testing.assert_array_equal(found[:10, :14], mask > 0)


@pytest.mark.parametrize(
    ("values", "ignore_value", "expected"),
    [
        ([0, 255], 255, [0, 255]),
        ([0, 1, 255], 255, [0, 1, 255]),
        ([0, 255, 100], 100, [0, 1, 100]),
        ([255, 255], None, [1, 1]),
    ],
)
def test_unlabelled_pixels_keep_their_value(
    folders, values, ignore_value, expected
):
    replace_mask(folders, values)
    sequence = load_quietly(folders, ignore_value=ignore_value, shuffle=False)
    found = first_mask(sequence)[:10, :14]
    np.testing.assert_array_equal(found, np.resize(expected, (10, 14)))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([0, 7], {}),
        ([0, 1, 255], {}),
        ([0, 100, 255], {"ignore_value": 50}),
        ([0, 3], {"num_classes": 3}),
        ([0, 255], {"num_classes": 3}),
    ],
)
def test_other_values_are_an_error_that_tells_them(folders, values, options):
    replace_mask(folders, values)
    message = fails(folders, **options)
    assert str(folders[1] / "0.png") in message
    assert f"found the values {', '.join(map(str, values))} in" in message
    write_image(folders[1] / "0.png", np.zeros((10, 14), np.uint8))
    load_quietly(folders, **options)


def test_palette_masks_are_read_as_indices(folders):
    indices = np.resize(np.array([0, 1, 2], np.uint8), (10, 14))
    picture = Image.fromarray(indices, "L").convert("P")
    picture.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    picture.putdata(indices.ravel().tolist())
    picture.save(folders[1] / "0.png")
    sequence = load_quietly(folders, num_classes=3, shuffle=False)
    np.testing.assert_array_equal(first_mask(sequence)[:10, :14], indices)


def test_jpeg_masks_are_refused_before_anything_is_written(folders):
    mask = np.zeros((10, 14), np.uint8)
    (folders[1] / "0.png").unlink()
    write_image(folders[1] / "0.jpg", mask)
    message = fails(folders)
    assert str(folders[1] / "0.jpg") in message
    assert "PNG or TIFF" in message
    assert nothing_was_written(folders)


# Pairs, sizes and kinds


def test_images_and_masks_without_the_other_are_listed(folders):
    (folders[0] / "1.png").unlink()
    (folders[1] / "3.png").unlink()
    message = fails(folders)
    assert f"{folders[1] / '1.png'}: has no image" in message
    assert f"{folders[0] / '3.png'}: has no mask" in message
    assert nothing_was_written(folders)


def test_one_stem_twice_is_an_error(folders):
    (folders[0] / "1.jpg").write_bytes((folders[0] / "1.png").read_bytes())
    message = fails(folders)
    assert "1.jpg" in message
    assert "1.png" in message


def test_an_empty_or_missing_folder_is_an_error(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in fails((folders[0], tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_quietly((tmp_path / "nowhere", folders[1]))


def test_masks_of_another_size_are_told_together(folders):
    for index in (1, 2):
        write_image(folders[1] / f"{index}.png", np.zeros((9, 14), np.uint8))
    message = fails(folders)
    for index in (1, 2):
        assert str(folders[1] / f"{index}.png") in message
    assert "(9, 14)" in message
    assert "(10, 14)" in message
    assert "EXIF" not in message
    assert nothing_was_written(folders)


def test_an_exif_orientation_that_explains_the_size_is_told(folders):
    path = folders[0] / "0.jpg"
    (folders[0] / "0.png").unlink()
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (14, 10)).save(path, exif=exif)
    message = fails(folders)
    assert "EXIF orientation of 0.jpg turns it" in message
    write_image(folders[1] / "0.png", np.zeros((14, 10), np.uint8))
    assert load_quietly(folders).num_samples == 20


def test_images_of_another_dtype_are_named_with_one_of_the_first(folders):
    (folders[0] / "2.png").unlink()
    deep = np.zeros((10, 14), np.uint16)
    write_image(folders[0] / "2.tif", deep)
    message = fails(folders)
    assert f"{folders[0] / '2.tif'}: is uint16" in message
    assert f"{folders[0] / '0.png'} is uint8" in message
    assert nothing_was_written(folders)


def test_channels_are_converted_or_must_agree(folders):
    grey = np.full((10, 14), 5, np.uint8)
    write_image(folders[0] / "0.png", grey)
    write_image(folders[0] / "1.png", np.repeat(grey[..., None], 4, -1))
    assert load_quietly(folders)[0][0].shape[-1] == 3
    message = fails(folders, channels=None)
    assert "has 3 channels" in message
    assert "has 1" in message


def test_channels_that_cannot_be_converted_are_told_before_writing(folders):
    for path in folders[0].iterdir():
        write_image(path.with_suffix(".tif"), np.zeros((10, 14, 5), np.uint16))
        path.unlink()
    assert "has 5 channels, expected 3" in fails(folders)
    assert nothing_was_written(folders)
    images, _ = load_quietly(folders, channels=None)[0]
    assert (images.shape[-1], images.dtype) == (5, np.uint16)


def test_values_beyond_the_range_are_an_error_that_says_the_right_one(folders):
    for path in folders[0].iterdir():
        deep = np.full((10, 14), 40000, np.uint16)
        write_image(path.with_suffix(".tif"), deep)
        path.unlink()
    assert "value_range=(0, 65535)" in fails(folders)
    images, _ = load_quietly(folders, value_range=(0, 65535))[0]
    assert images.dtype == np.uint16
    assert images.max() == 40000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_an_error(folders, value):
    for path in folders[0].iterdir():
        image = np.full((10, 14), value, "float32")
        write_image(path.with_suffix(".npy"), image)
        path.unlink()
    assert "not finite" in fails(folders)


# Files that cannot be read


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_files_that_are_no_images_are_told_before_writing(folders, content):
    for folder in folders:
        (folder / "2.png").write_bytes(content)
    message = fails(folders)
    assert str(folders[0] / "2.png") in message
    assert str(folders[1] / "2.png") in message
    assert nothing_was_written(folders)


def test_truncated_files_are_told_together_and_the_others_are_kept(folders):
    bad = [folders[0] / "1.png", folders[1] / "1.png", folders[1] / "3.png"]
    good = {path: path.read_bytes() for path in bad}
    for path, content in good.items():
        path.write_bytes(content[: len(content) // 2])
    message = fails(folders)
    assert all(str(path) in message for path in bad)
    cache = folders[0].parent / "images_patches"
    assert not list(cache.glob("*.json"))
    assert len(list((cache / "shards").glob("*.npy"))) == 7
    for path, content in good.items():
        path.write_bytes(content)
    assert load_quietly(folders).num_samples == 20


def test_an_image_above_the_pixel_limit_is_an_error(folders, monkeypatch):
    monkeypatch.setenv("KERAS_PATCHING_MAX_IMAGE_PIXELS", "100")
    assert "limit of 100" in fails(folders)
    assert nothing_was_written(folders)


# The cache


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("damage", ["truncated", "edited", "removed"])
def test_a_damaged_cache_is_rebuilt(folders, kind, damage):
    sequence = load_quietly(folders, shuffle=False)
    expected = sequence[0]
    shards = (sequence.directory / "shards").glob(f"*.{kind}.npy")
    for shard in list(shards):
        content = shard.read_bytes()
        if damage == "removed":
            shard.unlink()
        elif damage == "truncated":
            shard.write_bytes(content[:-10])
        else:
            shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            os.utime(shard, ns=(1, 1))
    found = load_quietly(folders, shuffle=False)[0]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_manifest_of_another_version_is_rebuilt(folders):
    sequence = load_quietly(folders)
    text = sequence.manifest_path.read_text()
    sequence.manifest_path.write_text(
        text.replace(f'"version":{VERSION}', '"version":0')
    )
    load_quietly(folders)
    assert f'"version":{VERSION}' in sequence.manifest_path.read_text()


def test_the_cache_can_lie_elsewhere(folders, tmp_path):
    sequence = load_quietly(folders, cache_dir=tmp_path / "cache")
    assert sequence.directory.parent == tmp_path / "cache"
    assert nothing_was_written(folders)


# What is drawn more often


def seldom_class_two(folders):
    """Class 2 is in one patch of one image; class 1 everywhere else."""
    for path in folders[1].iterdir():
        write_image(path, np.ones((16, 16), np.uint8))
    for path in folders[0].iterdir():
        write_image(path, np.zeros((16, 16, 3), np.uint8))
    mask = np.ones((16, 16), np.uint8)
    mask[3, 12] = 2
    write_image(folders[1] / "3.png", mask)


def test_patches_of_a_rare_class_are_drawn_more_often(folders):
    seldom_class_two(folders)
    sequence = load_quietly(
        folders,
        num_classes=3,
        foreground_fraction=0.5,
        foreground_classes=[2],
        seed=0,
    )
    _, masks = sequence[0]
    assert len(masks) == 20
    assert (masks == 2).any(axis=(1, 2)).sum() == 10


def test_only_some_patches_without_the_class_are_kept(folders):
    seldom_class_two(folders)
    sequence = load_quietly(
        folders, num_classes=3, foreground_classes=[2], keep_empty=0.25
    )
    assert sequence.num_samples == 1 + round(0.25 * 19)
    assert (sequence[0][1] == 2).any()


def test_validation_sees_every_patch_as_it_is(folders):
    seldom_class_two(folders)
    _, validation = load_quietly(
        folders,
        num_classes=3,
        validation_split=0.2,
        subset="both",
        keep_empty=0.5,
    )
    assert validation.num_samples == 4


def test_a_class_that_does_not_exist_is_refused(folders):
    message = fails(folders, foreground_classes=[2])
    assert (
        "`foreground_classes` must be classes of the masks, 0 to 1" in message
    )
