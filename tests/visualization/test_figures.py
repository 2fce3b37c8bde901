import numpy as np
import pytest

from keras_patching import visualization
from keras_patching.visualization import COLORS

RNG = np.random.default_rng(0)


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


def test_panels_stand_side_by_side_below_captions():
    panels = {"first": grey(60, 80, 10), "second": grey(120, 80, 200)}
    picture = visualization.side_by_side(panels)
    caption = picture.shape[0] - 60
    assert 8 < caption < 60
    assert picture.shape[1] == 80 + 4 + 40
    np.testing.assert_array_equal(picture[caption:, :80], 10)
    np.testing.assert_array_equal(picture[caption:, 80:84], 255)
    np.testing.assert_array_equal(picture[caption:, 84:], 200)
    strip = picture[:caption]
    assert strip[:, :80].min() < 100
    assert strip[:, 84:].min() < 100
    assert np.median(strip) == 255


def test_another_caption_is_another_picture():
    one, other = (
        visualization.side_by_side({caption: grey(100, 100)})
        for caption in ("truth", "prediction")
    )
    assert one.shape == other.shape
    assert (one != other).any()


def test_a_long_caption_fits_its_panel():
    caption = "a caption that is rather long for a panel as narrow as this"
    picture = visualization.side_by_side({caption: grey(400, 400)})
    strip = picture[:-400]
    assert strip.min() < 100
    np.testing.assert_array_equal(strip[:, [0, -1]], 255)


def test_panels_can_stand_in_rows():
    panels = {str(number): grey(50, 60, number) for number in range(5)}
    one_row = visualization.side_by_side(panels)
    rows = visualization.side_by_side(panels, columns=2)
    assert rows.shape[1] == 2 * 60 + 4
    assert rows.shape[0] == 3 * one_row.shape[0] + 2 * 4
    np.testing.assert_array_equal(rows[-50:, :60], 4)
    np.testing.assert_array_equal(rows[-50:, 60:], 255)


@pytest.mark.parametrize(
    "arguments", [{"height": 0}, {"columns": 0}, {"columns": -1}]
)
def test_a_layout_below_one_is_an_error(arguments):
    with pytest.raises(ValueError, match="must be at least 1"):
        visualization.side_by_side({"a": grey(5, 5)}, **arguments)


def test_a_height_of_0_is_not_taken_for_none():
    mask = np.zeros((5, 5), int)
    for draw in (
        lambda: visualization.segmentation_figure(
            grey(5, 5), mask, mask, height=0
        ),
        lambda: visualization.counting_panels(grey(5, 5), mask, [], height=0),
    ):
        with pytest.raises(ValueError, match="must be at least 1"):
            draw()


def test_no_panels_is_an_error():
    with pytest.raises(ValueError, match="at least one panel"):
        visualization.side_by_side({})


def test_a_segmentation_is_shown_with_its_errors():
    truth = np.zeros((64, 64), "uint8")
    truth[:32, :32] = 1
    prediction = np.zeros((64, 64), "uint8")
    prediction[32:, 32:] = 1
    figure = visualization.segmentation_figure(grey(64, 64), truth, prediction)
    image, true, predicted, errors = (
        figure[-64:, start : start + 64] for start in (0, 68, 136, 204)
    )
    np.testing.assert_array_equal(image, 100)
    assert figure.shape[1] == 4 * 64 + 3 * 4
    np.testing.assert_array_equal(
        (true != 100).any(axis=-1), truth.astype(bool)
    )
    np.testing.assert_array_equal(
        (predicted != 100).any(axis=-1), prediction.astype(bool)
    )
    missed, false_alarm = errors[16, 16].astype(int), errors[48, 48].astype(int)
    assert missed[0] > missed[2] + 50  # red
    assert false_alarm[2] > false_alarm[0] + 50  # blue
    assert np.ptp(errors[16, 48]) == 0  # grey


def test_a_large_segmentation_is_shown_smaller():
    image = RNG.integers(0, 65535, (1200, 900)).astype("uint16")
    mask = np.zeros((1200, 900), "int32")
    mask[300:900] = 3
    figure = visualization.segmentation_figure(image, mask, mask)
    assert 512 < figure.shape[0] < 640
    assert figure.shape[1] == 4 * 384 + 3 * 10


def test_a_segmentation_of_another_size_is_an_error():
    with pytest.raises(ValueError, match=r"\(64, 64\). Received: shape="):
        visualization.segmentation_figure(
            grey(64, 64), np.zeros((64, 64), int), np.zeros((32, 64), int)
        )


def test_points_are_ringed_and_their_centers_left_visible():
    picture = visualization.overlay_points(
        grey(60, 80), [(20, 30), (50.4, 70.2)], color=(255, 0, 0), radius=6
    )
    changed = np.argwhere((picture != 100).any(axis=-1))
    near = np.linalg.norm(changed[:, None] - [(20, 30), (50, 70)], axis=-1)
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


def test_a_counting_is_shown_with_the_places_of_objects():
    heatmap = np.zeros((64, 80, 1), "float32")
    heatmap[10, 20] = 1.25
    figure = visualization.counting_figure(
        grey(64, 80), heatmap, [(10, 20)], [(50, 60), (50, 60)]
    )
    assert figure.shape[1] == 3 * 80 + 2 * 4
    truth, located, shown = (
        figure[-64:, start : start + 80] for start in (0, 84, 168)
    )
    assert (truth[40:60, 50:70] != 100).any()
    np.testing.assert_array_equal(truth[:40], 100)
    assert (located[:20, 10:30] != 100).any()
    np.testing.assert_array_equal(located[40:], 100)
    assert shown[10, 20].tolist() == [255, 255, 255]
    captions = list(
        visualization.counting_panels(grey(64, 80), heatmap, [(10, 20)])
    )
    assert captions == ["Located: 1", "Count: 1.2"]


def test_points_on_a_large_image_move_with_it():
    image = grey(2048, 1024)
    panels = visualization.counting_panels(
        image, np.zeros((2048, 1024)), [(2000, 100)], height=512
    )
    changed = np.argwhere((panels["Located: 1"] != 100).any(axis=-1))
    assert np.abs(changed.mean(axis=0) - (500, 25)).max() < 2


BOXES = np.array([[10, 20, 30, 50], [40, 20, 70, 40]])


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


def detections(boxes, labels):
    boxes = np.array(boxes, "float32")
    return {
        "boxes": boxes,
        "scores": np.linspace(0.9, 0.5, len(boxes)),
        "labels": np.array(labels),
    }


def test_found_boxes_stand_beside_true_ones():
    image, found = grey(64, 80), detections(BOXES[:1], [0])
    truth = detections(BOXES, [0, 0])
    figure = visualization.detection_figure(image, found, truth, ("plant",))
    assert figure.shape[1] == 2 * 80 + 4
    left, right = figure[-64:, :80], figure[-64:, 84:]
    np.testing.assert_array_equal(left[20, 40:70], [COLORS[0]] * 30)
    np.testing.assert_array_equal(right[20, 40:70], 100)
    np.testing.assert_array_equal(right[49, 10:30], [COLORS[1]] * 20)
    panels = visualization.detection_panels(image, found)
    assert list(panels) == ["Found: 1"]


def test_boxes_of_several_classes_have_colours_and_names():
    image, found = grey(64, 80), detections(BOXES, [0, 2])
    panels = visualization.detection_panels(
        image, found, found, ("leaf", "root", "fruit")
    )
    for panel in panels.values():
        np.testing.assert_array_equal(panel[49, 10:30], [COLORS[0]] * 20)
        np.testing.assert_array_equal(panel[39, 40:70], [COLORS[2]] * 30)
    assert visualization.box_captions(found) == ["0.90", "0.50"]
    assert visualization.box_captions(found, ("leaf", "root", "fruit")) == [
        "leaf 0.90",
        "fruit 0.50",
    ]


def test_boxes_on_a_large_image_move_with_it():
    found = detections([[100, 1600, 300, 2000]], [0])
    panels = visualization.detection_panels(grey(2048, 1024), found, height=512)
    panel = panels["Found: 1"]
    assert panel.shape == (512, 256, 3)
    lines = np.argwhere((panel == COLORS[1]).all(axis=-1))
    assert lines.max(axis=0).tolist() == [499, 74]


def test_no_error_has_the_colour_of_a_class():
    errors = [
        visualization.MISSED,
        visualization.FALSE_ALARM,
        visualization.WRONG_CLASS,
    ]
    colors = np.array([*visualization.palette(30), *errors], float)
    for color in errors:
        distances = np.linalg.norm(colors - color, axis=1)
        assert np.sort(distances)[1] > 80, color


def test_a_wrong_class_is_neither_missed_nor_a_false_alarm():
    truth = np.ones((64, 64), "uint8")
    prediction = np.full((64, 64), 2, "uint8")
    figure = visualization.segmentation_figure(grey(64, 64), truth, prediction)
    inside = figure[-32, -32].astype(int)
    assert np.abs(inside - visualization.WRONG_CLASS).max() < 30


def has_color(picture, color):
    return (picture == color).all(axis=-1).any()


def test_a_legend_names_the_classes_that_are_in_the_picture():
    names = ("soil", "maize", "weed")
    entries = visualization.class_legend(np.array([[0, 2], [2, 0]]), names)
    assert entries == [(COLORS[1], "weed")]
    assert visualization.class_legend([1]) == [(COLORS[0], "class 1")]
    truth = np.zeros((64, 64), "uint8")
    truth[:32] = 2
    plain, named = (
        visualization.segmentation_figure(
            grey(64, 64), truth, truth, class_names=given
        )
        for given in (None, names)
    )
    assert has_color(named[:-64], COLORS[1])
    assert not has_color(named[:-64], COLORS[0])
    assert (plain[:-64] != named[:-64]).any()


def test_a_legend_takes_the_lines_that_it_needs():
    entries = [(COLORS[0], f"class number {index}") for index in range(9)]
    wide, narrow = (
        visualization.legend(entries, width, size=12) for width in (2000, 300)
    )
    assert wide.shape[1] == 2000
    assert narrow.shape[1] == 300
    assert len(narrow) > 2 * len(wide)
    assert visualization.legend(entries, 20, size=12).shape[1] > 20
    assert visualization.legend([], 20).shape == (0, 20, 3)


def test_heatmaps_that_are_compared_have_one_scale_and_say_which():
    low, high = np.full((64, 80), 0.01), np.full((64, 80), 0.02)
    figures = [
        visualization.counting_figure(
            grey(64, 80), heatmap, [], [], highest=0.02
        )
        for heatmap in (low, high)
    ]
    assert figures[0][-1, -1].tolist() == [255, 128, 0]
    assert figures[1][-1, -1].tolist() == [255, 255, 255]
    bar = visualization.heatmap_bar(0.02, 400)
    row = bar[len(bar) // 2]
    reds, blues = row[:, 0].astype(int), row[:, 2].astype(int)
    assert (reds - blues).max() == 255
    other = visualization.heatmap_bar(0.01, 400)
    assert bar.shape == other.shape
    assert (bar != other).any()


def test_several_classes_of_boxes_are_explained():
    found = detections(BOXES, [0, 2])
    names = ("leaf", "root", "fruit")
    figure = visualization.detection_figure(grey(64, 80), found, found, names)
    assert has_color(figure[: -64 - 20], COLORS[1])
    assert visualization.box_legend(("leaf",)) == []
