"""Pairs of an image and a label image: masks, ready heatmaps."""

import os
import unicodedata

from keras_patching._faults import fault_of, few, raise_faults
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.nnunet import without_channels

_LOSSY_SUFFIXES = (".jpg", ".jpeg")


def pair_by_stem(dirname, label_dirname, noun, unlabelled="error"):
    """Pair images with label images by their name without suffix.

    Where none has the name of an image, all labels may have one more ending,
    `a_mask.png` for `a.png`, and so they must in the folder of the images. In
    folders of nnU-Net images are `a_0000.png`.

    Args:
        dirname: Folder of images.
        label_dirname: Folder of label images.
        noun: What they are, for messages: "mask".
        unlabelled: What images without a label are: an "error", or something
            else, which pairs them with `None`.

    Returns:
        List of `(image, label)`, each a `pathlib.Path`.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If an image or a label lacks the other; lists them.
    """
    images = _by_composed_stem(dirname)
    labels = _by_composed_stem(label_dirname)
    if os.path.samefile(dirname, label_dirname):
        images, labels = _split(images, dirname, noun)
    if images.keys().isdisjoint(labels):
        images = without_channels(images, label_dirname)
        labels = _without_ending(labels, images)
    faults = [
        f"{labels[stem]}: has no image in {dirname}."
        for stem in labels.keys() - images.keys()
    ]
    if unlabelled == "error":
        faults += [
            f"{images[stem]}: has no {noun} in {label_dirname}."
            for stem in images.keys() - labels.keys()
        ]
    raise_faults(
        sorted(faults),
        f"Images and {noun}s do not pair by name without suffix",
        "Add what is missing, or remove or rename the others.",
    )
    return [(path, labels.get(stem)) for stem, path in images.items()]


def _without_ending(labels, images):
    """Key labels by the names of images, if one ending more is all they have.

    The ending begins with one of `_-.`, and is not a number.
    """
    for _, ending in _endings(next(iter(labels))):
        if all(stem.endswith(ending) for stem in labels):
            named = {
                stem.removesuffix(ending): path for stem, path in labels.items()
            }
            if named.keys() <= images.keys():
                return named
    return labels


def _endings(stem):
    """Yield a name without an ending, and the ending, in all ways."""
    for begin, letter in enumerate(stem):
        ending = stem[begin:]
        if letter in "_-." and not ending[1:].isdecimal():
            yield stem[:begin], ending


def _split(files, dirname, noun):
    """Tell images and labels of one folder apart by the ending of labels.

    Returns:
        Dict from stem to path of images, and from the same to path of labels.
    """
    named = {}
    for stem, path in files.items():
        for image, ending in _endings(stem):
            if image in files:
                named.setdefault(ending, {})[image] = path
    if len(named) != 1:
        found = f"the endings {few(list(named))}" if named else "none"
        raise ValueError(
            f"{dirname}: is the folder of the images and of the {noun}s, which "
            f"then must all have one ending that images have not, such as "
            f"a_{noun}.png for a.png. Found {found}. Put the {noun}s into a "
            "folder of their own."
        )
    ((_, labels),) = named.items()
    taken = set(labels.values())
    images = {s: path for s, path in files.items() if path not in taken}
    return images, labels


def _by_composed_stem(dirname):
    """Key files so that both spellings of a name in Unicode are one."""
    return {
        unicodedata.normalize("NFC", stem): path
        for stem, path in list_images(dirname).items()
    }


def pair_faults(pairs, headers, cache, noun):
    """Find what is wrong with label images, from their headers.

    Args:
        pairs: What `pair_by_stem` gave.
        headers: Dict from the path of each readable image to `ImageHeader`.
        cache: `PatchCache` that reads and remembers headers.
        noun: What the label images are, for messages.

    Returns:
        List of faults, a line each.
    """
    faults = []
    for image, label in pairs:
        try:
            _check_lossless(label, noun)
            found = cache.header(label)
        except (ValueError, OSError) as error:
            faults.append(fault_of(error))
            continue
        if image in headers:
            faults += _size_faults(image, headers[image], label, found)
    return faults


def _check_lossless(path, noun):
    if path.suffix.lower() in _LOSSY_SUFFIXES:
        raise ValueError(
            f"{path}: a JPEG {noun}, whose values are not exact. Save {noun}s "
            "as PNG or TIFF, from the original."
        )


def _size_faults(image, expected, label, found):
    if found.size == expected.size:
        return []
    fault = (
        f"{label}: its size (height, width) is {found.size}, and {image} has "
        f"{expected.size}."
    )
    turned = found.size == expected.size[::-1]
    if turned and expected.rotated != found.rotated:
        which = image if expected.rotated else label
        fault += (
            f" The EXIF orientation of {which.name} turns it by 90 degrees "
            "when it is shown, and here too: turn the other to match what is "
            "shown, or remove the orientation."
        )
    return [fault]
