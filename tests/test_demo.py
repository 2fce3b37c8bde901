"""The demonstrations run, show what they did, and find their patches again."""

import re

import keras
import pytest

from keras_patching import cli, demo
from keras_patching.data.image_io import read_image


def tiny_patch_model():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(2, 3, padding="same", activation="softmax"),
        ]
    )


def run_tiny(out):
    return demo.segmentation_demo(
        out,
        seed=0,
        epochs=1,
        num_images=3,
        image_size=(40, 60),
        patch_size=32,
        patch_model=tiny_patch_model(),
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "new" / "folder"


@pytest.fixture(scope="module")
def scores(out):
    return run_tiny(out)


def test_scores_are_between_nothing_and_perfect(scores):
    assert set(scores) == {"model", "threshold"}
    assert all(0 <= score <= 1 for score in scores.values())


def test_each_held_out_image_has_a_picture(out, scores):
    (picture,) = (out / "pictures").iterdir()
    assert (out / "field" / "images" / f"{picture.stem}.jpg").exists()
    height, width, _ = read_image(picture).shape
    assert height > 2 * 40
    assert width > 2 * 60


def test_the_model_can_be_loaded(out, scores):
    model = keras.models.load_model(out / "model.keras")
    assert model.patch_size == (32, 32)


def test_a_second_run_finds_the_patches_and_says_what_it_did(
    out, scores, capsys
):
    shards = {
        path: path.stat().st_mtime_ns
        for path in (out / "field" / "images_patches" / "shards").iterdir()
    }
    again = run_tiny(out)
    printed = capsys.readouterr().out
    assert "cached patches of 3 images" in printed
    assert all(path.stat().st_mtime_ns == at for path, at in shards.items())
    assert keras.backend.backend() in printed
    for score in again.values():
        assert re.search(rf"{score:.3f}$", printed, re.MULTILINE)
    assert str(out / "model.keras") in printed
    assert str(next((out / "pictures").iterdir())) in printed


def test_every_task_can_be_chosen_on_the_command_line():
    for task in demo.TASKS:
        options = cli._parser().parse_args(["demo", "--task", task])
        assert options.task == task


def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "model.keras").write_text("mine")
    with pytest.raises(ValueError, match="holds files that are not of a demo"):
        run_tiny(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
