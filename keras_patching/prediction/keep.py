"""Which parts of images hold something, and so are predicted."""

import hashlib
import numbers
import os

import keras
import numpy as np

_CONTENT = "content"
_TAKEN = (
    "`keep` must be 'content', a function, or a list with one of these, a mask "
    "(height, width) or None for each image"
)


def check_keep(keep, count=None):
    """Refuse what cannot tell which parts of images are kept.

    Args:
        keep: As for `PatchedModel.predict_images`.
        count: Number of images, where it is known.

    Raises:
        ValueError: If it is nothing of the kind, or not one for each image.
    """
    if not isinstance(keep, (list, tuple)):
        _check_one(keep, is_alone=True)
        return
    if count not in (None, len(keep)):
        raise ValueError(
            f"`keep` must have one for each image. Received: {len(keep)} for "
            f"{count} images"
        )
    for each in keep:
        _check_one(each, is_alone=False)


def _check_one(keep, is_alone):
    if keep is None or callable(keep):
        return
    if isinstance(keep, str):
        if keep == _CONTENT:
            return
    elif hasattr(keep, "shape") and not is_alone:
        return
    received = repr(keep) if isinstance(keep, str) else f"a {type(keep)}"
    if hasattr(keep, "shape"):
        received = f"an array of shape {tuple(keep.shape)}"
    raise ValueError(f"{_TAKEN}. Received: keep={received}")


def open_keep(keep, number, size):
    """Make what tells which parts of one image are kept.

    Args:
        keep: As for `PatchedModel.predict_images`.
        number: Of the image.
        size: Its `(height, width)` in pixels.

    Returns:
        Has `strip(y, height, pixels)`, for some rows of the image, which gives
        a function of `x, width` that tells whether that window of them is kept;
        `looks`, whether it needs the pixels of these rows; and `key`, a string
        for what is kept, `None` where nobody knows. `None` if all is kept.

    Raises:
        ValueError: If there is none for the image, or it is no mask.
    """
    if isinstance(keep, (list, tuple)):
        if number >= len(keep):
            raise ValueError(
                "`keep` must have one for each image. Received: "
                f"{len(keep)}, none for image {number}"
            )
        keep = keep[number]
    if keep is None:
        return None
    if isinstance(keep, str):
        return _Content()
    return _Rule(keep) if callable(keep) else _Mask(keep, number, size)


def keep_known(keep, rows):
    """Keep only what has data too.

    Args:
        keep: As of `open_keep`.
        rows: `KnownRows` of the image as it is read, or `None`.

    Returns:
        Such a one.
    """
    return keep if rows is None else _Known(keep, rows)


def check_fill(fill, dtype):
    """Refuse what results of a dtype cannot hold.

    Args:
        fill: As for `PatchedModel.predict_images`.
        dtype: NumPy dtype of a result.

    Raises:
        ValueError: If it is no number, or another one in that dtype.
    """
    is_number = isinstance(fill, (numbers.Real, np.number, np.bool_))
    if is_number and dtype.kind in "iub":
        kind = np.iinfo(dtype) if dtype.kind != "b" else None
        lowest, highest = (kind.min, kind.max) if kind else (0, 1)
        is_number = lowest <= fill <= highest and fill == int(fill)
    if not is_number:
        raise ValueError(
            f"`fill` must be a number that results of {dtype} can hold. "
            f"Received: fill={fill!r}"
        )


class _Mask:
    """A mask of any resolution: a pixel of it stands for what it covers."""

    looks = False

    def __init__(self, mask, number, size):
        if keras.ops.is_tensor(mask):
            mask = keras.ops.convert_to_numpy(mask)
        mask = np.asarray(mask)
        if mask.ndim == 3 and mask.shape[2] == 1:
            mask = mask[..., 0]
        if mask.ndim != 2 or 0 in mask.shape or mask.dtype.kind not in "biuf":
            raise ValueError(
                f"The mask in `keep` of image {number} must be of numbers or "
                "booleans, of shape (height, width). Received: shape="
                f"{mask.shape}, dtype={mask.dtype}"
            )
        self._mask, self._size = mask != 0, size

    @property
    def key(self):
        content = np.packbits(self._mask).tobytes()
        return f"{self._mask.shape} {hashlib.sha256(content).hexdigest()}"

    def strip(self, y, height, pixels=None):
        columns = self._mask[self._cells(0, y, height)].any(axis=0)
        return lambda x, width: columns[self._cells(1, x, width)].any()

    def _cells(self, axis, start, count):
        """Give the pixels of the mask that cover some of the image."""
        cells, length = self._mask.shape[axis], self._size[axis]
        stop = -(-(start + count) * cells // length)
        return slice(start * cells // length, stop)


class _Content:
    """Keeps a window unless all of its pixels are of one value."""

    looks, key = True, _CONTENT

    def strip(self, y, height, pixels):
        return lambda x, width: not _is_plain(pixels[:, x : x + width])


def _is_plain(window):
    """Whether all pixels are the same; NaN is one value."""
    # Most windows that are not plain are told by their first row.
    for rows in window[:1], window:
        is_same = rows == window[:1, :1]
        if window.dtype.kind == "f":
            is_same |= np.isnan(rows) & np.isnan(window[:1, :1])
        if not is_same.all():
            return False
    return True


class _Known:
    """Keeps windows in which pixels have data, and others say so too."""

    def __init__(self, keep, rows):
        self._keep, self._rows = keep, rows
        self.looks = keep is not None and keep.looks
        self.key = "" if keep is None else keep.key

    def strip(self, y, height, pixels=None):
        unknown = self._rows.unknown(y, height)
        kept = _all_kept
        if self._keep is not None:
            kept = self._keep.strip(y, height, pixels)
        if unknown is None:
            return kept
        known = ~unknown.all(axis=0)
        return lambda x, width: known[x : x + width].any() and kept(x, width)

    def close(self):
        """Close what tells which pixels have data."""
        self._rows.close()


def _all_kept(x, width):
    return True


class _Rule:
    """Asks a function of the user's."""

    looks, key = True, None

    def __init__(self, function):
        self._function = function

    def strip(self, y, height, pixels):
        kept = self._function(pixels)
        if keras.ops.is_tensor(kept):
            kept = keras.ops.convert_to_numpy(kept)
        kept = np.asarray(kept)
        if kept.shape not in ((), pixels.shape[:2]):
            raise ValueError(
                "The function `keep` must return one boolean, or an array of "
                f"them for its rows of pixels, {pixels.shape[:2]}. Received: "
                f"shape={kept.shape}"
            )
        if kept.ndim == 0:
            return lambda x, width: bool(kept)
        return lambda x, width: bool(kept[:, x : x + width].any())


def key_of(keep):
    """Give a string that tells what is kept of an image from other things.

    Args:
        keep: As of `open_keep`.
    """
    if keep is None:
        return ""
    # Nobody knows whether a function is that of another run.
    return os.urandom(16).hex() if keep.key is None else keep.key
