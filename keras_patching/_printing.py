"""What is printed while work goes on: on terminals, in pipes and in logs."""

import os
import shutil
import sys
import time

_SECONDS_BETWEEN_LINES = 10
_SECONDS_BETWEEN_BARS = 0.1
_BAR = 20  # characters


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
    since the bars of Keras have colours.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    is_terminal = getattr(sys.stdout, "isatty", None)
    return bool(is_terminal and is_terminal()) or "ipykernel" in sys.modules


class Progress:
    """Shows how much is done: a bar, or else a line now and then.

    Args:
        total: Number of things to do; `None` if it is not known.
        unit: What they are: "image".
        verbose: Whether to show anything.

    Example:

    >>> progress = Progress(3, "image")
    >>> for _ in range(3):
    ...     progress.add(1)
    """

    def __init__(self, total, unit, verbose=True):
        self._total, self._unit = total, unit
        self._done = self._pixels = self._all_pixels = 0
        self._is_silent = not verbose
        self._is_ended = False
        self._is_bar = is_interactive()
        self._drawn = 0
        self._started = self._told = time.monotonic()

    def add(self, count=1):
        """Count what has been done since the last call."""
        self._done += count
        self._show()

    def reach(self, pixels, of):
        """Tell how many pixels are done, of how many; they move the bar."""
        self._pixels, self._all_pixels = pixels, of
        self._show()

    def end(self):
        """Show the last, of work that did not come to its end, or had none."""
        if not self._is_ended and (self._drawn or self._total is None):
            self._show(is_last=True)

    def _show(self, is_last=False):
        if self._is_silent or self._is_ended:
            return
        now = time.monotonic()
        is_last = is_last or self._done == self._total
        wait = _SECONDS_BETWEEN_BARS if self._is_bar else _SECONDS_BETWEEN_LINES
        if not is_last and now - self._told < wait:
            return
        self._told, self._is_ended = now, is_last
        if self._is_bar:
            self._draw(now - self._started, is_last)
        else:
            say(", ".join(self._words(now - self._started)))

    def _words(self, seconds):
        """Give what a line says."""
        of = "" if self._total is None else f"/{self._total}"
        yield f"{self._done}{of} {self._unit}s"
        yield f"{seconds:.0f} s"
        if self._done:
            yield f"{seconds / self._done:.2g} s each"
        yield from self._speed(seconds)

    def _speed(self, seconds):
        if not self._all_pixels or not seconds:
            return
        yield f"{self._pixels / seconds / 1e6:.3g} megapixels/s"
        if 0 < (share := self._share()) < 1:
            yield f"{seconds / share - seconds:.0f} s left"

    def _share(self):
        if self._all_pixels:
            return min(self._pixels / self._all_pixels, 1)
        return self._done / self._total if self._total else 0

    def _draw(self, seconds, is_last):
        """Draw over what was drawn before."""
        count, *words = self._words(seconds)
        if self._total is not None:
            full = round(_BAR * self._share())
            count = f"{count} [{'=' * full}{' ' * (_BAR - full)}]"
        line = ", ".join([count, *words])
        # What does not fit would begin a new line each time.
        line = line[: shutil.get_terminal_size().columns - 1]
        end = "\n" if is_last else ""
        print(f"\r{line:{self._drawn}}", end=end, flush=True)
        self._drawn = len(line)
