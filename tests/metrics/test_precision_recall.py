"""Curves of precision over recall are those that average precision takes."""

import numpy as np
import pytest

from keras_patching.metrics import (
    average_precision,
    confusion_matrix,
    precision_recall_curves,
)

TRUE = {"boxes": [[0, 0, 9, 9], [20, 0, 29, 9]], "labels": [0, 0]}


def test_precision_falls_with_each_false_alarm():
    found = {
        "boxes": [[20, 0, 29, 9], [50, 50, 59, 59], [0, 0, 9, 9]],
        "scores": [0.5, 0.7, 0.9],
        "labels": [0, 0, 0],
    }
    curves = precision_recall_curves([found], [TRUE])
    assert list(curves) == [0]
    np.testing.assert_allclose(curves[0]["scores"], [0.9, 0.7, 0.5])
    np.testing.assert_allclose(curves[0]["precision"], [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curves[0]["recall"], [0.5, 0.5, 1])


@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_their_area_is_the_average_precision(threshold):
    rng = np.random.default_rng(0)

    def boxes(count):
        corners = rng.uniform(0, 40, (count, 2))
        return np.hstack([corners, corners + rng.uniform(9, 11, (count, 2))])

    truths = [{"boxes": boxes(9), "labels": rng.integers(0, 2, 9)}] * 3
    detections = [
        {
            "boxes": truth["boxes"] + rng.normal(0, 1, (9, 1)),
            "labels": truth["labels"],
            "scores": rng.uniform(size=9),
        }
        for truth in truths
    ]
    curves = precision_recall_curves(detections, truths, threshold)
    scores = average_precision(detections, truths, (threshold,))
    areas = [curve["average_precision"] for curve in curves.values()]
    assert np.mean(areas) == pytest.approx(*scores.values())


def test_a_class_that_nobody_found_has_an_empty_curve():
    nothing = {"boxes": [], "scores": [], "labels": []}
    (curve,) = precision_recall_curves([nothing], [TRUE]).values()
    assert curve["average_precision"] == 0
    assert len(curve["precision"]) == 0


@pytest.mark.parametrize(
    ("true_mask", "mask", "message"),
    [
        ([[0, 1]], [[0], [1]], "as large"),
        ([[0, 2]], [[0, 1]], "`true_mask` must hold classes from 0 to 1"),
        ([[0, 1]], [[0, 5]], "`mask` must hold"),
        ([[0, -1]], [[0, 1]], "from -1 to 0"),
    ],
)
def test_masks_that_cannot_be_compared_are_refused(true_mask, mask, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(true_mask), np.array(mask), 2)


def test_pixels_to_ignore_do_not_count():
    true_mask, mask = np.array([[0, 255, 1]], "uint8"), np.array([[0, 1, 0]])
    counts = confusion_matrix(true_mask, mask, 2, ignore_value=255)
    assert counts.tolist() == [[1, 0], [1, 0]]
