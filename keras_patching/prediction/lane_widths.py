"""Few widths for the lanes of images of many sizes, each compiled once."""

from keras_patching.geometry import round_up

_MOST_WIDTHS = 3

# A lane may be wider than an image that nobody told of, by this factor.
_MOST_WASTE = 1.25

# Widths are multiples of so many pixels, so that there are few to choose from.
_UNIT = 32


def choose_widths(sizes, stride, most=_MOST_WIDTHS):
    """Choose widths so that all images fit, and few pixels are wasted.

    Args:
        sizes: `(height, width)` of the images in pixels.
        stride: What widths of lanes are multiples of.
        most: How many widths to choose, at the most.

    Returns:
        Dict from width in pixels, ascending, to the height of the highest
        image of lanes of that width.

    Example:

    >>> choose_widths([(90, 96), (10, 64), (80, 90), (50, 190)], 16, most=2)
    {96: 90, 192: 50}
    """
    found = {}
    unit = stride if len({size[1] for size in sizes}) <= most else _UNIT
    for height, width in sizes:
        width = round_up(round_up(width, stride), unit)
        width = round_up(width, stride)
        found.setdefault(width, []).append(height)
    widths = sorted(found)
    rows = [sum(found[width]) for width in widths]
    chosen = _cheapest(widths, rows, most)
    highest = {}
    start = 0
    for width in chosen:
        stop = widths.index(width) + 1
        highest[width] = max(max(found[each]) for each in widths[start:stop])
        start = stop
    return highest


def _cheapest(widths, rows, most):
    """Choose which widths to keep, the others being rounded up to them.

    Args:
        widths: Ascending.
        rows: Of all images of each width.
        most: How many to keep.
    """
    # Per number of widths kept, cost and choice up to each one that is kept.
    best = {-1: (0, [])}
    answer = None
    for _ in range(most):
        following = {}
        for last, (cost, chosen) in best.items():
            height = 0
            for index in range(last + 1, len(widths)):
                height += rows[index]
                total = cost + height * widths[index]
                if index not in following or total < following[index][0]:
                    following[index] = total, [*chosen, widths[index]]
        best = following
        whole = best.get(len(widths) - 1)
        if whole is not None and (answer is None or whole[0] < answer[0]):
            answer = whole
    return [] if answer is None else answer[1]


def fitting_width(widths, width):
    """Choose, of widths that are there, the one for an image, or `None`.

    Args:
        widths: In pixels.
        width: Of the image.
    """
    fitting = [each for each in widths if width <= each <= width * _MOST_WASTE]
    return min(fitting, default=None)
