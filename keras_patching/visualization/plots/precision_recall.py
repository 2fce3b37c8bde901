"""How precise a detector is, the more it finds."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_patching._types import Figure
from keras_patching.visualization.plots.axes import (
    LINE_COLORS,
    LINE_STYLES,
    make_figure,
)


def plot_precision_recall(
    curves: Mapping[int, Mapping[str, Any]],
    class_names: Sequence[str] | None = None,
    title: str = "Precision over recall",
) -> Figure:
    """Plot precision over recall, a line per class.

    Args:
        curves: Dict from class to a dict of `recall` and `precision`, `(n,)`,
            and `average_precision`, as `metrics.precision_recall_curves`
            gives it.
        class_names: Names of the classes; `None` numbers them.
        title: Title, such as which boxes are hits.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no class.
        ImportError: If matplotlib is not installed.

    Example:

    >>> truth = {"boxes": [[0, 0, 9, 9], [20, 0, 29, 9]], "labels": [0, 0]}
    >>> found = {"boxes": [[0, 0, 9, 8]], "scores": [0.7], "labels": [0]}
    >>> curves = keras_patching.metrics.precision_recall_curves(
    ...     [found], [truth]
    ... )
    >>> figure = keras_patching.visualization.plot_precision_recall(
    ...     curves, ("plant",)
    ... )
    >>> figure.axes[0].get_legend().get_texts()[0].get_text()
    'plant (AP 0.505)'
    """
    if not curves:
        raise ValueError(
            "There must be a curve of at least one class. Received: curves={}"
        )
    figure, (axes,) = make_figure(size=(5, 4))
    for index, (label, curve) in enumerate(curves.items()):
        name = f"class {label}" if class_names is None else class_names[label]
        turn, place = divmod(index, len(LINE_COLORS))
        precision = [*curve["precision"]]
        axes.plot(
            [0, *curve["recall"]] if precision else [],
            [*precision[:1], *precision],
            LINE_STYLES[turn % len(LINE_STYLES)],
            color=LINE_COLORS[place],
            drawstyle="steps-pre",
            label=f"{name} (AP {curve['average_precision']:.3f})",
        )
    axes.set(
        title=title,
        xlabel="Recall (hits per true object)",
        ylabel="Precision (hits per found object)",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
