"""Imports point one way, so that each part can be read without the next."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_patching"
TASKS = ("segmentation", "counting", "detection")

# What each part may import of the package, itself aside.
ALLOWED = {
    "_backend": set(),
    "_checks": set(),
    "geometry": {"_checks"},
    "ops": {"geometry"},
    "layers": {"_checks", "geometry", "ops"},
    "data": {"_checks", "geometry"},
    "metrics": {"_checks", "ops"},
    "models": {"_checks", "geometry", "ops", "layers", "data", "metrics"},
    "callbacks": {"_checks", "geometry", "data", "visualization"},
    "_overlays": {"_checks"},
    "_legends": {"_overlays"},
    "visualization": {"_checks", "_overlays", "_legends"},
    "inference": {
        "geometry",
        "ops",
        "layers",
        "models",
        "data",
        "visualization",
    },
    "contact_sheet": {"data", "visualization"},
}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_imports_point_one_way(path):
    part = part_of(path)
    if part not in ALLOWED:
        return  # The command line and the like stand above all others.
    used = {
        name.split(".")[1]
        for name in imported_names(path)
        if name.startswith("keras_patching.")
    }
    assert used <= ALLOWED[part] | {part}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_nobody_imports_private_keras(path):
    assert not [n for n in imported_names(path) if n.startswith("keras.src")]


@pytest.mark.parametrize("task", TASKS)
def test_no_task_imports_another(task):
    others = [
        f"keras_patching.models.{other}" for other in TASKS if other != task
    ]
    for path in (PACKAGE / "models" / task).glob("*.py"):
        for name in imported_names(path):
            assert not name.startswith(tuple(others)), (path, name)


def test_only_image_io_and_its_parts_import_image_libraries():
    allowed = {"image_io.py", "image_formats.py", "tiff_format.py"}
    for path in modules():
        libraries = {
            name.split(".")[0] for name in imported_names(path) if name
        } & {"imageio", "tifffile"}
        assert not libraries or path.name in allowed, path


def test_geometry_knows_no_keras():
    assert "keras" not in set(imported_names(PACKAGE / "geometry.py"))
