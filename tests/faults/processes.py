"""Processes that are forked, so that they begin at once, and may be killed."""

import contextlib
import os
import pickle
import signal
import sys
import time
import traceback

# Seconds after which a process is taken to hang.
_PATIENCE = 120


class Ended:
    """How a process ended.

    Attributes:
        value: What its function returned.
        error: The text of what it raised, with its notes; `None` for nothing.
        kind: Name of the class of that.
        is_killed: Whether a signal ended it.
    """

    def __init__(self, value=None, error=None, kind=None, is_killed=False):
        self.value, self.error, self.kind = value, error, kind
        self.is_killed = is_killed

    @property
    def is_told(self):
        """Whether it raised an error that users can act on."""
        return self.kind in ("value", "missing")


class Child:
    """A function that runs in a process of its own.

    Args:
        function, *arguments: What is called there.
        own_group: Whether Ctrl-C reaches it and its children alone.
    """

    def __init__(self, function, *arguments, own_group=False):
        sys.stdout.flush()
        self._read, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _run(function, arguments, write, own_group)
        os.close(write)
        self._own_group = own_group
        if own_group:  # Whichever of the two is first.
            with contextlib.suppress(OSError):
                os.setpgid(self.pid, self.pid)

    def kill(self, number=signal.SIGKILL):
        """Send a signal to it, and to its children if it has a group."""
        with contextlib.suppress(ProcessLookupError):
            if self._own_group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def end(self):
        """Wait for it.

        Returns:
            An `Ended`.
        """
        signal.signal(signal.SIGALRM, lambda *_: self.kill())
        signal.alarm(_PATIENCE)
        with open(self._read, "rb") as stream:
            data = stream.read()
        _, status = os.waitpid(self.pid, 0)
        signal.alarm(0)
        if os.waitstatus_to_exitcode(status) or not data:
            return Ended(is_killed=True)
        return Ended(*pickle.loads(data))


def run(function, *arguments):
    """Call a function in a process of its own, and give its `Ended`."""
    return Child(function, *arguments).end()


def wait(seconds):
    """Sleep, but no longer than that, whatever the clock's granularity."""
    end = time.perf_counter() + seconds
    time.sleep(max(seconds - 0.0005, 0))
    while time.perf_counter() < end:
        pass


def _run(function, arguments, write, own_group):
    if own_group:
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = function(*arguments), None, None
    except FileNotFoundError as error:
        result = None, str(error), "missing"
    except ValueError as error:
        result = None, str(error), "value"
    except KeyboardInterrupt as error:
        notes = " ".join(getattr(error, "__notes__", []))
        result = None, notes, "interrupt"
    except BaseException:
        result = None, traceback.format_exc(), "unexpected"
    with contextlib.suppress(OSError), open(write, "wb") as stream:
        stream.write(pickle.dumps(result))
    os._exit(0)
