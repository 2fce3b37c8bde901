"""What the README tells a new user to do works as written."""

import pathlib
import re

import keras
import numpy as np
import pytest
from small_nets import with_small_nets

import keras_patching
from keras_patching.demos.drawing.fields import (
    write_plant_field,
    write_seedling_field,
)

README = pathlib.Path(__file__).parents[1] / "README.md"


def python_blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def small_model():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(2, 3, padding="same", activation="softmax"),
        ]
    )


@pytest.mark.parametrize(
    "nets", ["small", pytest.param("default", marks=pytest.mark.slow)]
)
def test_its_python_runs_from_top_to_bottom(nets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_plant_field("field", num_images=3, size=(130, 140))
    write_seedling_field(".", num_images=3, size=(130, 140))
    pathlib.Path("images").rename("seedlings")
    patch_model = small_model()
    patch_model.compile("adam", keras_patching.SegmentationLoss(num_classes=2))
    names = {
        "full_images": np.zeros((1, 130, 140, 3), "uint8"),
        "patch_model": patch_model,
    }
    code = "\n".join(python_blocks())
    assert "epochs=20" in code
    if nets == "small":
        code, added = with_small_nets(code, grid_size=(8, 8), num_anchors=5)
        names |= added
    exec(code.replace("epochs=20", "epochs=1, steps_per_epoch=1"), names)
    assert names["masks"].shape == (1, 130, 140)
    assert pathlib.Path("field.keras").exists()
    # One block defines a patch model of the user's own.
    own = keras_patching.SemanticSegmentationModel(3, names["patch_model"])
    own.set_patch_size(height=256, width=256)
    shape = own.compute_output_shape((1, 130, 140, 3))
    assert shape == (1, 130, 140, 3)
    assert names["counts"].shape == (1,)
    assert names["points"].shape[1:] == (2,)
    assert names["boxes"].shape[1:] == (4,)


def test_its_pictures_and_links_are_there():
    text = README.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (README.parent / target).exists(), target
    assert "_DEMO" not in text
