"""Parts of one image are as far apart as their guard, by maps of pixels."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patching.data.feeding.block_split import PARTS, BlockSplit
from keras_patching.data.feeding.kept_patches import (
    check_groups,
    parts_of_image,
)
from keras_patching.geometry import PatchGrid

lengths = st.integers(1, 60)
patches = st.tuples(st.integers(1, 9), st.integers(1, 9))
guards = st.tuples(st.integers(0, 9), st.integers(0, 9))


def shown(size, origins, patch_size):
    """A map of the image for each patch: which pixels it shows."""
    maps = np.zeros((len(origins), *size), bool)
    for each, (y, x) in zip(maps, origins, strict=True):
        each[y : y + patch_size[0], x : x + patch_size[1]] = True
    return maps


def grown(shape, guard):
    """What lies within a guard of the pixels of a map."""
    found = np.zeros_like(shape)
    for y, x in np.argwhere(shape):
        top, left = max(y - guard[0], 0), max(x - guard[1], 0)
        found[top : y + guard[0] + 1, left : x + guard[1] + 1] = True
    return found


def split_patches(split, size, patch_size, origins, is_tiled=True, name="a"):
    how = size, patch_size, origins, is_tiled, "constant"
    return parts_of_image(split, name, *how)


@settings(max_examples=60)
@given(
    st.tuples(lengths, lengths),
    patches,
    guards,
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 30),
)
def test_no_pixel_of_one_part_is_within_the_guard_of_another(
    size, patch_size, guard, seed, is_tiled, with_test, block_size
):
    if is_tiled:
        origins = PatchGrid(size, patch_size).origins
    else:
        rng = np.random.default_rng(seed)
        last = np.maximum(np.subtract(size, patch_size), 0)
        origins = rng.integers(last + 1, size=(30, 2)).tolist()
    split = BlockSplit(0.3, 0.2 if with_test else None, seed, block_size, guard)
    parts = split_patches(split, size, patch_size, origins, is_tiled)
    maps = shown(size, origins, patch_size)
    areas = [maps[parts == part].any(axis=0) for part in PARTS.values()]
    for i, one in enumerate(areas):
        around = grown(one, guard)
        for other in areas[i + 1 :]:
            assert not (around & other).any()
    if not with_test:
        assert not (parts == PARTS["test"]).any()


def test_what_is_far_enough_away_is_not_left_out():
    origins = PatchGrid((40, 40), 4).origins
    split = BlockSplit(0.2, block_size=8, guard=3)
    parts = split_patches(split, (40, 40), (4, 4), origins)
    maps = shown((40, 40), origins, (4, 4))
    near = grown(maps[parts == PARTS["validation"]].any(axis=0), (3, 3))
    is_near = (maps & near).any(axis=(1, 2))
    assert ((parts == -1) == (is_near & (parts != 1))).all()
    assert (parts == 1).sum() == 20  # five blocks of four patches


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("is_tiled", [True, False])
def test_parts_are_as_large_as_wanted_and_little_is_left_out(share, is_tiled):
    size, patch_size, guard = (1500, 2100), (64, 64), 40
    if is_tiled:
        origins = PatchGrid(size, patch_size).origins
    else:
        last = np.subtract(size, patch_size)
        origins = np.random.default_rng(0).integers(last, size=(3000, 2))
    validation, left_out = [], []
    for seed in range(5):
        split = BlockSplit(share, seed=seed, guard=guard)
        parts = split_patches(split, size, patch_size, origins, is_tiled)
        validation.append((parts == 1).mean())
        left_out.append((parts == -1).sum() / (parts != 1).sum())
    # Of patches that lie anywhere, those across the side of a block are lost.
    most = 1.25
    least = 0.75 if is_tiled else 0.4
    assert least * share < np.mean(validation) < most * share
    assert np.mean(left_out) < 0.28


def test_validation_lies_in_several_places_of_a_large_image():
    origins = PatchGrid((6400, 6400), 64).origins
    split = BlockSplit(0.2, guard=30)
    parts = split_patches(split, (6400, 6400), (64, 64), origins)
    quarters = (parts == 1).reshape(2, 50, 2, 50).mean(axis=(1, 3))
    assert (quarters > 0.05).all()


def test_a_split_depends_on_seed_and_name_alone():
    origins = PatchGrid((90, 90), 6).origins
    how = (90, 90), (6, 6), origins

    def split(name="a", **options):
        return split_patches(BlockSplit(0.3, **options), *how, name=name)

    assert (split() == split(seed=0)).all()
    assert (split() != split(seed=1)).any()
    assert (split() != split("b")).any()
    # Images of one place have the same blocks.
    place = {"groups": lambda name: name[0]}
    assert (split("a1", **place) == split("a2", **place)).all()
    assert (split("a1", **place) != split("b1", **place)).any()
    # Validation is the same with and without a test.
    with_test = split(test_split=0.2)
    assert ((split() == 1) == (with_test == 1)).all()
    assert (with_test == 2).any()


def test_images_of_one_group_must_be_of_one_size():
    groups = operator.itemgetter(0)
    check_groups(groups, {"a1": (8, 8), "a2": (8, 8), "b": (9, 8)})
    with pytest.raises(ValueError, match=r"a1 has \(8, 8\) pixels, a2 has"):
        check_groups(groups, {"a1": (8, 8), "a2": (9, 8)})


def test_an_image_that_is_too_small_is_for_training():
    split = BlockSplit(0.3, guard=4)
    for size in ((5, 5), (4, 4), (4, 8)):
        origins = PatchGrid(size, 4).origins
        assert not split_patches(split, size, (4, 4), origins).any()


def test_mirrored_pixels_are_pixels_of_the_image():
    # The last row of patches shows 2 rows, and 2 above these once more.
    size, patch_size = (18, 40), (4, 4)
    origins = PatchGrid(size, patch_size).origins
    split = BlockSplit(0.4, block_size=4)
    plain, mirrored = (
        parts_of_image(split, "a", size, patch_size, origins, True, pad_mode)
        for pad_mode in ("constant", "reflect")
    )
    rows = plain.reshape(5, 10)
    expected = rows.copy()
    expected[-1][rows[-1] != rows[-2]] = -1
    assert (rows[-1] != rows[-2]).any()
    assert (mirrored.reshape(5, 10) == expected).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_split": 1.2}, "between 0 and 1"),
        ({"validation_split": 0.6, "test_split": 0.5}, "nothing for training"),
        ({"validation_split": 0.2, "block_size": 0}, "`block_size` must be"),
        ({"validation_split": 0.2, "guard": -1}, "`guard` must be at least 0"),
        ({"validation_split": 0.2, "guard": 1.5}, "`guard` must be an integer"),
        ({"validation_split": 0.2, "seed": -1}, "`seed` must be an integer"),
    ],
)
def test_what_is_no_split_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BlockSplit(**options)
