"""What models found, beside the truth."""

import numpy as np
import pytest

from keras_patching import visualization
from keras_patching.visualization import COLORS

RNG = np.random.default_rng(0)
BOXES = np.array([[10, 20, 30, 50], [40, 20, 70, 40]])


def grey(height, width, value=100):
    return np.full((height, width, 3), value, "uint8")


def detections(boxes, labels):
    boxes = np.array(boxes, "float32")
    return {
        "boxes": boxes,
        "scores": np.linspace(0.9, 0.5, len(boxes)),
        "labels": np.array(labels),
    }


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


def test_found_boxes_stand_beside_true_ones():
    image, found = grey(64, 80), detections(BOXES[:1], [0])
    truth = detections(BOXES, [0, 0])
    figure = visualization.detection_figure(image, found, truth)
    assert figure.shape[1] == 2 * 80 + 4
    left, right = figure[-64:, :80], figure[-64:, 84:]
    np.testing.assert_array_equal(left[20, 40:70], [COLORS[0]] * 30)
    np.testing.assert_array_equal(right[20, 40:70], 100)
    np.testing.assert_array_equal(right[49, 10:30], [COLORS[1]] * 20)
    panels = visualization.detection_panels(image, found)
    assert list(panels) == ["Found: 1"]


def test_boxes_of_one_class_have_its_colour_and_scores_alone():
    found = detections(BOXES, [0, 0])
    named = visualization.overlay_detections(grey(64, 80), found, ("plant",))
    np.testing.assert_array_equal(named[49, 10:30], [COLORS[0]] * 20)
    lines = visualization.overlay_boxes(
        grey(64, 80), BOXES, ["0.90", "0.50"], COLORS[0]
    )
    np.testing.assert_array_equal(named, lines)


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


def test_a_wrong_class_is_neither_missed_nor_a_false_alarm():
    truth = np.ones((64, 64), "uint8")
    prediction = np.full((64, 64), 2, "uint8")
    figure = visualization.segmentation_figure(grey(64, 64), truth, prediction)
    inside = figure[-32, -32].astype(int)
    assert np.abs(inside - visualization.WRONG_CLASS).max() < 30


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
