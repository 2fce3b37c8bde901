"""Imports point one way, so that each part can be read without the next."""

import ast
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_patching"
TASKS = ("segmentation", "counting", "detection")

# What each part may import of the package, itself aside. The rooms of `data`
# are parts of their own, and so is what lies beside them, "dataset".
GROUND = {
    "_checks",
    "_disk_space",
    "_faults",
    "_interrupts",
    "_printing",
    "_signatures",
    "_spelling",
    "_types",
    "_whole_files",
    "box_geometry",
    "geometry",
}
DATA = ("images", "labels", "cache", "patches", "feeding", "dataset")
ALLOWED = {
    "_backend": set(),
    "_checks": set(),
    "_disk_space": set(),
    "_faults": set(),
    "_interrupts": set(),
    "_keras_internals": set(),
    "_printing": set(),
    "_signatures": {"_spelling", "_types"},
    "_spelling": set(),
    "_types": set(),
    "_whole_files": set(),
    "box_geometry": set(),
    "geometry": {"_checks"},
    "ops": {"geometry"},
    "receptive_fields": {
        "_checks",
        "_keras_internals",
        "_types",
        "geometry",
        "ops",
    },
    "layers": {
        "_checks",
        "_keras_internals",
        "_signatures",
        "_types",
        "geometry",
        "ops",
        "receptive_fields",
    },
    "losses": {"_checks", "_types", "ops"},
    "metrics": {
        "_checks",
        "_keras_internals",
        "_types",
        "box_geometry",
        "ops",
    },
    "visualization": {"_checks", "_printing", "_types"},
    **{room: GROUND | set(DATA[:i]) for i, room in enumerate(DATA)},
    "inspection": GROUND | set(DATA) | {"visualization"},
    "prediction": {
        *GROUND,
        "_keras_internals",
        "images",
        "layers",
        "ops",
        "receptive_fields",
    },
    "models": {
        *GROUND,
        *DATA,
        "_keras_internals",
        "ops",
        "layers",
        "receptive_fields",
        "prediction",
        "losses",
        "metrics",
    },
    "callbacks": GROUND | set(DATA) | {"visualization"},
    "inference": {
        *GROUND,
        *DATA,
        "ops",
        "layers",
        "receptive_fields",
        "prediction",
        "models",
        "metrics",
        "visualization",
    },
}
# They may import whatever there is.
ABOVE_ALL = {"__init__", "__main__", "_public", "cli", "commands", "demos"}
# They gather what others define.
NAMESPACES = {
    f"{name}/__init__.py"
    for name in ("data", "inference", "layers", "losses", "models")
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


def imported_modules(path):
    """Give the modules of the package that a module imports, by full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (n for n in names if n.startswith("keras_patching."))
        if not isinstance(node, ast.ImportFrom):
            continue
        if not node.module.startswith("keras_patching"):
            continue
        package = PACKAGE.parent.joinpath(*node.module.split("."))
        for alias in node.names:
            is_module = (package / alias.name).with_suffix(".py").is_file()
            yield f"{node.module}.{alias.name}" if is_module else node.module


def part_of(name):
    """Name the part that a module, `data.cache.shards`, belongs to."""
    part, *rest = name.split(".")
    if part != "data":
        return part
    return rest[0] if (PACKAGE / "data" / rest[0]).is_dir() else "dataset"


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_one_way(path):
    relative = path.relative_to(PACKAGE)
    name = ".".join(relative.with_suffix("").parts)
    if relative.as_posix() in NAMESPACES or part_of(name) in ABOVE_ALL:
        return
    used = {
        part_of(imported.removeprefix("keras_patching."))
        for imported in imported_modules(path)
    }
    assert used <= ALLOWED[part_of(name)] | {part_of(name)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_nobody_imports_private_keras(path):
    assert not [n for n in imported_names(path) if n.startswith("keras.src")]


def private_names(tree):
    """Give the names with an underscore that are read from other objects."""
    for node in ast.walk(tree):
        is_read = isinstance(node, ast.Attribute)
        if is_read and re.fullmatch("_[a-z]\\w*", node.attr):
            yield node.attr


def own_names(tree):
    """Give the names that a module defines, of its own and of objects."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(getattr(node, "ctx", None), ast.Store):
            yield getattr(node, "id", None) or getattr(node, "attr", None)


def test_what_is_private_to_keras_is_touched_in_one_module():
    trees = {path: ast.parse(path.read_text()) for path in modules()}
    ours = {name for tree in trees.values() for name in own_names(tree)}
    for path, tree in trees.items():
        if path.name != "_keras_internals.py":
            assert not set(private_names(tree)) - ours, path


@pytest.mark.parametrize("task", TASKS)
def test_no_task_imports_another(task):
    others = [
        f"keras_patching.models.{other}" for other in TASKS if other != task
    ]
    for path in (PACKAGE / "models" / task).glob("*.py"):
        for name in imported_names(path):
            assert not name.startswith(tuple(others)), (path, name)


def test_only_image_io_and_its_parts_import_image_libraries():
    allowed = {"image_io.py", "tiff_format.py", "tiff_writing.py"}
    for path in modules():
        libraries = {
            name.split(".")[0] for name in imported_names(path) if name
        } & {"imageio", "tifffile"}
        assert not libraries or path.name in allowed, path


def test_geometry_knows_no_keras():
    assert "keras" not in set(imported_names(PACKAGE / "geometry.py"))
