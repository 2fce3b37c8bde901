"""Files that wait for the test, so that it can stop a program just then."""

import threading


def when_read(pipe, function):
    """Call a function, in another thread, when a pipe begins to be read.

    Args:
        pipe: Path of a named pipe.
        function: Called without arguments.
    """

    def wait():
        with open(pipe, "wb", buffering=0) as stream:
            # More than a pipe holds: it has been opened, and is being read.
            stream.write(bytes(2**16 + 1))
            function()

    threading.Thread(target=wait, daemon=True).start()
