"""Finds the images that label files name, and guesses what else is meant."""

import functools
import os
import pathlib
import re
import unicodedata

from keras_patching._printing import printable

# What archives from other systems leave in names that are not UTF-8.
_LEGACY_ENCODINGS = ("cp1252", "cp850")


class ImageNames:
    """The images of a folder, by what a label file may call them.

    That is the file name, else the stem, each in any form of Unicode: macOS
    writes an umlaut as two characters, most others as one. The folders that
    the images are in may stand before it: "images/a.png".

    Args:
        images: Dict from stem to path, of `list_images`.

    Example:

    >>> names = ImageNames(keras_patching.data.list_images("cells"))
    >>> names.find("slide_0") == names.find("slide_0.jpg")
    True
    """

    def __init__(self, images):
        self._images = list(images.values())
        self._folders = self._images[0].parent.absolute().parts
        # Where a name fits two images, the file name wins over the stem, and
        # the spelling in the file over its composed form.
        self._stems = _with_composed(images)
        self._names = _with_composed(
            images | {image.name: image for image in self._images}
        )

    @property
    def images(self):
        """List of the paths of all images."""
        return list(self._images)

    def find(self, name):
        """Give the path of an image, or `None`.

        Folders may stand before the name, where the images are in them.
        """
        *folders, last = re.split(r"[/\\]", name)
        if folders[:1] == ["."]:
            folders = folders[1:]
        if tuple(folders) == self._folders[len(self._folders) - len(folders) :]:
            name = last
        return self._names.get(name) or self._names.get(_compose(name))

    def find_stem(self, stem):
        """Give the path of the image with this stem, or `None`."""
        return self._stems.get(stem) or self._stems.get(_compose(stem))

    def find_first_part(self, part):
        """Give the images whose names up to the first dot are this.

        So Deep Plant Phenomics names the labels of `1.tif.png`: `1.json`.

        Returns:
            List of paths.
        """
        parts = (part, _compose(part))
        return [
            image for image in self._images if image.name.split(".")[0] in parts
        ]

    def describe_unknown(self, name, noun):
        """Say that no image has this name, and what may be meant.

        Args:
            name: Text that was found in the place of an image's name.
            noun: What the name stands in, and could be removed: "row".

        Returns:
            A fault without its place.
        """
        folder = self._images[0].parent
        fault = f"found the name {name!r}, expected an image in {folder}."
        *folders, last = re.split(r"[/\\]", name)
        if folders:
            image, _ = self._guess(last)
            there = f" There is {printable(image.name)}." if image else ""
            return f"{fault}{there} Leave out the folder."
        if hint := self.hint(name):
            return f"{fault}{hint}"
        return f"{fault} Correct the name, add the image, or remove the {noun}."

    def hint(self, name):
        """Say which image may be meant, with a space before, if any."""
        image, remedy = self._guess(name)
        if image is None:
            return ""
        return f" There is {printable(image.name)}: {remedy}."

    def _guess(self, name):
        """Give the image that may be meant, and what is to be done."""
        stem = pathlib.PurePath(name).stem
        guesses = (
            (self.find(name) or self.find(stem), "correct the suffix"),
            (
                self._folded.get(_fold(name)) or self._folded.get(_fold(stem)),
                "correct upper and lower case",
            ),
            (
                self._unpadded.get(stem.lstrip("0")),
                "write the zeros before it, which spreadsheets leave out",
            ),
            *(
                (self._bytes.get(each), "its name is not UTF-8: rename it")
                for each in _legacy_bytes(stem)
            ),
        )
        return next((g for g in guesses if g[0] is not None), (None, ""))

    @functools.cached_property
    def _folded(self):
        return {_fold(name): image for name, image in self._names.items()}

    @functools.cached_property
    def _unpadded(self):
        return {
            image.stem.lstrip("0"): image
            for image in self._images
            if image.stem.lstrip("0")
        }

    @functools.cached_property
    def _bytes(self):
        return {os.fsencode(image.stem): image for image in self._images}


def _with_composed(names):
    return {_compose(name): image for name, image in names.items()} | names


def _compose(name):
    return unicodedata.normalize("NFC", name)


def _fold(name):
    return _compose(name).casefold()


def _legacy_bytes(name):
    encoded = {name.encode(each, "ignore") for each in _LEGACY_ENCODINGS}
    return sorted(encoded - {b"", name.encode("ascii", "ignore")})
