"""The learning curves of a fit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_patching._types import Figure
from keras_patching.visualization.plots.axes import (
    LINE_COLORS,
    count_whole,
    make_figure,
)

_MOST_COLUMNS = 3
_FEW = 30  # epochs, of which each is marked


def plot_history(history: Any) -> Figure:
    """Plot the learning curves of a fit, training and validation together.

    Args:
        history: What `fit` returns, or a dict from names to values per epoch:
            `loss` and `val_loss` share axes, as each metric does with its
            own. Learning rates are drawn on a logarithmic scale.

    Returns:
        `matplotlib.figure.Figure`, axes per name, in the order of the names.

    Raises:
        ValueError: If there is no epoch.
        ImportError: If matplotlib is not installed.

    Example:

    >>> history = {"loss": [1.2, 0.7, 0.5], "val_loss": [1.3, 0.9, 0.8]}
    >>> figure = keras_patching.visualization.plot_history(history)
    >>> figure.savefig("history.png")
    """
    logs, epochs = _read(history)
    names = list(dict.fromkeys(name.removeprefix("val_") for name in logs))
    columns = min(len(names), _MOST_COLUMNS)
    rows = math.ceil(len(names) / columns)
    figure, axes = make_figure(rows, columns)
    for each, name in zip(axes, names, strict=False):
        _draw(each, name, logs, epochs)
    for empty in axes[len(names) :]:
        empty.remove()
    return figure


def _read(history: Any) -> tuple[Mapping[str, Sequence[float]], list[int]]:
    logs = getattr(history, "history", history)
    if not isinstance(logs, Mapping) or not any(map(len, logs.values())):
        raise ValueError(
            "`history` must be what `fit` returned after at least one epoch, "
            "or a dict from names to values per epoch. "
            f"Received: history={logs!r}"
        )
    longest = max(map(len, logs.values()))
    # Those of a fit may begin later, with `initial_epoch`.
    epochs = getattr(history, "epoch", None) or range(longest)
    return logs, [epoch + 1 for epoch in epochs]


def _draw(axes, name, logs, epochs):
    marker = "o" if len(epochs) <= _FEW else ""
    for key, label, color, style in (
        (name, "training", LINE_COLORS[0], "-"),
        (f"val_{name}", "validation", LINE_COLORS[1], "--"),
    ):
        if key in logs:
            values = logs[key]
            # Of what is not known in each epoch, the last are.
            axes.plot(
                epochs[len(epochs) - len(values) :],
                values,
                style,
                marker=marker,
                markersize=4,
                color=color,
                label=label,
            )
    words = name.replace("_", " ").replace("iou", "IoU")
    title = words[:1].upper() + words[1:]
    axes.set(title=title, xlabel="Epoch", ylabel=words)
    if name in ("learning_rate", "lr"):
        axes.set_yscale("log")
    count_whole(axes.xaxis)
    axes.grid(alpha=0.3)
    axes.legend()
