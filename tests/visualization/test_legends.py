"""Pictures say what their colours stand for."""

import numpy as np

from keras_patching import visualization
from keras_patching.visualization import COLORS

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


def test_the_classes_of_boxes_are_explained():
    found = detections(BOXES, [0, 2])
    names = ("leaf", "root", "fruit")
    figure = visualization.detection_figure(grey(64, 80), found, found, names)
    assert has_color(figure[: -64 - 20], COLORS[1])
    one = detections(BOXES, [0, 0])
    figure = visualization.detection_figure(grey(64, 80), one, one, ("leaf",))
    assert has_color(figure[: -64 - 20], COLORS[0])
    assert visualization.box_legend(("leaf",)) == [(COLORS[0], "leaf")]
    assert visualization.box_legend(None) == []
