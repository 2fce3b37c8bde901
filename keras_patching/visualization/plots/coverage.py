"""Which cells of a detector's grid see objects."""

import numpy as np

from keras_patching._types import ArrayLike, Figure
from keras_patching.visualization.plots.axes import make_figure, write_in_cells


def plot_coverage(coverage: ArrayLike) -> Figure:
    """Plot how many patches put an object into each cell of the YOLO grid.

    Cells that no object can be put into are hatched.

    Args:
        coverage: Integers `(rows, cols)`: the sum over images of
            `YoloPatchSampler.coverage`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ValueError: If it is no grid of numbers from 0.
        ImportError: If matplotlib is not installed.

    Example:

    >>> sampler = keras_patching.YoloPatchSampler(patch_size=64, grid_size=2)
    >>> coverage = sampler.coverage((100, 200), [[10, 10, 30, 30]])
    >>> figure = keras_patching.visualization.plot_coverage(coverage)
    >>> figure.axes[0].get_title()
    'Coverage of the 2 x 2 grid: 3 of 4 cells see no object'
    """
    coverage = np.asarray(coverage)
    if coverage.ndim != 2 or not coverage.size or not (coverage >= 0).all():
        raise ValueError(
            "`coverage` must be numbers (rows, cols) from 0, the sum of "
            "`YoloPatchSampler.coverage` over images. "
            f"Received: coverage={coverage!r}"
        )
    rows, cols = coverage.shape
    figure, (axes,) = make_figure(size=(0.6 * cols + 2.5, 0.6 * rows + 1.5))
    image = axes.imshow(coverage, cmap="cividis", vmin=0)
    write_in_cells(axes, image, [[f"{n:,}" for n in row] for row in coverage])
    _hatch(axes, np.argwhere(coverage == 0))
    figure.colorbar(image, label="Patches that put an object into the cell")
    axes.set(
        title=_describe(coverage),
        xlabel="Column of the grid",
        ylabel="Row of the grid",
        xticks=range(cols),
        yticks=range(rows),
    )
    return figure


def _hatch(axes, cells):
    from matplotlib.patches import Rectangle

    for row, col in cells.tolist():
        cell = Rectangle(
            (col - 0.5, row - 0.5), 1, 1, fill=False, hatch="//", ec="0.7"
        )
        axes.add_patch(cell)


def _describe(coverage):
    rows, cols = coverage.shape
    missed = int((coverage == 0).sum())
    told = f"{missed} of {coverage.size} cells see no object"
    if not missed:
        told = "each cell sees objects"
    return f"Coverage of the {rows} x {cols} grid: {told}"
