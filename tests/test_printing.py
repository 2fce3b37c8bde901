"""What is printed can be read wherever it is read."""

import io
import re

import pytest

from keras_patching import _printing as printing
from keras_patching._printing import Progress, printable, say

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def show(total, monkeypatch, stream, verbose=True):
    monkeypatch.setattr("sys.stdout", stream)
    progress = Progress(total, "image", verbose)
    for _ in range(total):
        progress.add(1)
    return stream.getvalue()


def test_a_pipe_gets_a_last_line_without_control_characters(monkeypatch):
    shown = show(300, monkeypatch, io.StringIO())
    assert not CONTROL.search(shown)
    assert shown.startswith("300/300 images, 0 s")
    assert shown.count("\n") == 1


def test_a_slow_work_tells_now_and_then(monkeypatch):
    clock = iter(range(0, 1000, 4))  # seconds
    monkeypatch.setattr(printing.time, "monotonic", lambda: next(clock))
    lines = show(10, monkeypatch, io.StringIO()).splitlines()
    assert [line.split()[0] for line in lines] == [
        "3/10",
        "6/10",
        "9/10",
        "10/10",
    ]
    assert lines[0] == "3/10 images, 12 s, 4 s each"


def test_a_terminal_gets_a_bar(monkeypatch):
    assert "\r" in show(3, monkeypatch, Terminal())


@pytest.mark.parametrize(
    ("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")]
)
def test_a_terminal_that_says_so_gets_lines(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    shown = show(3, monkeypatch, Terminal())
    assert not CONTROL.search(shown)
    assert "3/3 images" in shown


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_nothing_is_shown_where_nothing_is_wanted(stream, monkeypatch):
    assert show(3, monkeypatch, stream(), verbose=False) == ""


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", rb"caf\xe9 Gr\xfcn"), ("utf-8", "café Gr\\xfcn".encode())],
)
def test_what_an_output_cannot_show_is_escaped(encoding, expected, monkeypatch):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", stream)
    say("café Gr\udcfcn")
    assert written.getvalue() == expected + b"\n"


def test_any_string_becomes_printable():
    assert printable("plain é") == "plain é"
    assert printable("\ud800") == r"\ud800"


def test_work_of_unknown_length_tells_how_much_was_done(monkeypatch):
    for stream, last in [
        (io.StringIO(), "3 images, 0 s"),
        (Terminal(), "\r3 images, 0 s"),
    ]:
        monkeypatch.setattr("sys.stdout", stream)
        progress = Progress(None, "image")
        for _ in range(3):
            progress.add(1)
        progress.end()
        assert stream.getvalue().startswith(last)
        assert stream.getvalue().endswith("each\n")


def test_pixels_tell_the_speed_and_the_time_left(monkeypatch):
    clock = iter(range(0, 1000, 10))  # seconds
    monkeypatch.setattr(printing.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    progress = Progress(2, "image")
    progress.reach(50e6, of=200e6)
    progress.add()
    progress.reach(200e6, of=200e6)
    progress.add()
    assert stream.getvalue().splitlines() == [
        "0/2 images, 10 s, 5 megapixels/s, 30 s left",
        "1/2 images, 20 s, 20 s each, 2.5 megapixels/s, 60 s left",
        "1/2 images, 30 s, 30 s each, 6.67 megapixels/s",
        "2/2 images, 40 s, 20 s each, 5 megapixels/s",
    ]


def test_a_bar_moves_by_pixels_and_fits_the_terminal(monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(printing.time, "monotonic", lambda: next(clock))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout", Terminal())
    progress = Progress(1, "image")
    progress.reach(100e6, of=200e6)
    progress.end()
    half, last = printing.sys.stdout.getvalue().split("\r")[1:]
    assert half.startswith("0/1 images [==========          ], 10 s")
    assert len(half) < 60
    assert last.endswith("\n")
