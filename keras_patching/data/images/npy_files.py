"""Headers of `.npy` files, written and read without NumPy's own functions.

NumPy reads them by `ast.literal_eval`, which now and then raises a
`SystemError` when several threads call it at once, and what it writes around
the same three facts may differ between its versions.
"""

import re

import numpy as np

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


def npy_header(shape, dtype):
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
