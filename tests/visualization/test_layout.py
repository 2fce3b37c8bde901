"""Panels in rows, each below its caption."""

import numpy as np
import pytest

from keras_patching import visualization


def grey(height, width, value=100):
    return np.full((height, width, 3), value, "uint8")


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


def test_panels_may_have_one_caption():
    pairs = [("leaf", grey(64, 80)), ("leaf", grey(64, 80, 50))]
    figure = visualization.side_by_side(pairs)
    assert (figure[-1, 0, 0], figure[-1, -1, 0]) == (100, 50)
