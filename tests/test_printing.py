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
