"""Every notebook runs from top to bottom, on tiny data."""

import pathlib
import re

import matplotlib.pyplot as plt
import nbclient
import nbformat
import pytest
from small_nets import with_small_nets

NOTEBOOKS = pathlib.Path(__file__).parents[1] / "notebooks"


@pytest.fixture(params=sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_kept_with_the_outputs_of_one_whole_run(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [out for cell in code_cells(notebook) for out in cell.outputs]
    assert {out.output_type for out in outputs} <= {"stream", "display_data"}
    assert sum("image/jpeg" in out.get("data", {}) for out in outputs) >= 3
    text = "".join(out.get("text", "") for out in outputs)
    # No progress bar's control characters, nor places on some machine.
    assert not set("\b\r\x1b") & set(text)
    assert "/home/" not in text
    assert "/tmp/" not in text


def test_it_is_small_enough_to_be_read_where_it_lies(notebook):
    assert len(nbformat.writes(notebook)) < 700_000


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_its_cells_run_and_show_pictures(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_PATCHING_NOTEBOOK_FAST", "1")
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    plt.close("all")
    code = "\n".join(cell.source for cell in code_cells(notebook))
    code = re.sub(r"^%.*$", "", code, flags=re.MULTILINE)
    names = {}
    if "kyolo" not in code:  # Else it has a small net of its own.
        code, names = with_small_nets(code, grid_size=(2, 2), num_anchors=3)
    exec(code, names)
    assert len(plt.get_fignums()) >= 3
    assert list(tmp_path.glob("*.keras"))
    plt.close("all")


@pytest.mark.slow
def test_jupyter_runs_it_and_shows_pictures(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_PATCHING_NOTEBOOK_FAST", "1")
    nbclient.NotebookClient(
        notebook,
        timeout=600,  # a cell
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    shown = [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/jpeg" in output.get("data", {})
    ]
    assert len(shown) >= 3
    assert list(tmp_path.glob("*.keras"))
