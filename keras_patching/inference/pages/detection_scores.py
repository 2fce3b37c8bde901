"""What the page tells of boxes beside true ones."""

import numpy as np

from keras_patching.metrics.detection import checked_images, hits_of_class
from keras_patching.visualization.pages.class_tables import count, share
from keras_patching.visualization.pages.layers import LayerKind, box_layer
from keras_patching.visualization.pages.page import Column, SmallTable

_BOXES, _CORNERS = "boxes.csv", ("x1", "y1", "x2", "y2")
_THRESHOLD = 0.5
_WHITE = (255, 255, 255)


def boxes_of(entry, name):
    """Give the boxes of a class in an image, `(n, 4)`, and scores `(n,)`."""
    rows = [row for row in entry.tables[_BOXES] if row["label"] == name]
    boxes = [[row[corner] for corner in _CORNERS] for row in rows]
    scores = np.array([row["score"] for row in rows], "float64")
    return np.reshape(boxes, (-1, 4)), scores


class DetectionScores:
    """Hits among the boxes that were written, and true boxes.

    Args:
        classes: List of colour and name of each class.
        truth: Dict from names of images to dicts of `boxes` and `labels`.
    """

    def __init__(self, classes, truth):
        self._classes, self._truth = classes, truth
        self.kinds = [LayerKind("truth", "True boxes", _WHITE, False)]
        self.columns = [
            Column("True boxes"),
            Column("F1", f"at IoU {_THRESHOLD:g}"),
        ]
        # Per class hits, found and true boxes, of all images.
        self._sums = np.zeros((len(classes), 3), "int64")

    def values(self, entry, files):
        """Give the true boxes and the F1, which count for the table too."""
        truth = self._truth.get(entry.row["image"])
        if truth is None:
            return [share(None)] * len(self.columns)
        sums = np.array([self._compare(entry, truth, i) for i in self._indices])
        self._sums += sums
        return [count(len(truth["boxes"])), share(_f1(*sums.sum(axis=0)))]

    @property
    def _indices(self):
        return range(len(self._classes))

    def _compare(self, entry, truth, label):
        """Count hits, found and true boxes of a class in an image."""
        boxes, scores = boxes_of(entry, self._classes[label][1])
        labels = np.full(len(boxes), label)
        found = {"boxes": boxes, "scores": scores, "labels": labels}
        hits, _, num_true = hits_of_class(
            *checked_images([found], [truth]), label, np.array([_THRESHOLD])
        )
        return int(hits.sum()), len(boxes), num_true

    def layers(self, entry, files):
        """Give the true boxes, dashed."""
        truth = self._truth.get(entry.row["image"])
        if truth is None:
            return []
        boxes = np.asarray(truth["boxes"])
        return [box_layer("truth", boxes, color=_WHITE, dashed=True)]

    def tables(self, entries):
        """Give precision and recall of each class."""
        rows = [
            [each, *_scores(*sums)]
            for each, sums in zip(self._classes, self._sums, strict=True)
        ]
        if len(rows) > 1:
            rows.append([(None, "all"), *_scores(*self._sums.sum(axis=0))])
        head = ["Class", "True", "Found", "Hits", "Precision", "Recall", "F1"]
        heading = f"Scores of boxes (a hit has an IoU of {_THRESHOLD:g})"
        return [SmallTable(heading, head, rows)]


def _scores(hits, found, true):
    return [
        count(true),
        count(found),
        count(hits),
        share(hits / found if found else None),
        share(hits / true if true else None),
        share(_f1(hits, found, true)),
    ]


def _f1(hits, found, true):
    return float(2 * hits / (found + true)) if found + true else None
