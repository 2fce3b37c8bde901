"""What all plots have in common: the figure, and the colours of lines."""

from keras_patching.visualization.colors import COLORS

# Those of `COLORS` that are dark enough for lines on white come first; where
# they are told apart by hue alone, the dashes help.
_ORDER = (4, 5, 6, 2, 1, 0, 3)
LINE_COLORS = [tuple(part / 255 for part in COLORS[index]) for index in _ORDER]
LINE_STYLES = ("-", "--", "-.", ":")
GREY = "0.45"


def make_figure(rows=1, columns=1, size=(4.5, 3.5)):
    """Make a figure of axes.

    Args:
        rows, columns: How many axes.
        size: Width and height of each in inches.

    Returns:
        `Figure`, and a flat list of its axes.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots are drawn with matplotlib. Install it: "
            'pip install "keras-patching[plot]"'
        ) from error
    width, height = size
    figure = Figure((width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes.ravel().tolist()


def count_whole(axis):
    """Let an axis have ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def write_in_cells(axes, image, texts):
    """Write texts into the cells of an image, in ink that is seen there.

    Args:
        axes: Axes of the image.
        image: What `axes.imshow` gave.
        texts: Nested list of texts, `(rows, columns)`.
    """
    colors = image.to_rgba(image.get_array())
    for y, row in enumerate(texts):
        for x, text in enumerate(row):
            red, green, blue, _ = colors[y, x]
            is_bright = 0.3 * red + 0.6 * green + 0.1 * blue > 0.5
            ink = "black" if is_bright else "white"
            axes.text(x, y, text, ha="center", va="center", color=ink)
