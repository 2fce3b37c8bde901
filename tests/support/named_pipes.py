"""Files that wait for the test, so that it can stop a program just then."""

import threading
import time


def when_read(pipe, function, table, name):
    """Call a function, in another thread, when a pipe is being read.

    Args:
        pipe: Path of a named pipe.
        function: Called without arguments.
        table: Path of the file that is waited for: what comes before the pipe
            may still be computed when it begins to be read.
        name: What it must say.
    """

    def wait():
        with open(pipe, "wb", buffering=0) as stream:
            # More than a pipe holds: it has been opened, and is being read.
            stream.write(bytes(2**16 + 1))
            _wait_for(table, name)
            function()

    threading.Thread(target=wait, daemon=True).start()


def _wait_for(table, name):
    """Wait at most ten minutes until a file says something."""
    for _ in range(60_000):
        if table.exists() and name in table.read_text():
            return
        time.sleep(0.01)
