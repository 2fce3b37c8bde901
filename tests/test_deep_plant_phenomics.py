"""What users of Deep Plant Phenomics are told is still so."""

import inspect
import pathlib
import re

import keras
import numpy as np

import keras_patching as kp
from keras_patching.data.images.image_io import write_image

PAGE = pathlib.Path(__file__).parents[1] / "notebooks/deep_plant_phenomics.md"
TASKS = (
    kp.SemanticSegmentationModel,
    kp.HeatmapObjectCountingModel,
    kp.ObjectDetectionModel,
)


def told():
    """Give the right side of each row of the table."""
    rows = [
        line.split(" | ")[1]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    assert len(rows) > 20
    return "\n".join(rows)


def test_the_methods_that_it_names_are_there():
    names = set(re.findall(r"(?:model\.|`)(\w+)\(", told()))
    assert "load_yolo_dataset_from_directory" in names
    for name in names:
        assert any(hasattr(task, name) for task in TASKS), name


def test_what_it_names_of_keras_is_there():
    for name in re.findall(r"keras\.([\w.]+\w)", told()):
        thing = keras
        for part in name.split("."):
            thing = getattr(thing, part)


def test_the_arguments_that_it_names_are_taken_by_a_model():
    methods = [
        getattr(task, name)
        for task in TASKS
        for name in ("__init__", *dir(task))
        if name == "__init__" or not name.startswith("_")
    ]
    known = {
        parameter
        for method in (*methods, keras.Model.fit)
        if callable(method)
        for parameter in inspect.signature(method).parameters
    }
    assert set(re.findall(r"(\w+)=", told())) <= known


def test_its_example_runs_on_a_folder_of_deep_plant_phenomics(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for folder in ("data", "new"):
        (tmp_path / folder).mkdir()
        for index in range(5):
            image = np.full((20, 28, 3), 9 * index, "uint8")
            write_image(tmp_path / folder / f"im_{index:06d}.png", image)
    rows = ["im_000000,3,4", *(f"im_{i:06d},1,2,17,19" for i in range(1, 4))]
    text = "\n".join([*rows, "im_000004,"])
    (tmp_path / "data/labels.csv").write_text(text)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Dense(1)]
    )
    for long, short in (
        ("=4.0)", "=4.0, patch_model=net)"),
        ("=128", "=16"),
        ("epochs=20", "epochs=1"),
    ):
        assert long in code
        code = code.replace(long, short)
    exec(code, {"net": net})
    assert "Labels of 5 images: 7 objects" in capsys.readouterr().out
    loaded = keras.saving.load_model(tmp_path / "counter.keras")
    assert isinstance(loaded, kp.HeatmapObjectCountingModel)
