"""The demonstrations run, show what they did, and find their patches again."""

import contextlib
import io
import re

import keras
import pytest

from keras_patching import cli, demos
from keras_patching.data.images.image_io import read_image


def tiny_patch_model(num_outputs, activation):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(
                num_outputs, 3, padding="same", activation=activation
            ),
        ]
    )


# What makes each demonstration small.
SMALL = {
    "segmentation": {
        "patch_size": 32,
        "patch_model": tiny_patch_model(2, "softmax"),
    },
    "counting": {
        "patch_size": 32,
        "patch_model": tiny_patch_model(1, "linear"),
    },
    "detection": {
        "patch_size": 70,  # of which the plants are larger than one cell
        "image_size": (260, 320),
        "patch_model": keras.Sequential(
            [
                keras.Input((70, 70, 3)),
                keras.layers.AveragePooling2D(10),
                keras.layers.Conv2D(18, 1),
            ]
        ),
    },
}


def run_tiny(task, out):
    small = {"image_size": (70, 90), **SMALL[task]}
    return demos.TASKS[task](out, epochs=1, num_images=3, **small)


class Run:
    def __init__(self, task, out):
        self.task = task
        self.out = out
        self.folder = out / task
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.scores = run_tiny(task, out)
        self.printed = printed.getvalue()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder that is made by the first task, and shared by all."""
    return tmp_path_factory.mktemp("demo") / "new" / "folder"


@pytest.fixture(scope="module")
def segmentation(out):
    return Run("segmentation", out)


@pytest.fixture(scope="module")
def counting(out):
    return Run("counting", out)


@pytest.fixture(scope="module")
def detection(out):
    return Run("detection", out)


@pytest.fixture(params=demos.TASKS)
def run(request):
    return request.getfixturevalue(request.param)


def test_scores_of_segmentation_are_printed(segmentation):
    run = segmentation
    assert set(run.scores) == {"model", "threshold"}
    for score in run.scores.values():
        assert 0 <= score <= 1
        assert re.search(rf"{score:.3f}$", run.printed, re.MULTILINE)


def test_scores_of_counting_are_printed(counting):
    names = {
        "model": "model",
        "threshold": "thresholding of green",
        "mean": "guessing the mean",
    }
    assert set(counting.scores) == set(names)
    for key, score in counting.scores.items():
        f1 = f"{score['f1']:.3f}" if key != "mean" else "-"
        line = (
            rf"{names[key]} +{score['count_mae']:.1f} +"
            rf"{score['count_relative_error']:.1%} +{f1}$"
        )
        assert re.search(line, counting.printed, re.MULTILINE)


def test_scores_of_detection_are_printed(detection):
    assert set(detection.scores) == {"model", "threshold"}
    for score in detection.scores.values():
        assert 0 <= score <= 1
        assert re.search(rf"{score:.3f}$", detection.printed, re.MULTILINE)


def test_the_cells_that_see_no_plant_are_told(detection):
    assert "put an object into each cell of the 7x7 grid" in detection.printed


def test_each_step_is_printed_with_its_call(run):
    for call in (
        "model.set_patch_size(height={0}, width={0})".format(
            SMALL[run.task]["patch_size"]
        ),
        "model.fit(train, epochs=1",
        "model.predict(full_images)",
        f"model.save({str(run.folder / 'model.keras')!r})",
    ):
        assert call in run.printed


def test_each_held_out_image_has_a_picture(run):
    (picture,) = (run.folder / "pictures").iterdir()
    image = run.folder / "field" / "images" / f"{picture.stem}.jpg"
    height, width, _ = read_image(image).shape
    picture_height, picture_width, _ = read_image(picture).shape
    assert picture_height > height
    assert picture_width > 2 * width
    assert str(picture) in run.printed


def test_the_model_can_be_loaded(run):
    model = keras.models.load_model(run.folder / "model.keras")
    assert model.patch_size == (SMALL[run.task]["patch_size"],) * 2


def test_a_second_run_finds_the_patches(run, capsys):
    shards = {
        path: path.stat().st_mtime_ns
        for path in (run.folder / "field/images_patches/shards").iterdir()
    }
    run_tiny(run.task, run.out)
    printed = capsys.readouterr().out
    assert "cached patches of 3 images" in printed
    assert all(path.stat().st_mtime_ns == at for path, at in shards.items())
    assert keras.backend.backend() in printed


def test_every_task_can_be_chosen_on_the_command_line():
    for task in demos.TASKS:
        options = cli._parser().parse_args(["demo", "--task", task])
        assert options.task == task


@pytest.mark.parametrize("task", demos.TASKS)
def test_the_command_line_leaves_epochs_to_the_task(task, monkeypatch):
    calls = []
    monkeypatch.setitem(
        demos.TASKS, task, lambda *given, **named: calls.append((given, named))
    )
    arguments = ["demo", "--task", task, "--out", "here", "--seed", "2"]
    assert cli.main(arguments) == 0
    assert cli.main([*arguments, "--epochs", "3"]) == 0
    assert calls == [(("here", 2), {}), (("here", 2), {"epochs": 3})]


def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "model.keras").write_text("mine")
    with pytest.raises(ValueError, match="holds files that are not of a demo"):
        run_tiny("segmentation", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
