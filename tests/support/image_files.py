"""Image files of kinds that no writer here makes, and noise to put in them."""

import struct
import zlib

import numpy as np

RNG = np.random.default_rng(0)


def noise(*shape, dtype="uint8"):
    return RNG.integers(0, 256, shape).astype(dtype)


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def save(path, image, **options):
    image.save(path, **options)
    return path


def png(height, width, bits, color_type, rows):
    """A PNG of a kind that Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks.items()
    )
