"""The example of a docstring runs, and shows what it says.

Examples run in a folder with the files of `write_data`, and know the names of
`NAMES` and of their module. What an example does not show is not compared.
"""

import ast
import doctest
import importlib
import json
import pathlib
import re
import shutil
import types

import numpy as np
import pytest
from maps import write_map

import keras_patching
from keras_patching.demos.drawing.fields import plant_field, seedling_field

import keras  # isort: skip

PACKAGE = pathlib.Path(keras_patching.__file__).parent
SIZE = (130, 140)
SPACES = [
    name
    for name in keras_patching.__all__
    if isinstance(getattr(keras_patching, name), types.ModuleType)
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def docstrings():
    """List `(module, name, docstring)` of all that has an example."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = ast.get_docstring(node) or ""
                if re.search(r"Example|>>>|```", text):
                    name = getattr(node, "name", "")
                    yield ".".join(parts).removesuffix(".__init__"), name, text


DOCSTRINGS = list(docstrings())


def is_public(name):
    spaces = [keras_patching, *map(keras_patching.__dict__.get, SPACES)]
    return any(name in space.__all__ for space in spaces)


class OnlyWhatIsShown(doctest.OutputChecker):
    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


def patch_model(module):
    """A small patch model of the task of a module."""
    layers = [keras.layers.Conv2D(2, 3, padding="same", activation="softmax")]
    if ".counting" in module:
        layers = [keras.layers.Conv2D(1, 3, padding="same", activation="relu")]
    elif ".detection" in module:
        layers = [keras.layers.AveragePooling2D(32), keras.layers.Conv2D(30, 1)]
    rescaling = keras.layers.Rescaling(1 / 255)
    return keras.Sequential([keras.Input((None, None, 3)), rescaling, *layers])


def write_data(folder):
    """Write what examples read: a field, trays and cells."""
    for name in ("field/images", "field/masks", "field/new", "field/heatmaps"):
        (folder / name).mkdir(parents=True)
    (folder / "trays" / "images").mkdir(parents=True)
    (folder / "cells").mkdir()
    write = keras_patching.data.write_image
    boxes_of, rows = {}, []
    for index in range(3):
        image, mask = plant_field(SIZE, index)
        write(folder / f"field/images/field_{index}.jpg", image)
        write(folder / f"field/masks/field_{index}.png", mask)
        image, points, boxes = seedling_field(SIZE, index)
        write(folder / f"trays/images/tray_{index}.jpg", image)
        write(folder / f"cells/slide_{index}.jpg", image)
        write(folder / f"field/new/new_{index}.jpg", image)
        points = np.floor(points)
        heatmap = np.zeros(SIZE, "float32")
        heatmap[tuple(points.astype(int).T)] = 1
        write(folder / f"field/heatmaps/field_{index}.tif", heatmap)
        boxes_of[f"tray_{index}"] = {"plants": [corners(box) for box in boxes]}
        y, x = (dict(enumerate(axis)) for axis in points.T)
        dots = {"x": x, "y": y}
        (folder / f"cells/slide_{index}.json").write_text(json.dumps(dots))
        rows.append([f"slide_{index}", *points[:, ::-1].ravel()])
    text = "\n".join(",".join(map(str, row)) for row in rows)
    (folder / "cells" / "points.csv").write_text(text)
    write_map(folder / "ortho.tif", image)
    (folder / "trays" / "labels.json").write_text(json.dumps(boxes_of))
    keras_patching.load_dataset_from_directory_with_segmentation_masks(
        folder / "field/images", folder / "field/masks", 128, verbose=False
    )
    model = keras_patching.SemanticSegmentationModel(
        2, patch_model("segmentation"), patch_size=128, overlap=2
    )
    model.save(folder / "field.keras")


def corners(box):
    x1, y1, x2, y2 = map(float, box)
    return {"all_points_x": [x1, x2], "all_points_y": [y1, y2]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.mark.parametrize(
    ("module", "name", "text"),
    DOCSTRINGS,
    ids=[f"{module}:{name}" for module, name, _ in DOCSTRINGS],
)
def test_it_runs(module, name, text, data, tmp_path, monkeypatch):
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    # What users cannot import may be shown with what is around it.
    around = {} if is_public(name) else vars(importlib.import_module(module))
    names = {
        **around,
        "keras": keras,
        "keras_patching": keras_patching,
        "np": np,
        "pathlib": pathlib,
        "patch_model": patch_model(module),
        "__name__": "__main__",
    }
    parsed = doctest.DocTestParser().get_doctest(text, names, name, module, 0)
    assert parsed.examples
    report = []
    runner = doctest.DocTestRunner(OnlyWhatIsShown(), optionflags=FLAGS)
    runner.run(parsed, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("module", sorted({each[0] for each in DOCSTRINGS}))
def test_all_examples_are_written_in_one_form(module):
    for other, name, text in DOCSTRINGS:
        if other == module:
            assert re.search(r"^Example:\n\n>>> ", text, re.M), name
            assert "```" not in text, name
