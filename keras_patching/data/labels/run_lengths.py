"""Masks of COCO in run lengths, as a list of numbers or packed into text.

`{"size": [height, width], "counts": [5, 3, ...]}`: so many pixels outside, then
inside, and so on, down the columns.
"""

import functools

import numpy as np

from keras_patching.data.labels.json_values import are_numbers, show
from keras_patching.data.labels.shapes import as_shape_points
from keras_patching.data.labels.strict_json import to_dict


def read_run_lengths(pairs, place, faults):
    """Read a mask, which is not decoded before it is wanted.

    Args:
        pairs: What `strict_json.load_any_json` reads of it.
        place: Its place in the file.
        faults: List that what is wrong is added to.

    Returns:
        List of a dict of the kind, points and `pixels` of a `Shape`, whose
        points are those of the whole image; empty if it is wrong.
    """
    fields = to_dict(pairs, place, faults) or {}
    size, counts = fields.get("size"), fields.get("counts")
    is_size = isinstance(size, list) and len(size) == 2
    if not is_size or not are_numbers(size, f'{place}["size"]', faults):
        faults.append(
            f'{place}["size"]: found {show(size)}, expected [height, width].'
        )
        return []
    if not all(length > 0 and length.is_integer() for length in size):
        faults.append(
            f'{place}["size"]: found {show(size)}, expected positive whole '
            "numbers."
        )
        return []
    size = tuple(map(int, size))
    if isinstance(counts, str):
        pixels = functools.partial(_decode_text, counts, size)
    elif (
        isinstance(counts, list)
        and are_numbers(counts, f'{place}["counts"]', faults)
        and all(count >= 0 and count.is_integer() for count in counts)
        and sum(counts) == size[0] * size[1]
    ):
        pixels = functools.partial(_decode_counts, counts, size)
    else:
        faults.append(
            f'{place}["counts"]: found {show(counts)}, expected run lengths '
            f"that add up to {size[0]} x {size[1]} pixels."
        )
        return []
    height, width = size
    points = as_shape_points([0, width], [0, height])
    mask = {"kind": "mask", "points": points, "pixels": pixels}
    return [{**mask, "image_size": size}]


def _decode_counts(counts, size):
    """Make a mask of run lengths, which go down the columns."""
    runs = np.array(counts, "int64")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size, order="F")


def _decode_text(counts, size):
    """Make a mask of run lengths that are packed into text."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ImportError(
            "Masks of COCO in compressed run lengths need pycocotools. "
            'Install it with `pip install "keras-patching[coco]"`.'
        ) from error
    packed = {"size": list(size), "counts": counts.encode("utf-8")}
    pixels = mask.decode(packed)
    # Of runs that end early pycocotools leaves the rest as memory was.
    if mask.encode(pixels)["counts"] != packed["counts"]:
        height, width = size
        raise ValueError(
            f"its run lengths do not add up to {height} x {width} pixels"
        )
    return pixels.astype(bool)
