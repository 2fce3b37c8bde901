"""Points of one image in the JSON of Deep Plant Phenomics.

`{"x": {"p1": x1, ...}, "y": {"p1": y1, ...}}`; the keys of the points are
arbitrary, and the same in x and y.
"""

import math
import reprlib

from keras_patching._faults import few
from keras_patching.data.labels.point_labels import FoundPoint
from keras_patching.data.labels.strict_json import to_dict


def has_axes(content):
    """Tell whether JSON may be of this form: an object with x or y."""
    fields = dict(content) if isinstance(content, tuple) else {}
    return bool({"x", "y"} & fields.keys())


def read_axes(path, content, faults):
    """Read the points of one file.

    Args:
        path: `pathlib.Path` of the file, for messages.
        content: What `strict_json.load_any_json` reads.
        faults: List that what is wrong is added to.

    Returns:
        List of `FoundPoint`.
    """
    axes = to_dict(content, path, faults)
    if axes is None:
        return []
    xs, ys = (_read_axis(axes, axis, path, faults) for axis in "xy")
    if xs is None or ys is None:
        return []
    for axis, keys, others in (("x", xs, ys), ("y", ys, xs)):
        if lone := [key for key in keys if key not in others]:
            faults.append(
                f"{path}: found the keys {few(lone)} in {axis} alone, "
                "expected the same keys in x and y. Add or remove them."
            )
    return [
        FoundPoint(ys[key], xs[key], f"key {key!r}") for key in xs if key in ys
    ]


def _read_axis(axes, axis, path, faults):
    if axis not in axes:
        found = few(list(axes)) or "none"
        faults.append(f"{path}: has no key {axis!r}, found {found}. Add it.")
        return None
    values = to_dict(axes[axis], f"{path}, key {axis!r}", faults)
    for key, value in (values or {}).items():
        if not isinstance(value, float) or not math.isfinite(value):
            faults.append(
                f"{path}, key {axis}[{key!r}]: found {reprlib.repr(value)}, "
                "expected a finite number, without quotation marks. Mend it."
            )
            values[key] = math.nan
    return values
