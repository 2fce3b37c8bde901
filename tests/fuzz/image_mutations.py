"""Changes of image files that keep what their form is."""

import re
import struct
import zlib

from mutations import NUMBERS, change_bytes, edge, encode, unpack

_TAGS = (254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284)
_TAGS += (282, 283, 296, 317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 530)
_TAGS += (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50838, 50839)


def change_tiff(rng, data):
    """Change tags of a directory: code, type, count or value."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    entries = _tiff_entries(data, order) if order else []
    if not entries:
        return change_bytes(rng, data, [data])
    changed, big = bytearray(data), data[2:4] in (b"+\0", b"\0+")
    sign = "little" if order == "<" else "big"
    entry, size = rng.choice(entries), 8 if big else 4
    change = rng.randrange(6)
    if change == 0:
        part = struct.pack(order + "H", rng.choice(_TAGS))
        place = entry
    elif change == 1:
        part, place = struct.pack(order + "H", rng.randrange(0, 20)), entry + 2
    elif change == 2:
        part, place = edge(rng, size, sign), entry + 4
    elif change == 3:
        other = rng.choice(entries)
        place, part = entry + 4 + size, data[other + 4 + size :][:size]
    else:
        number = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 12, 1000))
        part = struct.pack(order + "H", number) if change == 4 else b""
        part, place = part or edge(rng, size, sign), entry + 4 + size
    changed[place : place + len(part)] = part
    return bytes(changed[: max(len(data), place)])


def _tiff_entries(data, order):
    """Give where each entry of each directory begins, as far as they go."""
    big = data[2:4] in (b"+\0", b"\0+")
    form, counted, step = ("Q", "Q", 20) if big else ("I", "H", 12)
    found, seen = [], set()
    (offset,) = unpack(order + form, data, 8 if big else 4) or (0,)
    while offset and offset not in seen and len(seen) < 8:
        seen.add(offset)
        (count,) = unpack(order + counted, data, offset) or (0,)
        start = offset + struct.calcsize(counted)
        ends = range(start, min(start + count * step, len(data) - step), step)
        found += ends
        (offset,) = unpack(order + form, data, start + count * step) or (0,)
    return found


def change_png(rng, data):
    """Change a chunk, and mend its checksum."""
    chunks = _chunks(data)
    if not chunks:
        return change_bytes(rng, data, [data])
    place = rng.randrange(len(chunks))
    name, body = chunks[place]
    change = rng.randrange(6)
    if change == 0:
        del chunks[place]
    elif change == 1:
        chunks.insert(rng.randrange(len(chunks)), (name, body))
    elif change == 2 and name == b"IDAT":
        rows = _inflated(body)
        chunks[place] = name, zlib.compress(change_bytes(rng, rows, [rows]), 1)
    elif change == 3:
        chunks[place] = rng.choice(chunks)[0], body
    elif change == 4 and name == b"IHDR":
        field = rng.choice(((0, 4), (4, 4), (8, 1), (9, 1), (10, 1), (12, 1)))
        part = rng.choice((edge(rng, field[1], "big"), b"\3", b"\x10", b"\2"))
        part = part.rjust(field[1], b"\0")[-field[1] :]
        body = body[: field[0]] + part + body[sum(field) :]
        chunks[place] = name, body
    else:
        chunks[place] = name, change_bytes(rng, body, [body])
    return data[:8] + b"".join(_chunk(*each) for each in chunks)


def _chunks(data):
    found, place = [], 8
    while (length := unpack(">I", data, place)) is not None:
        body = data[place + 8 : place + 8 + length[0]]
        found.append((data[place + 4 : place + 8], body))
        place += 12 + length[0]
    return found


def _chunk(name, body):
    check = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def _inflated(body):
    try:
        return zlib.decompressobj().decompress(body, 2**20)
    except zlib.error:
        return body


def change_jpeg(rng, data):
    """Change a marker segment: its kind, its length or what it says."""
    places = [m.start() for m in re.finditer(rb"\xff[\xc0-\xfe]", data)]
    if not places:
        return change_bytes(rng, data, [data])
    place = rng.choice(places)
    changed = bytearray(data)
    change = rng.randrange(4)
    if change == 0:
        changed[place + 1] = rng.randrange(0xC0, 0xFF)
    elif change == 1:
        changed[place + 2 : place + 4] = edge(rng, 2, "big")
    elif change == 2:
        at = place + rng.randrange(2, 20)
        changed[at : at + 2] = edge(rng, 2, "big")
    else:
        (length,) = unpack(">H", data, place + 2) or (2,)
        segment = data[place : place + 2 + length]
        at = rng.choice(places)
        changed[at:at] = segment
    return bytes(changed)


def change_npy(rng, data):
    """Change a word of the header, whose length stays right."""
    end = data.find(b"\n")
    if not data.startswith(b"\x93NUMPY") or end < 10:
        return change_bytes(rng, data, [data])
    words = re.findall(r"\w+|\W", data[10:end].decode("latin1"))
    kinds = ("'|O'", "'<f8'", "'>u2'", "'<M8[s]'", "'<c8'", "'?'", "'S9'", "()")
    words[rng.randrange(len(words))] = rng.choice((*NUMBERS, *kinds))
    text = encode("".join(words)) + b"\n"
    if len(text) > 65535:
        return data
    length = len(text).to_bytes(2, "little")
    return data[:8] + length + text + data[end + 1 :]
