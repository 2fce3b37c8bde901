"""The directories of a TIFF, walked to an end whatever the file says.

tifffile follows the chain of directories where a ring of them leads, so it is
walked here before tifffile is asked anything.
"""

import dataclasses
import struct

# More images in one file are a stack or a made-up chain.
MOST_DIRECTORIES = 4096

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _SUBDIRECTORIES = 254, 255, 330
_REDUCED, _MASK = 1, 4
# Tags that decide how pixels are stored, and hold one number.
_LAYOUT_TAGS = {256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323}
# Types of the values that are looked at: SHORT, LONG, IFD, LONG8, IFD8.
_FORMS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclasses.dataclass(frozen=True)
class Directory:
    """One directory of a TIFF: an image and what is said of it.

    Attributes:
        tags: Codes of the tags that it declares.
        layout: Dict from tag to value of what decides how pixels are stored.
        is_image: False for thumbnails, overviews and transparency masks.
    """

    tags: frozenset[int]
    layout: dict[int, int]
    is_image: bool


def read_directories(stream):
    """Read all directories of the chain, and walk those below them.

    Args:
        stream: Binary file, from its beginning.

    Returns:
        List of `Directory` of the chain, never empty.

    Raises:
        ValueError: The chain is broken, leads back or is too long.
    """
    return _walked(stream)[0]


def directories_by_offset(stream):
    """Read all directories, of the chain and below.

    Args:
        stream: Binary file, from its beginning.

    Returns:
        Dict from the byte where a directory begins to `Directory`.

    Raises:
        ValueError: As for `read_directories`.
    """
    return _walked(stream)[1]


def _walked(stream):
    walk = _Walk(stream)
    directories = walk.chain(walk.first)
    if not directories:
        raise ValueError("no directory")
    return directories, walk.seen


class _Walk:
    """Walks directories; none is entered twice."""

    def __init__(self, stream):
        self.stream = stream
        head = stream.read(16)
        self.order = {b"II": "<", b"MM": ">"}[head[:2]]
        (version,) = struct.unpack_from(self.order + "H", head, 2)
        big = version == 43
        self.offset_form, self.count_form = "QQ" if big else "IH"
        self.entry = self.order + ("HHQ8s" if big else "HHI4s")
        (self.first,) = struct.unpack_from(
            self.order + self.offset_form, head, 8 if big else 4
        )
        self.seen = {}

    def chain(self, offset):
        directories = []
        while offset:
            directory, offset = self._enter(offset)
            directories.append(directory)
        return directories

    def _enter(self, offset):
        """Read a directory, and those below, which are a list, not a chain."""
        if offset in self.seen:
            raise ValueError(f"a directory leads back to byte {offset}")
        if len(self.seen) == MOST_DIRECTORIES:
            raise ValueError(f"more than {MOST_DIRECTORIES} directories")
        self.seen[offset] = None
        directory, below, following = self._read_directory(offset)
        self.seen[offset] = directory
        for child in below:
            self._enter(child)
        return directory, following

    def _read_directory(self, offset):
        self.stream.seek(offset)
        (count,) = self._read(self.count_form)
        if count > 2**16:  # there are no more codes of tags
            raise ValueError(f"a directory of {count} tags")
        entries = self.stream.read(count * struct.calcsize(self.entry))
        if len(entries) < count * struct.calcsize(self.entry):
            raise ValueError("a directory ends behind the file")
        (following,) = self._read(self.offset_form)
        values, below = {}, ()
        for tag, kind, number, value in struct.iter_unpack(self.entry, entries):
            form = _FORMS.get(kind)
            if tag == _SUBDIRECTORIES and form:
                below = self._values(form, number, value)
            elif form and number and struct.calcsize(form) <= len(value):
                values[tag] = struct.unpack_from(self.order + form, value)[0]
            else:
                values[tag] = None
        return _directory(values), below, following

    def _values(self, form, number, value):
        if number > MOST_DIRECTORIES:
            raise ValueError(f"more than {MOST_DIRECTORIES} directories")
        form = self.order + number * form
        size = struct.calcsize(form)
        if size > len(value):
            self.stream.seek(int.from_bytes(value, _ENDIAN[self.order]))
            value = self.stream.read(size)
        return struct.unpack_from(form, value)

    def _read(self, form):
        form = self.order + form
        return struct.unpack(form, self.stream.read(struct.calcsize(form)))


_ENDIAN = {"<": "little", ">": "big"}


def _directory(values):
    aside = (values.get(_NEW_SUBFILE_TYPE) or 0) & (_REDUCED | _MASK)
    return Directory(
        frozenset(values),
        {tag: values[tag] for tag in _LAYOUT_TAGS & values.keys()},
        not (aside or values.get(_SUBFILE_TYPE) == 2),
    )
