"""Plots show the numbers that they are given, with names and units."""

import sys

import keras
import numpy as np
import pytest

from keras_patching.visualization import (
    plot_confusion_matrix,
    plot_counts,
    plot_coverage,
    plot_history,
    plot_precision_recall,
)

pytest.importorskip("matplotlib")


def lines(axes):
    """Give the points of each line by its label."""
    return {
        line.get_label(): np.transpose(line.get_data()).tolist()
        for line in axes.get_lines()
    }


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_training_and_validation_share_axes():
    figure = plot_history(
        {"loss": [3, 2], "miou": [0.1, 0.4], "val_loss": [4, 5]}
    )
    loss, miou = figure.axes
    assert loss.get_title() == "Loss"
    assert loss.get_xlabel() == "Epoch"
    assert lines(loss) == {
        "training": [[1, 3], [2, 2]],
        "validation": [[1, 4], [2, 5]],
    }
    assert lines(miou) == {"training": [[1, 0.1], [2, 0.4]]}
    assert loss.get_legend() is not None


def test_what_only_validation_has_and_learning_rates_are_shown():
    figure = plot_history(
        {"learning_rate": [1e-3, 1e-4], "val_full_mean_iou": [0.5, 0.6]}
    )
    rate, iou = figure.axes
    assert rate.get_yscale() == "log"
    assert iou.get_title() == "Full mean IoU"
    assert list(lines(iou)) == ["validation"]


def test_the_epochs_are_those_of_the_fit():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((4, 1))
    history = model.fit(x, x, epochs=5, initial_epoch=3, verbose=0)
    (axes,) = plot_history(history).axes
    assert [epoch for epoch, _ in lines(axes)["training"]] == [4, 5]


@pytest.mark.parametrize("history", [{}, {"loss": []}, [1, 2]])
def test_a_history_without_epochs_is_refused(history):
    with pytest.raises(ValueError, match="`history` must be"):
        plot_history(history)


def test_a_confusion_matrix_is_shown_in_numbers_and_in_shares():
    figure = plot_confusion_matrix(
        [[9_123_000, 1_013_666], [0, 900_000]], ("soil", "plant")
    )
    numbers, shares = figure.axes
    assert texts(numbers) == ["9.123M", "1.014M", "0", "900,000"]
    assert texts(shares) == ["90.0%", "10.0%", "0.0%", "100.0%"]
    assert numbers.get_title() == "Pixels"
    for axes in numbers, shares:
        assert axes.get_xlabel() == "Predicted class"
        assert axes.get_ylabel() == "True class"
        ticks = axes.get_yticklabels()
        assert [tick.get_text() for tick in ticks] == ["soil", "plant"]
        (image,) = axes.get_images()
        np.testing.assert_allclose(image.get_array()[0], [0.9, 0.1], atol=1e-4)


def test_a_class_that_never_occurs_has_no_shares():
    _, shares = plot_confusion_matrix([[9, 1], [0, 0]]).axes
    assert texts(shares) == ["90.0%", "10.0%", "-", "-"]


def test_numbers_in_cells_can_be_read():
    figure = plot_confusion_matrix([[99, 1], [1, 99]])
    inks = [text.get_color() for text in figure.axes[0].texts]
    assert inks == ["white", "black", "black", "white"]


@pytest.mark.parametrize("confusion", [[1, 2], [[1, 2]], [[-1]], [[]]])
def test_what_is_no_confusion_matrix_is_refused(confusion):
    with pytest.raises(ValueError, match="`confusion` must be a square"):
        plot_confusion_matrix(confusion)


def test_precision_is_a_line_per_class():
    curve = {"recall": np.array([0.5, 1.0]), "precision": np.array([1, 0.8])}
    curves = {
        0: {**curve, "average_precision": 0.9},
        2: {**curve, "average_precision": 0.25},
    }
    (axes,) = plot_precision_recall(curves, ("maize", "-", "weed")).axes
    assert list(lines(axes)) == ["maize (AP 0.900)", "weed (AP 0.250)"]
    assert lines(axes)["maize (AP 0.900)"] == [[0, 1], [0.5, 1], [1, 0.8]]
    assert axes.get_xlabel().startswith("Recall")
    assert axes.get_ylabel().startswith("Precision")
    first, second = (line.get_color() for line in axes.get_lines())
    assert first != second


def test_a_class_of_which_nothing_was_found_has_a_line_too():
    empty = {"recall": [], "precision": [], "average_precision": 0.0}
    (axes,) = plot_precision_recall({1: empty}).axes
    assert list(lines(axes)) == ["class 1 (AP 0.000)"]


def test_no_curve_is_refused():
    with pytest.raises(ValueError, match="at least one class"):
        plot_precision_recall({})


def test_counts_lie_against_the_line_of_identity():
    (axes,) = plot_counts([9, 22, 31], [10, 20, 30], unit="plants").axes
    (points,) = axes.collections
    np.testing.assert_array_equal(
        points.get_offsets(), [[10, 9], [20, 22], [30, 31]]
    )
    (first, last) = lines(axes)["equal"]
    assert first[0] == first[1] == 0
    assert last[0] == last[1] > 31
    # 1 - 6 / 200, and 4 / 3
    assert axes.get_title() == "R² 0.970, MAE 1.33 plants (3 images)"
    assert axes.get_xlabel() == "True count (plants per image)"
    assert axes.get_ylabel() == "Predicted count (plants per image)"


def test_where_all_images_have_as_many_there_is_no_r2():
    (axes,) = plot_counts([3, 5], [4, 4]).axes
    assert axes.get_title() == "MAE 1.00 objects (2 images)"


@pytest.mark.parametrize(
    ("counts", "true_counts", "message"),
    [
        ([], [], "at least one"),
        ([1, 2], [1], "as many"),
        ([np.nan], [1], "finite"),
        ([[1]], [[1]], "per image"),
    ],
)
def test_counts_that_do_not_pair_are_refused(counts, true_counts, message):
    with pytest.raises(ValueError, match=message):
        plot_counts(counts, true_counts)


def test_cells_that_see_no_object_are_hatched():
    axes, bar = plot_coverage([[3, 0], [12, 1]]).axes
    assert texts(axes) == ["3", "0", "12", "1"]
    (cell,) = axes.patches
    assert cell.get_hatch()
    assert cell.get_xy() == (0.5, -0.5)  # row 0, column 1
    assert "1 of 4 cells see no object" in axes.get_title()
    assert bar.get_ylabel() == "Patches that put an object into the cell"
    axes, _ = plot_coverage([[3, 1]]).axes
    assert "each cell sees objects" in axes.get_title()


@pytest.mark.parametrize("coverage", [[1, 2], [[-1]], [[]]])
def test_what_is_no_grid_is_refused(coverage):
    with pytest.raises(ValueError, match="`coverage` must be"):
        plot_coverage(coverage)


def test_without_matplotlib_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"keras-patching\[plot\]"):
        plot_coverage([[1]])


def test_plots_are_written_and_touch_no_other_figure(tmp_path):
    plot_counts([1, 2], [1, 3]).savefig(tmp_path / "counts.png")
    assert (tmp_path / "counts.png").stat().st_size > 1000
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
