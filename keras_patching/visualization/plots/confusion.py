"""Which classes a model takes for which others."""

from collections.abc import Sequence

import numpy as np

from keras_patching._types import ArrayLike, Figure
from keras_patching.visualization.legends import class_name
from keras_patching.visualization.plots.axes import make_figure, write_in_cells


def plot_confusion_matrix(
    confusion: ArrayLike,
    class_names: Sequence[str] | None = None,
    unit: str = "pixels",
) -> Figure:
    """Plot a confusion matrix: the numbers, and their share of the true class.

    Args:
        confusion: Array `(classes, classes)`, true classes in rows, predicted
            ones in columns, as `metrics.confusion_matrix` gives it.
        class_names: Names of all classes, that of class 0 first; `None`
            numbers them.
        unit: What is counted.

    Returns:
        `matplotlib.figure.Figure` of two axes, the numbers left. A class that
        never occurs has no shares.

    Raises:
        ValueError: If it is no square of numbers from 0.
        ImportError: If matplotlib is not installed.

    Example:

    >>> confusion = [[900, 20], [35, 210]]
    >>> figure = keras_patching.visualization.plot_confusion_matrix(
    ...     confusion, ("soil", "plant")
    ... )
    >>> figure.axes[1].get_title()
    'Share of the true class'
    """
    confusion = _checked(confusion)
    names = [class_name(i, class_names) for i in range(len(confusion))]
    side = max(4.0, 0.9 * len(names) + 1.5)
    figure, (left, right) = make_figure(1, 2, (side, side))
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.full(confusion.shape, np.nan)
    np.divide(confusion, totals, out=shares, where=totals > 0)
    # Of counts the rarest would all look alike: shares colour both.
    _draw(left, shares, [[_short(n) for n in row] for row in confusion], names)
    _draw(right, shares, [[_share(s) for s in row] for row in shares], names)
    left.set_title(unit.capitalize())
    right.set_title("Share of the true class")
    return figure


def _checked(confusion):
    confusion = np.asarray(confusion)
    is_square = confusion.ndim == 2 and len(set(confusion.shape)) == 1
    if not is_square or not confusion.size or not (confusion >= 0).all():
        raise ValueError(
            "`confusion` must be a square of numbers from 0, true classes in "
            f"rows. Received: confusion={confusion!r}"
        )
    return confusion


def _draw(axes, shares, texts, names):
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    write_in_cells(axes, image, texts)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right")
    axes.set_yticks(places, names)
    axes.set(xlabel="Predicted class", ylabel="True class")


def _short(number):
    return f"{number:,.10g}" if number < 1e6 else f"{number / 1e6:,.4g}M"


def _share(share):
    return "-" if np.isnan(share) else f"{share:.1%}"
