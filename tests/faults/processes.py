"""Processes that are forked, so that they begin at once, and may be killed."""

import contextlib
import faulthandler
import functools
import os
import pickle
import signal
import sys
import time
import traceback

# Seconds after which a process is taken to hang, and says where.
_PATIENCE = 120
_CTRL_C = {signal.SIGINT}
# What comes before the result, after where a process that is late has been.
_RESULT = b"\0result\0"


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
        # Not before there is somebody to tell it to.
        signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
        self.pid = os.fork()
        if not self.pid:
            _run(function, arguments, write, own_group)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
        os.close(write)
        self._own_group, self._hangs = own_group, False
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

    def _give_up(self, *_):
        self._hangs = True
        self.kill()

    def end(self):
        """Wait for it.

        Returns:
            An `Ended`.
        """
        signal.signal(signal.SIGALRM, self._give_up)
        signal.alarm(_PATIENCE)
        with open(self._read, "rb") as stream:
            data = stream.read()
        _, status = os.waitpid(self.pid, 0)
        signal.alarm(0)
        if self._own_group:  # Workers may be left.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        if self._hangs:
            return Ended(None, f"hangs:\n{data.decode()}", "hangs")
        if os.waitstatus_to_exitcode(status) or _RESULT not in data:
            return Ended(is_killed=True)
        return Ended(*pickle.loads(data.rpartition(_RESULT)[2]))


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
    # As from a terminal: what a shell runs in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nowhere = os.open(os.devnull, os.O_WRONLY)  # Of tracebacks of workers.
    os.dup2(nowhere, 2)
    # Workers must not keep it open.
    os.register_at_fork(after_in_child=functools.partial(os.close, write))
    faulthandler.dump_traceback_later(_PATIENCE * 0.8, file=write)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.cancel_dump_traceback_later()
    with contextlib.suppress(OSError), open(write, "wb") as stream:
        stream.write(_RESULT + pickle.dumps(result))
    os._exit(0)
