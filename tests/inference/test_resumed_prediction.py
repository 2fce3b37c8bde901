"""A prediction of files that was stopped goes on, and mixes nothing."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from named_pipes import when_read

from keras_patching import SemanticSegmentationModel
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.inference.file_prediction import load_model, predict_files


def make_model(bias=100.5, name=None):
    """A model that finds what is redder than the bias."""
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    kernel = np.zeros((1, 1, 3, 2))
    kernel[0, 0, 0, 1] = 1
    patch_model.layers[0].set_weights([kernel, np.array([bias, 0])])
    # Each image of 10 x 14 pixels is a batch of its own.
    return SemanticSegmentationModel(
        2, patch_model, patch_size=8, patch_batch_size=4, name=name
    )


@pytest.fixture(scope="module")
def model():
    return make_model()


def write_noise(path, seed=0):
    rng = np.random.default_rng(seed)
    write_image(path, rng.integers(0, 256, (10, 14, 3), dtype=np.uint8))
    make_old(path)


def make_old(path):
    long_ago = time.time() - 3601
    os.utime(path, (long_ago, long_ago))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index, name in enumerate("abd"):
        write_noise(folder / f"{name}.png", index)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def predict(model, paths, out, **kwargs):
    return predict_files(model, paths, out, verbose=False, **kwargs)


@pytest.fixture
def stopped(model, folder, out):
    """A prediction of a, b and d that is not at its end: c.png is bad."""
    (folder / "c.png").write_bytes(b"no image")
    done = predict(model, [folder], out)
    assert len(done.rows) == 3
    return out


def images_of(out):
    with open(out / "results.csv", newline="") as stream:
        return [row["image"] for row in csv.DictReader(stream)]


def contents(out):
    """The bytes of all files; of the table, all but the seconds."""
    found = {
        path.relative_to(out): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }
    table = found.pop(pathlib.Path("results.csv")).splitlines()
    return found, [line.rpartition(b",")[0] for line in table]


def times(out):
    return {
        path.stem: path.stat().st_mtime_ns for path in out.glob("masks/*.png")
    }


def is_right(out, image):
    truth = read_image(image)[..., 0] > 100
    return (read_mask(out / "masks" / f"{image.stem}.png") == truth).all()


def test_what_is_done_is_not_predicted_again(model, folder, stopped):
    before = times(stopped)
    write_noise(folder / "c.png", 3)
    done = predict(model, [folder], stopped)
    assert done.faults == []
    assert done.num_before == 3
    assert [row["image"] for row in done.rows] == images_of(stopped)
    assert images_of(stopped) == ["a.png", "b.png", "c.png", "d.png"]
    after = times(stopped)
    assert before.items() <= after.items()
    assert is_right(stopped, folder / "c.png")
    assert not [path for path in stopped.iterdir() if path.name[0] == "."]


def test_a_prediction_at_its_end_is_refused_as_before(model, folder, stopped):
    write_noise(folder / "c.png")
    predict(model, [folder], stopped)
    with pytest.raises(ValueError, match="would be overwritten"):
        predict(model, [folder], stopped)


def test_a_saved_model_or_one_of_other_names_goes_on(
    model, folder, stopped, tmp_path
):
    model.save(tmp_path / "model.keras")
    for same in (load_model(tmp_path / "model.keras"), make_model()):
        assert predict(same, [folder], stopped).num_before == 3


@pytest.mark.parametrize("change", ["weights", "tiling"])
def test_results_of_another_model_are_not_mixed(change, folder, stopped):
    other = make_model(bias=50.5 if change == "weights" else 100.5)
    if change == "tiling":
        other.set_tiling(overlap=2)
    before = times(stopped)
    with pytest.raises(ValueError, match="of another model") as caught:
        predict(other, [folder], stopped)
    assert "--overwrite" in str(caught.value)
    assert times(stopped) == before
    done = predict(other, [folder], stopped, overwrite=True)
    assert (len(done.rows), done.num_before) == (3, 0)
    assert not before.items() & times(stopped).items()


def test_an_image_that_has_changed_is_predicted_again(model, folder, stopped):
    before = times(stopped)
    stat = (folder / "b.png").stat()
    write_noise(folder / "b.png", 7)
    os.utime(folder / "b.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert predict(model, [folder], stopped).num_before == 2
    assert is_right(stopped, folder / "b.png")
    assert {k for k in before if times(stopped)[k] == before[k]} == {"a", "d"}


def test_results_that_are_gone_are_made_again(model, folder, stopped):
    (stopped / "overlays" / "a.png").unlink()
    (stopped / "masks" / "d.png").write_bytes(b"cut")
    assert predict(model, [folder], stopped).num_before == 1
    assert (stopped / "overlays" / "a.png").exists()
    assert is_right(stopped, folder / "d.png")


def test_images_that_moved_are_the_same(model, folder, stopped, tmp_path):
    moved = folder.rename(tmp_path / "moved")
    assert predict(model, [moved], stopped).num_before == 3


def test_more_images_may_be_asked_for_but_not_fewer(model, folder, stopped):
    write_noise(folder / "e.png", 9)
    assert predict(model, [folder], stopped).num_before == 3
    assert images_of(stopped) == ["a.png", "b.png", "d.png", "e.png"]
    with pytest.raises(ValueError, match="also of other images") as caught:
        predict(model, [folder / "a.png"], stopped)
    assert str(folder / "e.png") in str(caught.value)
    assert images_of(stopped) == ["a.png", "b.png", "d.png", "e.png"]


def test_other_images_of_the_same_names_are_not_mixed(
    model, folder, stopped, tmp_path
):
    other = tmp_path / "other"
    other.mkdir()
    for name in "abd":
        write_noise(other / f"{name}.png", 20)
    before = times(stopped)
    with pytest.raises(ValueError, match="also of other images"):
        predict(model, [other], stopped)
    assert times(stopped) == before


def test_files_that_are_not_ours_stay_also_when_going_on(
    model, folder, stopped
):
    write_noise(folder / "c.png")
    (stopped / "masks" / "c.png").write_bytes(b"drawn by hand")
    with pytest.raises(ValueError, match="would be overwritten"):
        predict(model, [folder], stopped)
    assert (stopped / "masks" / "c.png").read_bytes() == b"drawn by hand"


def test_results_are_never_written_over_their_images(model, tmp_path):
    images = tmp_path / "field" / "overlays"
    images.mkdir(parents=True)
    write_noise(images / "a.png")
    before = (images / "a.png").read_bytes()
    with pytest.raises(ValueError, match="over images to predict"):
        predict(model, [images], tmp_path / "field", overwrite=True)
    assert (images / "a.png").read_bytes() == before


@pytest.mark.parametrize("half", [b'\n{"image": "c", "row', b"\n{", b"\n"])
def test_half_a_line_in_the_journal_costs_one_image(
    half, model, folder, stopped
):
    (journal,) = stopped.glob(".*.jsonl")
    journal.write_bytes(journal.read_bytes() + half)
    write_noise(folder / "e.png")
    assert predict(model, [folder], stopped).num_before == 3
    assert predict(model, [folder], stopped).num_before == 4


@pytest.fixture
def pipe(folder):
    """A file whose reading waits until something is written to it."""
    os.mkfifo(folder / "pipe.png")
    return folder / "pipe.png"


def test_rows_are_kept_as_they_come_and_a_kill_costs_nothing(
    model, folder, pipe, out, tmp_path
):
    model.save(tmp_path / "model.keras")
    images = [folder / name for name in ("a.png", "b.png", pipe.name, "d.png")]
    command = [sys.executable, "-m", "keras_patching", "predict"]
    process = subprocess.Popen(
        [*command, tmp_path / "model.keras", *images, "--out", out],
        cwd=pathlib.Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
    )
    when_read(pipe, process.kill, out / "results.csv", "b.png")
    assert process.wait() == -signal.SIGKILL
    assert images_of(out) == ["a.png", "b.png"]
    pipe.unlink()
    write_noise(pipe, 5)
    half = out / "masks" / f".{process.pid}-{'0' * 16}.tmp.png"
    half.write_bytes(b"what a kill may leave")
    make_old(half)
    young = half.with_name(f".{process.pid}-{'1' * 16}.tmp.png")
    young.write_bytes(b"what another machine is writing")
    done = predict(model, images, out)
    assert done.num_before == 2
    assert images_of(out) == ["a.png", "b.png", "pipe.png", "d.png"]
    assert all(is_right(out, image) for image in images)
    assert list(out.rglob(".*")) == [young]
    young.unlink()
    predict(model, images, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


# Names of files that are not UTF-8


def latin_name(folder):
    return pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/Gr\xfcn.png"))


def test_a_name_that_is_not_utf8_is_written_so_that_it_can_be_told(
    model, folder, out, capsys
):
    try:
        write_noise(latin_name(folder))
    except OSError:
        pytest.skip("the file system takes names of UTF-8 only")
    done = predict(model, [folder], out)
    assert done.faults == []
    assert images_of(out) == [r"Gr\xfcn.png", "a.png", "b.png", "d.png"]
    assert is_right(out, latin_name(folder))


def test_such_a_name_is_told_in_faults_and_goes_on(model, folder, out):
    latin_name(folder).write_bytes(b"no image")
    (fault,) = predict(model, [folder], out).faults
    assert r"Gr\xfcn.png: " in fault
    fault.encode()
    write_noise(latin_name(folder))
    (folder / "e.png").write_bytes(b"no image")
    assert len(predict(model, [folder], out).rows) == 4
    assert predict(model, [folder], out).num_before == 4


def test_one_path_is_as_good_as_a_list(model, folder, out):
    assert len(predict(model, str(folder), out).rows) == 3
    with pytest.raises(ValueError, match="No images"):
        predict(model, [], out)
    assert json.dumps(images_of(out))
