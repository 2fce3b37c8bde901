"""What is printed while work goes on: on terminals, in pipes and in logs."""

import os
import sys
import time

import keras

_SECONDS_BETWEEN_LINES = 10


def printable(text):
    r"""Replace what is no text, as of a file name that is not UTF-8.

    Args:
        text: String, in which Python keeps such bytes as lone surrogates.

    Returns:
        String that can be encoded, with `\xfc` where the byte is FC.

    Example:

    >>> print(printable("Gr\udcfcn.png"))
    Gr\xfcn.png
    """
    try:
        found = str(text).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # Not from a file name.
        found = str(text).encode("utf-8", "backslashreplace")
    return found.decode("utf-8", "backslashreplace")


def say(text=""):
    """Print a line; what the output cannot show is escaped, not an error."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    line = printable(text).encode(encoding, "backslashreplace")
    print(line.decode(encoding), flush=True)


def is_interactive():
    """Tell whether output may be drawn over, as in a terminal or a notebook.

    Not in pipes and files, under `TERM=dumb`, and where `NO_COLOR` is set,
    since the bar of Keras has colours.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    is_terminal = getattr(sys.stdout, "isatty", None)
    return bool(is_terminal and is_terminal()) or "ipykernel" in sys.modules


class Progress:
    """Shows how much is done: a bar, or else a line now and then.

    Args:
        total: Number of things to do.
        unit: What they are: "image".
        verbose: Whether to show anything.

    Example:

    >>> progress = Progress(3, "image")
    >>> for _ in range(3):
    ...     progress.add(1)
    """

    def __init__(self, total, unit, verbose=True):
        self._total = total
        self._unit = unit
        self._done = 0
        self._is_silent = not verbose
        self._started = self._told = time.monotonic()
        self._bar = None
        if is_interactive():
            self._bar = keras.utils.Progbar(
                total, unit_name=unit, verbose=int(bool(verbose))
            )

    def add(self, count=1):
        """Count what has been done since the last call."""
        self._done += count
        if self._bar is not None:
            self._bar.add(count)
        elif not self._is_silent:
            self._print_line()

    def _print_line(self):
        now = time.monotonic()
        is_due = now - self._told >= _SECONDS_BETWEEN_LINES
        if not is_due and self._done < self._total:
            return
        self._told = now
        seconds = now - self._started
        say(
            f"{self._done}/{self._total} {self._unit}s, {seconds:.0f} s, "
            f"{seconds / max(self._done, 1):.2g} s each"
        )
