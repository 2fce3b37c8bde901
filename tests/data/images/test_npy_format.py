"""Headers of npy files are read as NumPy reads them, whoever wrote them."""

import io

import numpy as np
import pytest

from keras_patching.data.images import image_io
from keras_patching.data.images.npy_format import (
    encode_npy_header,
    read_npy_header,
)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "?", "f2", "<f8", "i8"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (4, 0, 2, 1)])
def test_headers_that_numpy_writes_are_read(dtype, shape):
    stream = io.BytesIO()
    array = np.zeros(shape, dtype, order="F")
    np.save(stream, array)
    stream.seek(0)
    found = read_npy_header(stream)
    order = array.flags.f_contiguous and not array.flags.c_contiguous
    assert found == (shape, order, array.dtype)
    assert len(stream.read()) == array.nbytes


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (10**9, 4, 4, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", ">u2"])
def test_numpy_reads_headers_that_are_written(shape, dtype):
    stream = io.BytesIO(encode_npy_header(shape, dtype))
    assert np.lib.format.read_magic(stream) == (1, 0)
    found = np.lib.format.read_array_header_1_0(stream)
    assert found == (shape, False, np.dtype(dtype))
    assert stream.read() == b""
    assert len(encode_npy_header(shape, dtype)) % 64 == 0


def header(text, version=1):
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return io.BytesIO(b"\x93NUMPY" + bytes((version, 0)) + length + text)


@pytest.mark.parametrize(
    "text",
    [
        b"{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}",
        b'{"descr": "<f4", "fortran_order": False, "shape": (2, 3), }  \n',
        b"{'descr':'<f4','fortran_order':False,'shape':(2L,3L)}\n",
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_headers_of_other_writers_are_read(text, version):
    found = read_npy_header(header(text, version))
    assert found == ((2, 3), False, np.dtype("<f4"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"{'descr': '<f4', 'fortran_order': False}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}",
        b"{'descr': 'f4,f4', 'fortran_order': False, 'shape': (2, 3)}",
        b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} + f()",
        b"{'descr': '<f4', 'fortran_order': 1 == 1, 'shape': (2, 3)}",
        b" " * 20_000,
    ],
)
def test_other_headers_are_refused(text):
    with pytest.raises(ValueError, match=r"header|dtype"):
        read_npy_header(header(text))


def test_a_header_that_ends_early_is_refused():
    data = encode_npy_header((2, 3), "uint8")
    for length in (0, 5, 7, 9, 30):
        with pytest.raises(ValueError, match=r"not an npy|ends within"):
            read_npy_header(io.BytesIO(data[:length]))


def test_npy_of_objects_or_other_ranks_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    for array in (np.array([[{}]]), np.zeros(3), np.zeros((2, 2), "complex64")):
        np.save(path, array)
        with pytest.raises(ValueError, match=r"a\.npy: expected a numeric"):
            image_io.read_image(path)
        with pytest.raises(ValueError, match=r"a\.npy: expected a numeric"):
            image_io.read_header(path)
