"""Dot images: an image of labels for each image, with a dot for each object.

What is not black is a dot, in any colour. Whether a dot is a pixel, or a blob
of pixels that touch, also at corners, is said and not guessed: two dots may
touch. A blob lies at the mean of its pixels.
"""

import numpy as np
from scipy import ndimage

from keras_patching._faults import ImageFileError, fault_of, raise_faults
from keras_patching.data.images.image_io import decode_stored
from keras_patching.data.labels.pairing import pair_by_stem
from keras_patching.data.labels.point_labels import FoundPoint, to_point_labels

KINDS = ("pixels", "blobs")
_TOUCHING = np.ones((3, 3))


def check_dots(dots):
    """Refuse what is no kind of dots.

    Raises:
        ValueError: If it is neither "pixels" nor "blobs".
    """
    if dots not in KINDS:
        raise ValueError(
            f"`dots` must be one of {KINDS}: what stands for an object in an "
            "image that is black elsewhere. "
            f"Received: dots={dots!r}"
        )


def read_dots(dirname, dot_dirname, dots):
    """Read the points of a folder of images from a folder of dot images.

    Args:
        dirname: Folder of images.
        dot_dirname: Folder of dot images, of the same names without suffix.
        dots: "pixels": each pixel that is not black is an object; "blobs":
            each region of them is.

    Returns:
        Dict from image path to `PointLabels`.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If images do not pair, or dot images cannot be read, are
            lossy, or of another kind of dots; lists them.
    """
    check_dots(dots)
    labels, faults = {}, []
    for image, path in pair_by_stem(dirname, dot_dirname, "dot image"):
        try:
            is_dot = _decode(path.read_bytes(), path)
            points = _find_points(is_dot, path, dots)
        except (ValueError, OSError) as error:
            faults.append(fault_of(error))
            continue
        found = [
            FoundPoint(y, x, f"dot {index}")
            for index, (y, x) in enumerate(points.tolist(), 1)
        ]
        labels[image] = to_point_labels(path, found, is_dot.shape)
    raise_faults(
        faults,
        "Dot images that cannot be used",
        "Expected dots on black, without loss: PNG, TIFF, BMP or npy.",
    )
    return labels


def _decode(data, path):
    """Give a bool array `(height, width)` of the pixels that are not black."""
    array, has_alpha = decode_stored(data, path, "dot image")
    colours = array[..., : array.shape[2] - has_alpha]
    if colours.dtype.kind == "f" and not (colours >= 0).all():
        raise ImageFileError(
            f"{path}: a dot image must hold numbers from 0. Found values from "
            f"{colours.min()}. Replace those that are negative or no numbers."
        )
    is_dot = (colours != 0).any(axis=-1)
    if has_alpha:
        alpha = array[..., -1]
        is_seen = alpha > 0
        if not (alpha == alpha.max()).all() and (is_seen != is_dot).any():
            raise ImageFileError(
                f"{path}: a dot image with an alpha channel that shows other "
                "pixels than those that are not black, so colour or alpha may "
                "be the dots. Save it without alpha, on black."
            )
    share = is_dot.mean()
    if share > 0.5:
        raise ImageFileError(
            f"{path}: {share:.0%} of the pixels are not black, expected dots "
            "on black. Invert it, or pass the folder of the dot images."
        )
    return is_dot


def _find_points(is_dot, path, dots):
    """Give float64 `(n, 2)` of (y, x); the center of a pixel is at 0.5."""
    regions, count = ndimage.label(is_dot, _TOUCHING)
    pixels = np.argwhere(is_dot) + 0.5
    areas = np.bincount(regions[is_dot], minlength=count + 1)[1:]
    _check_kind(areas, path, dots)
    if dots == "pixels" or not count:
        return pixels
    sums = [
        np.bincount(regions[is_dot] - 1, axis, minlength=count)
        for axis in pixels.T
    ]
    return np.stack(sums, axis=-1) / areas[:, None]


def _check_kind(areas, path, dots):
    """Refuse dots that are clearly of the other kind."""
    alone, total = int((areas == 1).sum()), int(areas.sum())
    if dots == "pixels" and alone < total / 2:
        raise ImageFileError(
            f"{path}: {total - alone} of {total} pixels touch another, so "
            'objects may be blobs of several. Pass dots="blobs" to count '
            f"{len(areas)} regions."
        )
    if dots == "blobs" and len(areas) / 2 < alone < len(areas):
        raise ImageFileError(
            f"{path}: {alone} of {len(areas)} regions are a pixel, so the "
            'larger may be objects that touch. Pass dots="pixels" to count '
            f"{total} pixels."
        )
