"""Average precision is that of COCO."""

import numpy as np
import pytest

from keras_patching.metrics import COCO_IOU_THRESHOLDS, average_precision


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("y1, x1, y2, x2", lambda b: b[:, [1, 0, 3, 2]]),
        (
            "x, y, width, height",
            lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]]),
        ),
    ],
)
def test_true_boxes_in_another_format_are_warned_of(named, change):
    corners = np.random.default_rng(0).uniform(25, 40, (8, 2))
    boxes = np.hstack([corners, corners + np.array([100, 45])])
    labels = np.zeros(8, int)
    found = [{"boxes": boxes, "scores": labels + 0.5, "labels": labels}]
    other = [{"boxes": change(boxes), "labels": labels}]
    with pytest.warns(UserWarning, match=f"would be 1.00 if .* {named}: they"):
        scores = average_precision(found, other)
    assert scores["ap50"] < 0.1
    right = [{"boxes": boxes, "labels": labels}]
    assert average_precision(found, right)["ap50"] == 1


def draw_boxes(rng, count):
    """Draw boxes on whole pixels, so that IoUs equal thresholds often."""
    corners = rng.integers(0, 20, (count, 2))
    return np.hstack([corners, corners + rng.integers(1, 12, (count, 2))])


def draw_image(rng, num_classes):
    """Draw true boxes, and boxes near them or anywhere, with equal scores."""
    truth = draw_boxes(rng, rng.integers(0, 9))
    true_labels = rng.integers(0, num_classes, len(truth))
    near = rng.integers(0, len(truth), 12) if len(truth) else np.zeros(0, int)
    boxes = truth[near] + rng.integers(-1, 2, (len(near), 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    boxes = np.vstack([boxes, draw_boxes(rng, rng.integers(0, 9))])
    labels = rng.integers(0, num_classes + 1, len(boxes))
    labels[: len(near)] = true_labels[near]
    scores = rng.integers(0, 8, len(boxes)) / 8
    return (
        {"boxes": boxes.astype("float32"), "scores": scores, "labels": labels},
        {"boxes": truth, "labels": true_labels},
    )


def coco_average_precision(detections, truths, max_detections):
    """Return pycocotools' mean over classes, for each of ten thresholds."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")

    def annotations(images):
        found = []
        for number, image in enumerate(images):
            for k, (x1, y1, x2, y2) in enumerate(image["boxes"].tolist()):
                annotation = {
                    "id": len(found) + 1,
                    "image_id": number,
                    "category_id": int(image["labels"][k]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
                if "scores" in image:
                    annotation["score"] = float(image["scores"][k])
                found.append(annotation)
        return found

    tables = []
    categories = sorted({label for t in truths for label in t["labels"]})
    for images in (truths, detections):
        table = coco.COCO()
        table.dataset = {
            "images": [{"id": number} for number in range(len(truths))],
            "categories": [{"id": int(label)} for label in categories],
            "annotations": annotations(images),
        }
        table.createIndex()
        tables.append(table)
    evaluation = cocoeval.COCOeval(*tables, "bbox")
    evaluation.params.maxDets = [max_detections]
    evaluation.params.areaRng = [[0, 1e10]]
    evaluation.params.areaRngLbl = ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 0].mean(axis=(1, 2))


@pytest.mark.parametrize("max_detections", [None, 2])
@pytest.mark.parametrize("seed", range(12))
def test_average_precision_is_that_of_pycocotools(seed, max_detections):
    rng = np.random.default_rng(seed)
    num_images, num_classes = rng.integers(1, 6), rng.integers(1, 4)
    detections, truths = zip(
        *(draw_image(rng, num_classes) for _ in range(num_images)), strict=True
    )
    ours = average_precision(
        detections, truths, COCO_IOU_THRESHOLDS, max_detections
    )
    theirs = coco_average_precision(detections, truths, max_detections or 10000)
    assert ours["ap50_95"] == pytest.approx(theirs.mean(), abs=1e-9)
    percents = range(50, 100, 5)
    for percent, expected in zip(percents, theirs, strict=True):
        assert ours[f"ap{percent}"] == pytest.approx(expected, abs=1e-9)


def test_average_precision_is_the_same_a_few_pairs_at_a_time(
    monkeypatch,
):
    drawn = [draw_image(np.random.default_rng(seed), 2) for seed in range(4)]
    expected = average_precision(*zip(*drawn, strict=True))
    monkeypatch.setattr("keras_patching.metrics.detection._MOST_PAIRS", 9)
    assert average_precision(*zip(*drawn, strict=True)) == expected


NOTHING = {"boxes": [], "scores": [], "labels": []}
ONE = {"boxes": [[0, 0, 5, 5]], "scores": [0.5], "labels": [3]}


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        (ONE, ONE, 1.0),
        (NOTHING, ONE, 0.0),
        (ONE, NOTHING, np.nan),
        (NOTHING, NOTHING, np.nan),
        ({**ONE, "labels": [2]}, ONE, 0.0),
    ],
)
def test_average_precision_where_little_is_found(found, truth, expected):
    scores = average_precision([found], [truth])
    assert scores == pytest.approx({"ap50": expected}, nan_ok=True)


def test_boxes_of_different_images_are_refused():
    with pytest.raises(ValueError, match=r"as many images.*2 and 1"):
        average_precision([ONE, ONE], [ONE])
    with pytest.raises(ValueError, match=r"as many scores.*0 and 1"):
        average_precision([{**ONE, "scores": []}], [ONE])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": [[5, 5, 2, 2]]}, "not, say, a corner and a size"),
        ({"boxes": [[0, 0, np.inf, 2]]}, "finite"),
        ({"boxes": [0, 0, 5, 5]}, r"\(n, 4\)"),
        ({"boxes": [[0, 0, 5, 5, 1]]}, r"\(n, 4\)"),
        ({"scores": [np.nan]}, "NaN"),
    ],
)
def test_boxes_that_are_none_are_refused(change, message):
    with pytest.raises(ValueError, match=message) as error:
        average_precision([{**ONE, **change}], [ONE])
    assert "detections[0]" in str(error.value)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"iou_thresholds": (50,)},
        {"iou_thresholds": (np.nan,)},
        {"max_detections": -1},
        {"max_detections": 2.5},
    ],
)
def test_thresholds_that_mean_nothing_are_refused(kwargs):
    ((name, _),) = kwargs.items()
    with pytest.raises(ValueError, match=f"`{name}`"):
        average_precision([ONE], [ONE], **kwargs)
