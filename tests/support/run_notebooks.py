"""Runs the notebooks as a user does, and stores them with their outputs.

Usage: python tests/support/run_notebooks.py [notebooks/segmentation.ipynb ...]
Without arguments it runs all of them, which takes some minutes on two cores.
"""

import pathlib
import re
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
                cell.outputs = shown(cell.outputs, folder)
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


def shown(outputs, folder):
    """Give what is seen in the end: of a progress bar its last state.

    Args:
        outputs: List of the outputs of a cell.
        folder: Where the notebook ran, which nobody else has.
    """
    kept = []
    for output in outputs:
        joins = kept and "text" in output and "text" in kept[-1]
        if joins and output.get("name") == kept[-1].get("name"):
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if "text" in output:
            text = re.sub(r"\x1b\[[0-9;]*m|\x08", "", output.text)
            lines = [line.split("\r")[-1] for line in text.split("\n")]
            output.text = "\n".join(lines).replace(f"{folder}/", "")
    return kept


if __name__ == "__main__":
    chosen = sys.argv[1:] or sorted(NOTEBOOKS.glob("*.ipynb"))
    for each in chosen:
        print(each, flush=True)
        run(pathlib.Path(each))
