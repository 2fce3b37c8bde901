"""Counts against the truth."""

import numpy as np

from keras_patching._types import ArrayLike, Figure
from keras_patching.visualization.plots.axes import (
    GREY,
    LINE_COLORS,
    make_figure,
)


def plot_counts(
    counts: ArrayLike, true_counts: ArrayLike, unit: str = "objects"
) -> Figure:
    """Plot predicted counts of images against true ones.

    The dashed line is where both are equal. The title gives R², which is 1
    minus the squared errors over those of always guessing the mean, and the
    mean absolute error.

    Args:
        counts: Predicted numbers, `(images,)`.
        true_counts: True numbers, `(images,)`.
        unit: What is counted.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ValueError: If they are not as many, or none, or not finite.
        ImportError: If matplotlib is not installed.

    Example:

    >>> figure = keras_patching.visualization.plot_counts(
    ...     [9.0, 22.0, 31.0], [10, 20, 30], unit="seedlings"
    ... )
    >>> figure.axes[0].get_title()
    'R² 0.970, MAE 1.33 seedlings (3 images)'
    """
    counts = _checked(counts, "counts")
    true_counts = _checked(true_counts, "true_counts")
    if len(counts) != len(true_counts):
        raise ValueError(
            "`counts` and `true_counts` must be as many. "
            f"Received: {len(counts)} and {len(true_counts)}"
        )
    figure, (axes,) = make_figure(size=(5, 5))
    lowest = min(0, counts.min(), true_counts.min())
    highest = max(1, counts.max(), true_counts.max()) * 1.05
    ends = [lowest, highest]
    axes.plot(ends, ends, "--", color=GREY, label="equal", zorder=1)
    axes.scatter(
        true_counts,
        counts,
        color=LINE_COLORS[0],
        edgecolors="white",
        linewidths=0.5,
        label="images",
        zorder=2,
    )
    axes.set(
        title=_describe(counts, true_counts, unit),
        xlabel=f"True count ({unit} per image)",
        ylabel=f"Predicted count ({unit} per image)",
        xlim=ends,
        ylim=ends,
        aspect="equal",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _checked(counts, name):
    array = np.asarray(counts, "float64")
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(
            f"`{name}` must be a finite number per image, of at least one. "
            f"Received: {name}={counts!r}"
        )
    return array


def _describe(counts, true_counts, unit):
    errors = counts - true_counts
    spread = ((true_counts - true_counts.mean()) ** 2).sum()
    # Where all images have as many, no share of a spread can be told.
    r2 = f"R² {1 - (errors**2).sum() / spread:.3f}, " if spread else ""
    images = "1 image" if len(counts) == 1 else f"{len(counts)} images"
    return f"{r2}MAE {np.abs(errors).mean():.2f} {unit} ({images})"
