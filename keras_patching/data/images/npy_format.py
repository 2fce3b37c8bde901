"""The format npy: one array of plain numbers, as images and as shards.

Headers are read and written without NumPy's own functions. Those read them by
`ast.literal_eval`, which now and then raises a `SystemError` when several
threads call it at once, and what they write around the same three facts may
differ between versions of NumPy.
"""

import math
import re

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching.data.images.headers import make_header, naming

_MAGIC = b"\x93NUMPY"
# Bytes of the header's length, per version.
_LENGTHS = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
_MAX_LENGTH = 10_000  # as in NumPy
_ALIGNMENT = 64
_ENTRY = re.compile(
    r"""\s*(['"])(?P<key>\w+)\1\s*:\s*"""
    r"""(?P<value>'[^']*'|"[^"]*"|True|False|\([\dL,\s]*\))\s*(?:,|$)"""
)
_DESCR = re.compile(r"[<>|=]?[?A-Za-z]\d*")


def npy_header(stream, path):
    """Read the `ImageHeader` of an npy file."""
    return _layout_of_image(stream, path)[0]


def npy_pixels(stream, path, raw):
    """Decode to `(h, w, c)`; True is 255 when seen, 1 when raw."""
    header, dtype, order = _layout_of_image(stream, path)
    shape = (*header.size, header.channels)
    with naming(path):
        array = np.frombuffer(
            stream.getvalue(), dtype, np.prod(shape), stream.tell()
        ).reshape(shape, order=order)
    if dtype.kind == "b" and not raw:
        array = array * np.uint8(255)
    return np.ascontiguousarray(array.astype(header.dtype, copy=False))


class NpyWindows:
    """Windows of the image of an npy file; only their rows are read.

    Args:
        file: `OpenFile` of the image, of which rows lie behind each other.

    Attributes:
        shape, dtype: Of the image, as `npy_pixels` gives it.
        alpha: Whether the last channel is alpha.
        nodata: Text of the value that is no data, or `None`.

    Raises:
        ValueError: It is no image, or shorter than its header says.
    """

    alpha, nodata = False, None

    def __init__(self, file):
        self._file = file
        file.stream.seek(0)
        header, self._stored, _ = _layout_of_image(
            file.stream, file.path, limited=False
        )
        self.shape, self.dtype = (*header.size, header.channels), header.dtype
        self._start = file.stream.tell()
        expected = math.prod(self.shape) * self._stored.itemsize
        if len(file) - self._start < expected:
            raise ImageFileError(
                f"{file.path}: truncated or damaged, holds "
                f"{len(file) - self._start} bytes of pixels, expected "
                f"{expected}. Replace or remove it."
            )

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        across, channels = self.shape[1:]
        array = np.empty((height, width, channels), self._stored)
        whole_rows = width == across
        for row, part in enumerate([array] if whole_rows else array):
            place = ((y + row) * across + x) * channels
            offset = self._start + place * self._stored.itemsize
            self._file.read_into(offset, part.reshape(-1))
        if self._stored.kind == "b":
            return array * np.uint8(255)
        return array.astype(self.dtype, copy=False)


def is_in_rows(stream, path):
    """Tell whether the rows of an npy file lie behind each other."""
    return _layout_of_image(stream, path, limited=False)[2] == "C"


def _layout_of_image(stream, path, limited=True):
    with naming(path):
        shape, fortran, dtype = read_npy_header(stream)
    if len(shape) not in (2, 3) or 0 in shape or dtype.kind not in "uifb":
        raise ImageFileError(
            f"{path}: expected a numeric array (height, width) or (height, "
            f"width, channels). Found shape {shape} of {dtype}."
        )
    channels = shape[2] if len(shape) == 3 else 1
    header = make_header(shape[:2], channels, dtype, 1, path, limited)
    return header, dtype, "F" if fortran else "C"


def encode_npy_header(shape, dtype):
    """Give the bytes before an array of plain numbers in its `.npy` file.

    Args:
        shape: Shape of the array.
        dtype: Its dtype.

    Returns:
        Bytes, the same for the same arguments in every version of NumPy.
    """
    shape = tuple(int(length) for length in shape)
    text = (
        f"{{'descr': '{np.dtype(dtype).str}', 'fortran_order': False, "
        f"'shape': {shape}, }}"
    )
    start = len(_MAGIC) + 4
    length = -(-(start + len(text) + 1) // _ALIGNMENT) * _ALIGNMENT - start
    line = text.ljust(length - 1) + "\n"
    return _MAGIC + bytes((1, 0)) + length.to_bytes(2, "little") + line.encode()


def read_npy_header(stream):
    """Read the header of an `.npy` file.

    Args:
        stream: Binary stream at its start; left where the array begins.

    Returns:
        Shape, whether it is in Fortran order, and dtype.

    Raises:
        ValueError: If it is not the header of an array of one plain dtype.
    """
    magic, version = stream.read(len(_MAGIC)), tuple(stream.read(2))
    if magic != _MAGIC or version not in _LENGTHS:
        raise ValueError("not an npy file of version 1, 2 or 3")
    length = int.from_bytes(stream.read(_LENGTHS[version]), "little")
    if length > _MAX_LENGTH:
        raise ValueError(f"its header has {length} bytes")
    text = stream.read(length)
    if len(text) < length or not text:
        raise ValueError("it ends within its header")
    fields = _parse(text.decode("latin1").strip())
    shape = tuple(int(number) for number in re.findall(r"\d+", fields["shape"]))
    return shape, fields["fortran_order"] == "True", _dtype(fields["descr"])


def _parse(text):
    """Give the three fields of a header as they are written."""
    fields, position, inside = {}, 0, text[1:-1].rstrip()
    while entry := _ENTRY.match(inside, position):
        fields[entry["key"]] = entry["value"]
        position = entry.end()
    whole = text[:1] + text[-1:] == "{}" and position == len(inside)
    if not whole or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError(f"not the header of plain numbers: {text[:100]}")
    return fields


def _dtype(quoted):
    descr = quoted[1:-1]
    if not _DESCR.fullmatch(descr):
        raise ValueError(f"not a dtype of plain numbers: {descr[:100]}")
    return np.dtype(descr)
