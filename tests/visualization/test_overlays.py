"""Images as a screen shows them, and labels over them."""

import numpy as np
import pytest

from keras_patching import visualization

RNG = np.random.default_rng(0)
BOXES = np.array([[10, 20, 30, 50], [40, 20, 70, 40]])


def grey(height, width, value=100):
    return np.full((height, width, 3), value, "uint8")


@pytest.mark.parametrize(
    "shape", [(4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 7)]
)
def test_any_number_of_channels_becomes_rgb(shape):
    image = RNG.integers(0, 256, shape).astype("uint8")
    picture = visualization.to_uint8(image)
    assert picture.shape == (4, 5, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(
        picture[..., 0], image if image.ndim == 2 else image[..., 0]
    )


@pytest.mark.parametrize(
    ("image", "value_range", "expected"),
    [
        (np.uint8([[3, 200]]), None, [3, 200]),
        (np.uint8([[0, 1]]), (0, 1), [0, 255]),
        (np.float32([[-1, 0, 1]]), None, [0, 128, 255]),
        (np.float32([[-1, 0, 1]]), (0, 1), [0, 0, 255]),
        (np.uint16([[0, 65535, 32768]]), (0, 65535), [0, 255, 128]),
        (np.array([[False, True]]), None, [0, 255]),
        (np.float32([[7, 7]]), None, [0, 0]),
        (np.float32([[0, np.nan, 2, np.inf]]), None, [0, 0, 255, 0]),
        (np.float32([[np.nan]]), None, [0]),
    ],
)
def test_any_range_is_scaled_to_the_screen(image, value_range, expected):
    picture = visualization.to_uint8(image, value_range)
    assert picture[0, :, 1].tolist() == expected


@pytest.mark.parametrize("shape", [(5,), (2, 4, 5, 3), (0, 4, 3)])
def test_what_is_no_image_is_an_error(shape):
    with pytest.raises(ValueError, match="Received: shape="):
        visualization.to_uint8(np.zeros(shape))


def test_background_stays_and_classes_differ():
    image = grey(30, 40)
    mask = np.zeros((30, 40), "uint8")
    mask[5:15, 5:15] = 1
    mask[5:15, 20:30] = 2
    picture = visualization.overlay_mask(image, mask)
    np.testing.assert_array_equal(picture[mask == 0], image[mask == 0])
    inside = [tuple(picture[10, x]) for x in (10, 25)]
    assert len({*inside, (100, 100, 100)}) == 3
    np.testing.assert_array_equal(image, grey(30, 40))


def test_opacity_leaves_the_edge_visible():
    mask = np.zeros((30, 40), "uint8")
    mask[5:15, 5:15] = 1
    picture = visualization.overlay_mask(
        grey(30, 40), mask, alpha=0, colors=[(255, 0, 0)]
    )
    red = (picture == (255, 0, 0)).all(axis=-1)
    assert red.sum() == 36
    assert not red[6:14, 6:14].any()


def test_all_classes_of_a_byte_have_colours_of_their_own():
    mask = np.arange(256, dtype="uint8").reshape(16, 16)
    picture = visualization.overlay_mask(grey(16, 16), mask, alpha=1)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 256
    wide = np.full((4, 4), 65535, "uint16")
    assert visualization.overlay_mask(grey(4, 4), wide).shape == (4, 4, 3)


@pytest.mark.parametrize(
    "mask", [np.zeros((40, 30), "uint8"), np.zeros((30, 40), "float32")]
)
def test_a_mask_that_does_not_fit_is_an_error(mask):
    with pytest.raises(ValueError, match=r"\(30, 40\). Received: shape="):
        visualization.overlay_mask(grey(30, 40), mask)


def test_points_are_ringed_and_their_centers_left_visible():
    picture = visualization.overlay_points(
        grey(60, 80), [(20, 30), (50.4, 70.2)], color=(255, 0, 0), radius=6
    )
    changed = np.argwhere((picture != 100).any(axis=-1))
    centers = changed[:, None] + 0.5
    near = np.linalg.norm(centers - [(20, 30), (50, 70)], axis=-1)
    assert near.min(axis=1).max() < 9
    assert near.min() > 2
    assert near.argmin(axis=1).mean() == pytest.approx(0.5, abs=0.1)
    assert (picture == (255, 0, 0)).all(axis=-1).sum() > 60


def test_no_points_leave_the_image_as_it_is():
    image = grey(20, 30)
    for points in ([], np.zeros((0, 2))):
        picture = visualization.overlay_points(image, points)
        np.testing.assert_array_equal(picture, image)


@pytest.mark.parametrize("points", [np.ones((3, 3)), np.ones(4), [["a", "b"]]])
def test_what_are_no_points_is_an_error(points):
    with pytest.raises(ValueError, match=r"\(n, 2\).* Received: shape="):
        visualization.overlay_points(grey(20, 30), points)


def test_a_heatmap_goes_from_black_over_red_to_white():
    picture = visualization.show_heatmap(np.float32([[0, 1, 3, 9]]), highest=3)
    assert picture.tolist() == [[[0, 0, 0], [255, 0, 0], *[[255] * 3] * 2]]
    assert not visualization.show_heatmap(np.zeros((3, 4, 1))).any()


def test_a_heatmap_hides_the_image_only_where_it_is_high():
    heatmap = np.float32([[0, 0.01, 1, 3]])
    picture = visualization.overlay_heatmap(grey(1, 4), heatmap)
    difference = np.abs(picture.astype(int) - 100).sum(axis=-1)[0]
    assert difference[0] == 0
    assert difference[1] < 5 < 50 < difference[2] < difference[3]


def test_boxes_frame_their_pixels_and_leave_the_inside_visible():
    picture = visualization.overlay_boxes(
        grey(60, 80), BOXES, color=[(255, 0, 0), (0, 255, 0)], width=2
    )
    for color, (x1, y1, x2, y2) in zip(
        ((255, 0, 0), (0, 255, 0)), BOXES, strict=True
    ):
        frame = np.zeros((60, 80), bool)
        frame[y1:y2, x1:x2] = True
        frame[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] = False
        np.testing.assert_array_equal((picture == color).all(-1), frame)
        inside = picture[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
        np.testing.assert_array_equal(inside, 100)


def test_a_caption_stands_above_its_box_or_in_it_where_there_is_no_room():
    low, high = [[10, 40, 70, 55]], [[10, 0, 70, 50]]
    plain, captioned = (
        visualization.overlay_boxes(grey(60, 80), low, captions)
        for captions in ((), ("0.97",))
    )
    changed = np.argwhere((plain != captioned).any(axis=-1))
    assert changed[:, 0].max() <= 40
    assert changed[:, 0].min() > 20
    inside = visualization.overlay_boxes(grey(60, 80), high, ["0.97"])
    plain = visualization.overlay_boxes(grey(60, 80), high)
    changed = np.argwhere((plain != inside).any(axis=-1))
    assert 5 < changed[:, 0].max() < 20


def test_boxes_at_the_edge_and_smaller_than_a_line_are_drawn():
    boxes = [[0, 0, 80, 60], [30.2, 30.1, 30.9, 30.3], [79.5, 59.5, 80, 60]]
    picture = visualization.overlay_boxes(
        grey(60, 80), boxes, ["a wide caption"] * 3, color=(255, 0, 0)
    )
    is_red = (picture == (255, 0, 0)).all(axis=-1)
    assert is_red[0].all()
    assert is_red[-1].all()
    assert is_red[:, 0].any()
    assert is_red[29:33, 29:33].any()


def test_no_boxes_leave_the_image_as_it_is():
    image = grey(20, 30)
    for boxes in ([], np.zeros((0, 4))):
        picture = visualization.overlay_boxes(image, boxes)
        np.testing.assert_array_equal(picture, image)


@pytest.mark.parametrize("boxes", [np.ones((3, 5)), np.ones(4), [["a"] * 4]])
def test_what_are_no_boxes_is_an_error(boxes):
    with pytest.raises(ValueError, match=r"\(n, 4\).* Received: shape="):
        visualization.overlay_boxes(grey(20, 30), boxes)
