"""Runs the notebooks as a user does, and stores them with their outputs.

Usage: python tests/support/run_notebooks.py [notebooks/segmentation.ipynb ...]
Without arguments it runs all of them, which takes some minutes on two cores.
"""

import os
import pathlib
import sys
import tempfile

import nbclient
import nbformat

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "notebooks"


def run(path):
    """Run a notebook in an empty folder, and store what it shows."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(
            notebook,
            timeout=3600,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        ).execute()
        for cell in notebook.cells:
            # When a cell ran is another at each run, and tells nobody anything.
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code":
                cell.outputs = [_kept(out, folder) for out in cell.outputs]
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


def _kept(output, folder):
    if "text" in output:
        output.text = output.text.replace(f"{folder}/", "")
    return output


if __name__ == "__main__":
    os.environ["TERM"] = "dumb"  # Lines now and then, in place of bars.
    chosen = sys.argv[1:] or sorted(NOTEBOOKS.glob("*.ipynb"))
    for each in chosen:
        print(each, flush=True)
        run(pathlib.Path(each))
