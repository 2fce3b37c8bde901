"""What is imported is declared, with the lowest version that works."""

import ast
import functools
import json
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Where the name that is imported is not the one that is installed.
INSTALLED_AS = {
    "ome_zarr_models": "ome-zarr-models",
    "PIL": "pillow",
    "ai_edge_litert": "ai-edge-litert",
}
# What benchmarks compare with where somebody has installed it.
PEERS = {"absl", "csbdeep", "ffcv", "grain", "monai", "tiler"}
# What `.ci/run` installs, but without all that it asks for.
WITHOUT_ITS_OWN = {"keras_hub"}
# Modules of the repository that are no package of it.
OWN = {"keras_patching", *(path.stem for path in ROOT.glob("tests/**/*.py"))}


def declared(*extras):
    """Names of the distributions that come with the package and extras."""
    entries = [*PROJECT["dependencies"]]
    for extra in extras:
        entries += EXTRAS[extra]
    names = {re.match(r"[\w-]+", entry)[0] for entry in entries}
    if "keras-patching" in names:  # An extra that takes in others.
        names |= declared("coco", "distributed", "geo", "plot", "tiff", "zarr")
    return names


def imported(texts, at_once=False):
    """Names of the distributions that some code imports.

    `at_once` leaves out what is imported inside of functions.
    """
    names = set()
    for text in texts:
        tree = ast.parse(text)
        for node in tree.body if at_once else ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    names -= sys.stdlib_module_names | OWN
    return {INSTALLED_AS.get(name, name) for name in names}


@functools.cache
def sources(folder):
    return [path.read_text() for path in (ROOT / folder).rglob("*.py")]


def code_of_notebooks():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        yield re.sub("^%.*", "", "\n".join(code), flags=re.MULTILINE)


def test_what_the_package_imports_at_once_comes_with_it():
    assert imported(sources("keras_patching"), at_once=True) <= declared()


def test_what_the_package_imports_when_it_is_needed_is_in_an_extra():
    found = imported(sources("keras_patching"))
    extras = "coco", "export", "geo", "plot", "tensorflow", "torch", "tiff"
    assert found <= declared(*extras, "distributed", "zarr")


def test_what_comes_with_the_package_is_imported():
    assert declared() <= imported(sources("keras_patching"))


def test_what_tests_and_notebooks_import_is_in_the_extra_for_tests():
    found = imported([*sources("tests"), *code_of_notebooks()])
    found -= PEERS | WITHOUT_ITS_OWN
    assert found <= declared("test", "export", "fuzz", "tensorflow", "torch")


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_each_package_is_declared_with_its_lowest_version(extra):
    for entry in EXTRAS[extra] if extra else PROJECT["dependencies"]:
        if not entry.startswith("keras-patching["):
            assert re.fullmatch(r"[\w-]+(\[\w+\])?>=[\d.]+", entry), entry


def test_importing_needs_no_optional_package():
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "sys.modules['imagecodecs'] = None; "
        "import keras_patching, keras_patching.cli"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
