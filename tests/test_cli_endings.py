"""However a command ends, it says so in a sentence."""

import argparse
import io
import os
import pathlib
import signal
import sys
import threading
import warnings

import keras
import numpy as np
import pytest
from named_pipes import when_read

from keras_patching import SemanticSegmentationModel, cli
from keras_patching.data.images.image_io import write_image


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture
def field(tmp_path):
    for folder, shape in ("images", (10, 14, 3)), ("masks", (10, 14)):
        (tmp_path / folder).mkdir()
        for index in range(2):
            array = np.zeros(shape, "uint8")
            array[:5] = 1
            write_image(tmp_path / folder / f"{index}.png", array)
    return tmp_path


@pytest.fixture
def model(tmp_path):
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    # Each image of 10 x 14 pixels is a batch of its own.
    model = SemanticSegmentationModel(
        2, patch_model, patch_size=8, patch_batch_size=4
    )
    model.build((None, None, None, 3))
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.fixture
def _is_stopped_by_ctrl_c():
    """As from a terminal: what a shell runs in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_is_stopped_by_ctrl_c")
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
    ],
)
def test_a_command_that_is_stopped_says_how_to_go_on(
    number, status, word, model, field, capsys
):
    pipe = field / "images" / "pipe.png"
    os.mkfifo(pipe)
    images = [field / "images" / name for name in ("0.png", pipe.name)]
    asked = "predict", model, *images, "--out", field / "found"
    table = field / "found" / "results.csv"
    when_read(pipe, lambda: os.kill(os.getpid(), number), table, "0.png")
    handler = signal.getsignal(number)
    assert run(*asked) == status
    assert signal.getsignal(number) == handler
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"keras-patching: {word}. Run the same command")
    assert "0.png" in table.read_text()
    pipe.unlink()
    write_image(pipe, np.ones((10, 14, 3), "uint8"))
    assert run(*asked) == 0
    assert "2 of 2 images, 1 of them before" in capsys.readouterr().out


def test_each_command_says_how_to_go_on():
    for command in cli.COMMANDS:
        name = command.__name__.rpartition(".")[2]
        arguments = {
            "patch": ["a", "b", "--patch-size", "8"],
            "predict": ["m", "a", "--out", "o"],
            "export": ["a", "b"],
            "verify": ["m", "a"],
            "demo": [],
        }.get(name, ["a"])
        options = cli._parser().parse_args([name, *arguments])
        assert "un the same command again" in options.go_on, name


def test_quiet_prints_errors_only(field, capsys):
    folders = field / "images", field / "masks"
    assert run("patch", *folders, "--patch-size", "8", "--quiet") == 0
    assert list((field / "images_patches").glob("*.json"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert run("inspect", field / "none", "-q") == 1
    assert str(field / "none") in capsys.readouterr().err


def test_an_output_that_nobody_reads_ends_a_command_in_silence(
    field, capsys, monkeypatch
):
    folders = field / "images", field / "masks"
    run("patch", *folders, "--patch-size", "8")
    capsys.readouterr()
    for arguments in (
        ["inspect", field / "images_patches"],
        ["export", field / "images_patches", field / "files"],
    ):
        reading, writing = os.pipe()
        os.close(reading)
        with monkeypatch.context() as patch, open(writing, "w") as stream:
            patch.setattr(sys, "stdout", stream)
            assert run(*arguments) == 141
        assert capsys.readouterr().err == ""


def test_an_ascii_terminal_is_told_of_every_name(
    model, field, capsys, monkeypatch
):
    found = pathlib.Path(os.fsdecode(os.fsencode(field) + b"/caf\xc3\xa9"))
    name = os.fsdecode(os.fsencode(field) + b"/images/Gr\xfcn.png")
    try:
        pathlib.Path(name).write_bytes(b"no image")
    except OSError:
        pytest.skip("the file system takes names of UTF-8 only")
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert run("predict", model, field / "images", "--out", found) == 1
    assert rb"caf\xe9" in stream.buffer.getvalue()
    assert r"Gr\xfcn.png: " in capsys.readouterr().err
    assert (found / "results.csv").exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("config"), "KeyError: 'config' (unexpected"),
        (MemoryError(), "not enough memory"),
        (ValueError("\x1b[1mloud\x1b[0m."), "loud."),
        (ImportError("pip install it."), "pip install it."),
    ],
)
def test_every_error_is_a_sentence(error, told, capsys, monkeypatch):
    def fail(_):
        raise error

    options = argparse.Namespace(run=fail, quiet=False, go_on="")
    assert cli._run(options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"keras-patching: error: {told}")
    monkeypatch.setenv("KERAS_PATCHING_TRACEBACK", "1")
    with pytest.raises(type(error)):
        cli._run(options)


def test_how_far_an_interrupted_command_has_come_is_told(capsys):
    def stop(_):
        error = KeyboardInterrupt()
        error.add_note("Run the same command again: 3 of 6 images are done.")
        raise error

    options = argparse.Namespace(run=stop, quiet=False, go_on="Again.")
    assert cli._run(options) == 130
    told = capsys.readouterr().err
    assert told.endswith(
        "interrupted. Run the same command again: 3 of 6 images are done.\n"
    )


def test_ctrl_c_while_a_lock_is_taken_again_is_no_error(capsys):
    def stop(_):
        lock = threading.Lock()
        with lock:
            lock.release()  # as `threading.Condition.wait` has it
            raise KeyboardInterrupt

    options = argparse.Namespace(run=stop, quiet=False, go_on="Again.")
    assert cli._run(options) == 130
    assert capsys.readouterr().err == "keras-patching: interrupted. Again.\n"


def test_a_warning_is_a_sentence():
    with cli._short_warnings():
        text = warnings.formatwarning("Mind the gap.", UserWarning, "a.py", 1)
    assert text == "keras-patching: warning: Mind the gap.\n"
