"""What the classes of a cache are in files of masks."""

import numpy as np

from keras_patching.data.labels.mask_classes import MaskClasses

_GREY = (128, 128, 128)


class MaskValues:
    """The values that classes have in mask files, and their colours.

    Args:
        manifest: `Manifest` of a cache of masks.
        path: Path of it, for messages.

    Raises:
        ValueError: It does not tell how many classes there are.

    Attributes:
        palette: RGB of the values 0, 1 and so on, for `write_image`; `None`
            where colours are not known.
    """

    def __init__(self, manifest, path):
        if "num_classes" not in manifest.parameters:
            raise ValueError(
                f"{path}: does not tell how many classes its masks have. Call "
                "the loader on the original images again."
            )
        self._names, self._colors = manifest.class_names, manifest.class_colors
        self._count = manifest.parameters["num_classes"]
        ignored = manifest.parameters.get("ignore_value")
        classes = MaskClasses(self._count, ignored, ids=manifest.class_ids)
        numbers, self._values = list(range(self._count)), classes.values
        if ignored is not None and ignored >= self._count:
            numbers, self._values = (
                [*known, ignored] for known in (numbers, self._values)
            )
        # Masks that hold classes stay as they are, also their dtype.
        self._of = None
        if manifest.class_ids is not None:
            self._of = np.zeros(max(numbers) + 1, np.array(self._values).dtype)
            self._of[numbers] = self._values
            low, high = min(self._values), max(self._values)
            dtype = np.result_type(*map(np.min_scalar_type, (low, high)))
            self._of = self._of.astype(dtype)
        self.palette = self._make_palette()

    def of(self, mask):
        """Give the values of a mask of classes."""
        return mask if self._of is None else self._of[mask]

    def table(self):
        """Give values, names and colours, as `write_classes_csv` takes them.

        Unlabelled pixels have a row only where their colour is known.
        """
        count = self._count
        if self._colors is not None:
            count = min(len(self._colors), len(self._values))
        names = self._names and [*self._names, "(unlabelled)"][:count]
        colors = self._colors and self._colors[:count]
        return self._values[:count], names, colors

    def _make_palette(self):
        if self._colors is None or min(self._values) < 0:
            return None
        shown = dict(zip(self._values, self._colors, strict=False))
        count = min(max(shown), 255) + 1
        return [shown.get(value, _GREY) for value in range(count)]
