"""Boxes follow the pixels: what a box enclosed before, it encloses after."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.patches.patch_augmentation import (
    augment_boxes,
    augment_pixels,
)
from keras_patching.data.patches.yolo_patch_sampler import (
    YoloPatchSampler,
    boxes_in_patch,
)

MOVES = (
    {"turns": 1},
    {"turns": 2},
    {"turns": 3},
    {"flip": "horizontal"},
    {"flip": "vertical"},
)


def numbered_pixels(height, width):
    """Make a patch in which each pixel has a value of its own."""
    return np.arange(height * width).reshape(height, width)


def enclosed(pixels, box):
    """Return the values of the pixels whose middle lies in the box."""
    x1, y1, x2, y2 = box
    y, x = np.indices(pixels.shape) + 0.5
    inside = (x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2)
    return sorted(pixels[inside].tolist())


@st.composite
def patches_with_boxes(draw):
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    xs, ys = (
        st.lists(st.integers(0, 4 * length), min_size=2, max_size=2)
        for length in (width, height)
    )
    corners = draw(st.lists(st.tuples(xs, ys), max_size=4))
    boxes = [[min(x), min(y), max(x), max(y)] for x, y in corners]
    return height, width, np.array(boxes).reshape(-1, 4) / 4


@given(patches_with_boxes(), st.sampled_from([None, *MOVES]))
def test_each_box_encloses_the_same_pixels_as_before(case, augmentation):
    height, width, boxes = case
    pixels = numbered_pixels(height, width)
    moved = augment_pixels(pixels, augmentation)
    moved_boxes = augment_boxes(boxes, augmentation, (height, width))
    assert moved_boxes.shape == boxes.shape
    assert sorted(moved.flat) == sorted(pixels.flat)
    for before, after in zip(boxes, moved_boxes, strict=True):
        assert enclosed(moved, after) == enclosed(pixels, before)
        assert after[0] <= after[2]
        assert after[1] <= after[3]


def test_a_box_of_one_pixel_and_the_pixel_move_together_to_a_known_place():
    expected = {
        ("turns", 1): (2, 0),
        ("turns", 2): (1, 2),
        ("turns", 3): (0, 1),
        ("flip", "horizontal"): (0, 2),
        ("flip", "vertical"): (1, 0),
    }
    pixels = np.zeros((2, 3), np.uint8)
    pixels[0, 0] = 1
    for augmentation in MOVES:
        ((kind, value),) = augmentation.items()
        moved = augment_pixels(pixels, augmentation)
        ((x1, y1, x2, y2),) = augment_boxes(
            np.array([[0.0, 0, 1, 1]]), augmentation, (2, 3)
        )
        place = tuple(np.argwhere(moved)[0])
        assert (y1, x1) == (y2 - 1, x2 - 1) == place == expected[kind, value]


@pytest.mark.parametrize("patch_size", [(24, 24), (16, 24)])
def test_boxes_of_a_whole_plan_enclose_the_objects_painted_in_the_image(
    patch_size,
):
    image_size = (70, 90)
    height, width = patch_size
    boxes = np.array(
        [
            [10 * col + 1, 10 * row + 2, 10 * col + 8, 10 * row + 7]
            for row in range(7)
            for col in range(9)
        ]
    )
    image = np.zeros(image_size, np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes, start=1):
        image[y1:y2, x1:x2] = number
    sampler = YoloPatchSampler(patch_size, grid_size=4)
    seen = 0
    for patch in sampler.plan(image_size, boxes):
        y, x = patch.origin
        pixels = image[y : y + height, x : x + width]
        indices, clipped = boxes_in_patch(boxes, patch.origin, patch_size)
        if "brightness" not in (patch.augmentation or {}):
            pixels = augment_pixels(pixels, patch.augmentation)
        moved = augment_boxes(clipped, patch.augmentation, patch_size)
        assert pixels.shape == patch_size
        for index, box in zip(indices, moved, strict=True):
            values = enclosed(pixels, box)
            assert set(values) == {index + 1}
            assert len(values) == np.count_nonzero(pixels == index + 1)
            seen += 1
    assert seen > 100


RANGES = [
    ("uint8", (0, 255)),
    ("uint8", (10, 200)),
    ("uint8", (0, 65535)),
    ("uint16", (0, 65535)),
    ("uint16", (0, 4095)),
    ("int16", (-1000, 3000)),
    ("float32", (0, 1)),
    ("float32", (-1, 1)),
    ("float64", (0, 255)),
    ("float32", (np.float64(0), np.float64(1))),
]


@pytest.mark.parametrize("share", [0.2, 0.4, -0.2, -0.4])
@pytest.mark.parametrize(("dtype", "value_range"), RANGES)
def test_brightness_scales_from_black_rounds_and_clips(
    dtype, value_range, share
):
    black, white = value_range
    rng = np.random.default_rng(0)
    patch = rng.uniform(black, white, (20, 20, 3))
    if np.dtype(dtype).kind in "ui":
        patch = np.clip(patch.round(), None, np.iinfo(dtype).max)
    patch = patch.astype(dtype)
    bright = augment_pixels(patch, {"brightness": share}, value_range)
    assert bright.dtype == patch.dtype
    low, high = np.percentile(patch, (1, 99))
    factor = 1 + share * (high - low) / (high - black)
    expected = (patch - float(black)) * factor + black
    step = 0
    if np.dtype(dtype).kind in "ui":
        step = 1
        white = min(white, np.iinfo(dtype).max)
    expected = np.clip(expected, black, white)
    np.testing.assert_allclose(bright, expected, rtol=1e-4, atol=step or 1e-6)
    assert bright.min() >= black
    assert bright.max() <= white
    assert (bright[patch > black] > black).all()


def dim_image(dtype, scale):
    """Spots on a noisy background, in the lowest part of a range."""
    rng = np.random.default_rng(0)
    image = rng.uniform(3, 9, (40, 40, 1))
    image[10:20, 10:20] += 12
    return (image * scale).astype(dtype)


@pytest.mark.parametrize("share", [0.4, 0.2, -0.2, -0.4])
@pytest.mark.parametrize(
    ("dtype", "scale", "value_range"),
    [
        ("uint8", 1, (0, 255)),
        ("uint16", 20, (0, 65535)),
        ("float32", 1e-4, (0, 1)),
    ],
)
def test_objects_of_a_dim_image_stay_to_be_seen(
    dtype, scale, value_range, share
):
    image = dim_image(dtype, scale)
    image[0, 0] = value_range[1]  # a hot pixel
    bright = augment_pixels(image, {"brightness": share}, value_range)
    spot, around = (
        (each[12:18, 12:18].mean(), each[22:].mean())
        for each in (image, bright)
    )
    contrast = (around[0] - around[1]) / (spot[0] - spot[1])
    assert 0.5 < contrast < 1.5
    assert np.sign(around[0] - spot[0]) == np.sign(share)
    spread = np.subtract(*np.percentile(image, (99, 1)))
    assert 0.1 * spread < abs(around[0] - spot[0]) < 0.5 * spread
    assert (bright[image > 0] > 0).all()


@pytest.mark.parametrize("value", [0, 1, 100, 255])
@pytest.mark.parametrize("share", [0.4, -0.4])
def test_an_image_of_one_value_stays_as_it_is(value, share):
    patch = np.full((6, 5, 3), value, np.uint8)
    bright = augment_pixels(patch, {"brightness": share})
    np.testing.assert_array_equal(bright, patch)


@pytest.mark.parametrize("share", [0.4, -0.4])
def test_values_above_a_pedestal_move_by_their_spread_not_their_height(share):
    rng = np.random.default_rng(0)
    patch = rng.integers(30_000, 30_100, (40, 40, 1)).astype("uint16")
    bright = augment_pixels(patch, {"brightness": share}, (0, 65535))
    assert 20 < abs(bright.astype(int) - patch).mean() < 45


def test_brightening_by_nothing_changes_nothing():
    patch = np.array([[[0], [255]]], np.uint8)
    bright = augment_pixels(patch, {"brightness": 0})
    np.testing.assert_array_equal(bright, patch)


def test_brightness_leaves_padding_black():
    patch = np.zeros((6, 5, 3), np.uint8)
    patch[:4, :3] = np.array([80, 100])[np.indices((4, 3)).sum(0) % 2][
        ..., None
    ]
    share = {"brightness": -0.4}
    bright = augment_pixels(patch, share, inside_size=(4, 3))
    assert set(bright[:4, :3].flat) == {74, 92}  # by a spread of 20, not 100
    assert (bright[4:] == 0).all()
    assert (bright[:, 3:] == 0).all()


def test_padding_moves_with_the_pixels():
    patch = numbered_pixels(4, 4) + 1
    patch[3:] = 0
    turned = augment_pixels(patch, {"turns": 1}, inside_size=(3, 4))
    assert (turned[:, 3] == 0).all()
    assert (turned[:, :3] > 0).all()


@pytest.mark.parametrize("augmentation", [*MOVES, {"brightness": 0.3}])
def test_patch_and_boxes_themselves_stay_as_they_are(augmentation):
    patch, boxes = numbered_pixels(5, 5), np.array([[1.0, 1, 2, 3]])
    before = patch.copy(), boxes.copy()
    patch.flags.writeable = boxes.flags.writeable = False
    augment_pixels(patch, augmentation)
    augment_boxes(boxes, augmentation, (5, 5))
    np.testing.assert_array_equal(patch, before[0])
    np.testing.assert_array_equal(boxes, before[1])


@pytest.mark.parametrize("augmentation", [None, {"brightness": 0.3}])
def test_what_moves_no_pixels_moves_no_boxes(augmentation):
    boxes = np.array([[1.0, 1, 2, 3]])
    moved = augment_boxes(boxes, augmentation, (5, 5))
    np.testing.assert_array_equal(moved, boxes)


@pytest.mark.parametrize("augmentation", [*MOVES, {"brightness": 0.3}])
def test_no_boxes_stay_no_boxes(augmentation):
    moved = augment_boxes(np.zeros((0, 4)), augmentation, (5, 5))
    assert moved.shape == (0, 4)


@pytest.mark.parametrize(
    "augmentation",
    [{"flip": "diagonal"}, {"blur": 3}, {}, "turns"],
)
def test_an_unknown_augmentation_is_refused(augmentation):
    message = "Received: augmentation="
    with pytest.raises(ValueError, match=message):
        augment_pixels(numbered_pixels(2, 2), augmentation)
    with pytest.raises(ValueError, match=message):
        augment_boxes(np.zeros((1, 4)), augmentation, (2, 2))


def test_levels_of_an_older_plan_are_refused():
    with pytest.raises(ValueError, match=r"-0\.4 to 0\.4.*-52"):
        augment_pixels(numbered_pixels(2, 2), {"brightness": -52})
