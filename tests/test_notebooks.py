"""Every notebook runs from top to bottom, on tiny data."""

import pathlib

import nbclient
import nbformat
import pytest

NOTEBOOKS = pathlib.Path(__file__).parents[1] / "notebooks"


@pytest.fixture(params=sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_kept_without_outputs(notebook):
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_it_runs_and_shows_pictures(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_PATCHING_NOTEBOOK_FAST", "1")
    nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    shown = [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(shown) >= 3
    assert list(tmp_path.glob("*.keras"))
