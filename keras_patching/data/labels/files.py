"""Finds label files, and says what images are that they do not name."""

import filecmp
import pathlib

from keras_patching._faults import few
from keras_patching.data.labels.forms import describe_folder_form

UNLABELLED = ("error", "skip", "empty")


def find_label_file(label_file, dirname, expected, folders=False):
    """Find a label file by its name in the image folder, or by its path.

    Args:
        label_file: Name in `dirname`, or path from the working directory.
        dirname: Folder of images.
        expected: What such a file holds, for messages.
        folders: Whether a folder will do.

    Returns:
        `pathlib.Path` of what there is.

    Raises:
        FileNotFoundError: It is in neither place.
        ValueError: It is in both, with different contents; or it is a folder.
    """
    given = pathlib.Path(label_file)
    inside = pathlib.Path(dirname) / given
    found = [path for path in (inside, given) if path.exists()]
    if not found:
        also = "" if given.is_absolute() else f", nor is there {inside}"
        raise FileNotFoundError(f"{given}: no such file{also}. {expected}")
    for path in found:
        if path.is_dir() and not folders:
            raise ValueError(
                f"{path}: is a folder, expected one label file. "
                f"{describe_folder_form(path)}{expected}"
            )
    if len(found) == 2 and not _are_same(inside, given):
        raise ValueError(
            f"{given}: there are two files of this name, with different "
            f"labels: {inside.absolute()} in the image folder, and "
            f"{given.absolute()} in the working directory. Pass the whole path "
            "of the one that you mean."
        )
    return found[0]


def _are_same(first, second):
    """Tell whether both are one file or folder, or equal files."""
    if first.samefile(second):
        return True
    are_files = first.is_file() and second.is_file()
    return are_files and filecmp.cmp(first, second, shallow=False)


def check_unlabelled(unlabelled):
    """Refuse what says nothing about images that a label file does not name."""
    if unlabelled not in UNLABELLED:
        raise ValueError(
            f"`unlabelled` must be one of {UNLABELLED}: what to do with images "
            "that the labels do not name. "
            f"Received: unlabelled={unlabelled!r}"
        )


def unlabelled_faults(path, missing, images, noun, remedy):
    """Say that images have no labels, and all ways out.

    Args:
        path: File or folder of the labels.
        missing: List of paths of images without labels.
        images: Dict from stem to path of all images.
        noun: What they lack: "row".
        remedy: What to write in the labels for an image without objects.

    Returns:
        List of one fault, or an empty one.
    """
    if not missing:
        return []
    return [
        f"{path}: has no {noun} for {len(missing)} of {len(images)} images: "
        f"{few([image.name for image in missing])}. If they are not labelled, "
        'pass unlabelled="skip", which leaves them out. If they hold no '
        f'objects, {remedy}, or pass unlabelled="empty".'
    ]
