"""Changes that make hostile files of good ones.

Each takes a `random.Random`, so that the same code runs with seeds, with what
Hypothesis draws (`strategies.randoms`, which shrinks), and with what atheris
asks for. Bytes come in and go out.
"""

import struct

NUMBERS = (
    *("0", "-1", "1", "0.5", "-0.0", "1e999", "-1e999", "NaN", "Infinity"),
    *("1e308", "1e-320", "2147483648", "-2147483649", "4294967295"),
    *("9223372036854775808", "18446744073709551616", "1e15", "100000"),
    *("1" + "0" * 400, "9" * 5000, "1_000", "0x10", "\u0663", "\u00b2", "+1"),
)
TEXTS = (
    *("", " ", "a", "b.png", "../a.png", "/etc/passwd", "a\\b", "\ufeff"),
    *("\ud800", "\u202e", "\U0001f600", "e\u0301", "\u0130", "x" * 10_000),
    *("=1+1", "%s%n{0}", "null", "true", "\\", '"', "'", "\t", "\r", "\x0b"),
    *("\x1c", "\x85", "\u2028", "C:\\a.png", "a.png:1", ".", "..", "~"),
)
BYTES = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x1a"),
    *(b"\xed\xa0\x80", b"\r\n", b"\r", b"\n" * 200, b"[" * 100_000),
    *(b'{"a":' * 50_000, b"," * 5000, b'"' * 3, b"PK\x03\x04", b"<!DOCTYPE a"),
    *(b" " * 100_000, b"\t" * 100_000, b" #" * 50_000),
    *(b"a" * 200_000, b"\x80", b"&amp;&lt;", b"&#x110000;", b"<a>" * 5000),
)
_EDGES = (0, 1, -1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535)
_EDGES += (65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1)


def encode(text):
    """Encode text, also with halves of surrogate pairs."""
    return text.encode("utf-8", "surrogatepass")


def token(rng):
    """Give a number or a text that parsers stumble over."""
    return rng.choice(NUMBERS if rng.random() < 0.6 else TEXTS)


def edge(rng, size, order):
    """Give the bytes of an integer at an edge of what integers hold."""
    number = rng.choice(_EDGES) % 2 ** (8 * size)
    return number.to_bytes(size, order)


def change_bytes(rng, data, others):
    """Change bytes anywhere, whatever they mean."""
    change = rng.choice(_CHANGES)
    place = rng.randrange(len(data) + 1)
    return change(rng, data, place, others)


def _flip(rng, data, place, _):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng, data, place, _):
    size = rng.choice((1, 2, 4, 8))
    number = edge(rng, size, rng.choice(("little", "big")))
    return data[:place] + number + data[place + size :]


def _truncate(rng, data, place, _):
    return data[:place]


def _remove(rng, data, place, _):
    return data[:place] + data[place + rng.randrange(1, 20) :]


def _repeat(rng, data, place, _):
    part = data[place : place + rng.randrange(1, 40)]
    return data[:place] + part * rng.choice((2, 3, 100)) + data[place:]


def _insert(rng, data, place, _):
    text = rng.choice(BYTES) if rng.random() < 0.3 else encode(token(rng))
    return data[:place] + text + data[place:]


def _splice(rng, data, place, others):
    other = rng.choice(others)
    return data[:place] + other[rng.randrange(len(other) + 1) :]


_CHANGES = (
    *(_flip, _flip, _overwrite, _overwrite, _truncate),
    *(_remove, _repeat, _insert, _insert, _splice),
)


def mutated(rng, seeds, change):
    """Give a hostile file.

    Args:
        rng: `random.Random`.
        seeds: List of the bytes of good files.
        change: Function of `(rng, bytes)` that knows what they mean.

    Returns:
        Bytes.
    """
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if rng.random() < 0.7:
            data = change(rng, data)
        else:
            data = change_bytes(rng, data, seeds)
    return data


def unpack(form, data, place):
    """As `struct.unpack_from`, or `None` behind the end."""
    if place + struct.calcsize(form) > len(data):
        return None
    return struct.unpack_from(form, data, place)
