"""The colours of all pictures: of classes, of errors, of ink and paper."""

import colorsys

import numpy as np

from keras_patching._types import Color, NDArray

# Distinct to colour-blind eyes: Okabe and Ito, 2008, "Color universal design",
# https://jfly.uni-koeln.de/color/
COLORS = (
    (86, 180, 233),
    (230, 159, 0),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
)
# Darker than the colours of classes, and told apart by colour-blind eyes.
MISSED, FALSE_ALARM, WRONG_CLASS = (178, 24, 43), (40, 20, 160), (20, 20, 20)
UNLABELLED = (128, 128, 128)
INK, PAPER = (40, 40, 40), (255, 255, 255)


def palette(count: int) -> list[Color]:
    """Give colours for class 1, 2 and so on, all different.

    The first are `COLORS`. Those after them are pale and lie evenly around the
    circle of hues, so that none is near the dark colours of errors.

    Args:
        count: Number of colours.

    Returns:
        List of RGB tuples.

    Example:

    >>> keras_patching.visualization.palette(2)
    [(86, 180, 233), (230, 159, 0)]
    """
    colors = list(COLORS[:count])
    for index in range(count - len(colors)):
        # Steps of the golden ratio never come near to a hue that is taken.
        hue = (0.05 + index * 0.618034) % 1
        saturation, value = ((0.5, 1), (0.4, 0.85), (0.4, 0.65))[index % 3]
        red, green, blue = (
            round(255 * part)
            for part in colorsys.hsv_to_rgb(hue, saturation, value)
        )
        colors.append((red, green, blue))
    return colors


def all_class_colors(num_classes, colors=None):
    """Give the colours of all classes of masks, that of class 0 first.

    Args:
        num_classes: Number of classes.
        colors: RGB of the classes, or more; `None` takes black and `palette`.
    """
    if colors is None:
        return [(0, 0, 0), *palette(num_classes - 1)]
    return [tuple(color) for color in colors[:num_classes]]


def class_colors(labels: NDArray) -> list[Color]:
    """Give each label the colour of its class, as RGB `(n, 3)`.

    Example:

    >>> keras_patching.visualization.class_colors([1, 0]).tolist()
    [[230, 159, 0], [86, 180, 233]]
    """
    labels = np.asarray(labels, int)
    return np.asarray(palette(labels.max(initial=0) + 1))[labels]
