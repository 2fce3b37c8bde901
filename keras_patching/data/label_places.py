"""What is wrong with the places of objects, by the size of their image."""

import numpy as np


def are_fractions(coordinates):
    """Tell whether coordinates are fractions of the image, not pixels.

    Args:
        coordinates: Array `(n, k)` of all objects of an image.

    Returns:
        Whether they all lie from 0 to 1, and not all are whole.
    """
    inside = (coordinates >= 0) & (coordinates <= 1)
    return bool(inside.all() and np.any(coordinates % 1))


def tell_fractions(found, image, size):
    """Say that coordinates are fractions, and how to make pixels of them."""
    height, width = size
    return (
        f"all objects of {image} lie in its corner pixel, such as {found}, so "
        "these are fractions of the image, and pixels are expected. Multiply "
        f"x by its width, {width}, and y by its height, {height}. (What really "
        "lies there is written in whole pixels.)"
    )


def tell_turned(noun, swapped, image, header):
    """Say what may have turned objects that lie outside of their image.

    Args:
        noun: What they are: "points".
        swapped: Whether all lie inside where height and width are swapped.
        image: Path of the image.
        header: Its `ImageHeader`.

    Returns:
        Sentences with a space before, or an empty text.
    """
    if header.rotated:
        what = (
            f"all its {noun} lie inside of what is stored, so they may have "
            "been drawn on that"
            if swapped
            else f"its {noun} may have been drawn on what is stored"
        )
        return (
            f" The EXIF orientation of {image.name} turns it by 90 degrees "
            f"when it is shown, and here too; {what}. Turn the {noun} as well, "
            "or remove the orientation from the file."
        )
    if swapped:
        return (
            f" With x and y swapped all {noun} of the image would lie inside: "
            "if y is written first, write x, the column, before it."
        )
    return ""
