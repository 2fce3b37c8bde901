"""What the page tells of masks beside true ones."""

import numpy as np

from keras_patching.metrics.confusion import confusion_matrix, iou_per_class
from keras_patching.prediction.geotiff_form import FAR
from keras_patching.visualization import FALSE_ALARM, MISSED, WRONG_CLASS
from keras_patching.visualization.pages.class_tables import share
from keras_patching.visualization.pages.layers import LayerKind, mask_layer
from keras_patching.visualization.pages.page import Column, SmallTable, Value

_ERRORS = (
    (MISSED, "missed"),
    (FALSE_ALARM, "false alarm"),
    (WRONG_CLASS, "wrong class"),
)

NO_CLASS = -1


def read_classes(model, files, read):
    """Read the mask that was written, as classes.

    Args:
        model: Task model.
        files: `WrittenFiles`.
        read: `files.shown`, or `files.whole`.

    Returns:
        Integers `(height, width)`, `NO_CLASS` where the image has no data.
    """
    if "instances" in files:
        return _classes_of_objects(model, files, read("instances")[..., 0])
    if "masks" not in files:
        predicted = read("probabilities")
        is_known = np.isfinite(predicted).all(axis=-1)
        is_known &= (predicted > FAR).any(axis=-1)  # Logits may be far below 0.
        (mask,) = model.decode_predictions(
            np.where(is_known[..., None], predicted, 0)[None]
        )
        return np.where(is_known, mask.astype(int), NO_CLASS)
    values = np.array(model._mask_classes.values)
    order = np.argsort(values)
    stored = read("masks")[..., 0]
    place = np.searchsorted(values, stored, sorter=order)
    classes = order[place.clip(max=len(values) - 1)]
    return np.where(values[classes] == stored, classes, NO_CLASS)


def _classes_of_objects(model, files, numbers):
    """Give the class of each pixel by the number of its object."""
    names = model.class_names or range(model.num_classes)
    place = {str(name): i for i, name in enumerate(names)}
    rows = files.tables["objects.csv"]
    return np.array([0, *(place[row["label"]] for row in rows)])[numbers]


class SegmentationScores:
    """Intersections over union, true masks and errors.

    Args:
        model: A `SemanticSegmentationModel`.
        classes: List of colour and name of each class.
        truth: Dict from names of images to masks, or their paths.
    """

    def __init__(self, model, classes, truth):
        self._model, self._truth = model, truth
        self._names = [name for _, name in classes]
        self._colors = [color for color, _ in classes]
        # Of two classes none is taken for a third.
        errors = _ERRORS[: min(len(classes), 3)]
        self.kinds = [
            LayerKind("truth", "True classes", is_on=False),
            LayerKind("errors", "Errors", is_on=False, legend=errors),
        ]
        self.columns = [Column("Mean IoU", "of classes in truth or found")]
        number = len(classes)
        self._confusion = np.zeros((number, number), "int64")

    def values(self, entry, files):
        """Give the mean IoU, which counts for the table too."""
        if entry.row["image"] not in self._truth:
            return [share(None)]
        truth, found = self._read(entry, files)
        is_known = found != NO_CLASS
        confusion = confusion_matrix(
            truth[is_known],
            found[is_known],
            len(self._names),
            self._model.ignore_value,
        )
        self._confusion += confusion
        ious = list(iou_per_class(confusion).values())
        return [share(float(np.mean(ious)) if ious else None)]

    def _read(self, entry, files):
        truth = self._model.read_target(self._truth[entry.row["image"]])
        return truth, read_classes(self._model, files, files.whole)

    def layers(self, entry, files):
        """Give the true mask, and where the other differs."""
        if entry.row["image"] not in self._truth:
            return []
        truth, found = self._read(entry, files)
        kind = np.select([found == 0, truth == 0], [1, 2], 3)
        differs = (truth != found) & (found != NO_CLASS)
        if self._model.ignore_value is not None:
            is_labelled = truth != self._model.ignore_value
            differs &= is_labelled
            truth = np.where(is_labelled, truth, 0)
        return [
            mask_layer("truth", truth, self._colors[1:]),
            mask_layer(
                "errors", kind * differs, [c for c, _ in _ERRORS], alpha=0.9
            ),
        ]

    def tables(self, entries):
        """Give the scores of each class, and which is taken for which."""
        ious = iou_per_class(self._confusion)
        true, found = (self._confusion.sum(axis=axis) for axis in (1, 0))
        hits = np.diag(self._confusion)
        rows = [
            [
                (self._colors[i], name),
                share(ious.get(f"iou_{i}")),
                share(_ratio(hits[i], found[i])),
                share(_ratio(hits[i], true[i])),
            ]
            for i, name in enumerate(self._names)
        ]
        mean = float(np.mean(list(ious.values()))) if ious else None
        rows.append([(None, "mean"), share(mean), share(None), share(None)])
        head = ["Scores", "IoU", "Precision", "Recall"]
        confusion = [
            [
                (self._colors[i], f"true {name}"),
                *(Value(n, f"{n:,}") for n in self._confusion[i].tolist()),
            ]
            for i, name in enumerate(self._names)
        ]
        return [
            SmallTable("Scores of pixels", head, rows),
            SmallTable(
                "Pixels of each class, and what was found there",
                ["", *self._names],
                confusion,
            ),
        ]


def _ratio(part, whole):
    return float(part / whole) if whole else None
