"""What the README tells a new user to do works as written."""

import pathlib
import re
import shlex
import shutil

import numpy as np
import pytest
from small_nets import with_small_nets

from keras_patching import cli
from keras_patching.demos.drawing.fields import (
    write_plant_field,
    write_seedling_field,
)

README = pathlib.Path(__file__).parents[1] / "README.md"
TEXT = README.read_text()


def commands():
    """Return the arguments of each command of the block of all commands."""
    (block,) = re.findall(r"```bash\n(keras-patching patch.*?)```", TEXT, re.S)
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


def python_blocks():
    return re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(
    "nets", ["small", pytest.param("default", marks=pytest.mark.slow)]
)
def test_its_python_runs_from_top_to_bottom(nets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_plant_field("field", num_images=3, size=(130, 140))
    write_seedling_field(".", num_images=3, size=(130, 140))
    pathlib.Path("images").rename("seedlings")
    names = {"full_images": np.zeros((1, 130, 140, 3), "uint8")}
    code = "\n".join(python_blocks())
    assert "epochs=20" in code
    if nets == "small":
        code, added = with_small_nets(code, grid_size=(8, 8), num_anchors=5)
        names |= added
    exec(code.replace("epochs=20", "epochs=1, steps_per_epoch=1"), names)
    assert names["masks"].shape == (1, 130, 140)
    assert pathlib.Path("field.keras").exists()
    assert names["counts"].shape == (1,)
    assert names["points"].shape[1:] == (2,)
    assert names["boxes"].shape[1:] == (4,)
    shutil.copytree("field/images", "new")
    next(pathlib.Path("new").iterdir()).rename("new/1.jpg")
    for arguments in commands():
        assert cli.main(arguments) == 0, arguments
    assert pathlib.Path("found/report.html").exists()


def test_its_pictures_and_links_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / target).exists(), target
    assert "_DEMO" not in TEXT
