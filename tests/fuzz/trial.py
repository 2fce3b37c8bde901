"""One hostile file: read, refused, or a fault of the package."""

import collections
import contextlib
import dataclasses
import logging
import os
import resource
import signal
import sys
import time
import traceback
import warnings

MOST_SECONDS = 5
MOST_BYTES = 2**30
_OWN = "keras_patching"


class Hang(BaseException):
    """An input takes longer than it may."""


@dataclasses.dataclass
class Tally:
    """What came of the inputs of an entry point.

    Attributes:
        inputs, read, refused: Numbers of inputs.
        others: Counter of what else came: a text such as "KeyError at x.py:3".
        slowest: Seconds of the slowest input, of the processor.
        most_bytes: By how much the memory of the process has grown.
    """

    inputs: int = 0
    read: int = 0
    refused: int = 0
    others: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    slowest: float = 0.0
    most_bytes: int = 0


class Trials:
    """Tries inputs of one entry point, one after another.

    Args:
        target: `Target`.
        tally: `Tally` that is added to.
        limited: Whether time and memory are limited, which is of the process.
    """

    def __init__(self, target, tally, limited=True):
        self.target, self.tally = target, tally
        self._warned = []
        self._limited = limited
        self._before = _peak()
        if limited:
            signal.signal(signal.SIGPROF, _hang)
            # The kernel counts addresses, of which libraries take many.
            most = _addresses() + MOST_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (most, -1))

    def __call__(self, data):
        """Try one file.

        Returns:
            What is wrong: a text, or `None`.
        """
        self._warned.clear()
        _write(self.target.path, data)
        started, fault = time.process_time(), None
        try:
            with self._alarm():
                self.target.read()
        except Hang as error:
            fault = f"hang at {_place(error)}"
        except Exception as error:
            fault = self._judge(error)
            self.tally.refused += fault is None
        else:
            self.tally.read += 1
        took = time.process_time() - started
        if took > MOST_SECONDS and fault is None:
            fault = f"{took:.0f} s"
        if fault is None and self._warned:
            fault = self._warned[0]
        self.tally.inputs += 1
        self.tally.slowest = max(self.tally.slowest, took)
        grown = _peak() - self._before
        if grown > MOST_BYTES and fault is None:
            fault = f"{grown / 1e9:.1f} GB"
            self._before += grown
        self.tally.most_bytes = max(self.tally.most_bytes, grown)
        if fault is not None:
            self.tally.others[fault] += 1
        return fault

    @contextlib.contextmanager
    def watched(self):
        """Catch warnings that are not of the package, and logging."""
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = self._note
            logging.disable(logging.CRITICAL)
            try:
                yield self
            finally:
                logging.disable(logging.NOTSET)

    def _note(self, message, category, filename, lineno, *_):
        if issubclass(category, DeprecationWarning):
            return  # Python tells them to developers only.
        own = self.target.path.name in str(message)
        if category is not UserWarning or not own:
            name = os.path.basename(filename)
            self._warned.append(f"{category.__name__} at {name}:{lineno}")

    @contextlib.contextmanager
    def _alarm(self):
        if not self._limited:
            yield
            return
        # Of the processor: others may be busy on the machine.
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _judge(self, error):
        """Tell what is wrong with an error, or give `None`."""
        kind = type(error)
        is_own = kind.__module__.startswith(_OWN) and issubclass(
            kind, ValueError
        )
        if not (is_own or kind in (ValueError, FileNotFoundError)):
            return f"{kind.__name__} at {_place(error)}"
        if not self._is_named(str(error)):
            return f"no name in {kind.__name__} at {_place(error)}"
        return None

    def _is_named(self, text):
        return any(name in text for name in self.target.names())


def _hang(*_):
    raise Hang


def _write(path, data):
    with open(path, "wb") as stream:
        stream.write(data)


def _place(error):
    """Give the last place in the package that an error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if f"/{_OWN}/" in each.filename]
    last = (own or frames)[-1]
    return f"{os.path.basename(last.filename)}:{last.lineno}"


def _peak():
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo


def _addresses():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()
