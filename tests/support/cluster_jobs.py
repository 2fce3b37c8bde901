"""Work for workers, that ends the one it runs in."""

import os
import signal


def kill_once(flag, make, data):
    """Make a shard, but kill the process the first time."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return make(data)


def kill_always(make, data):
    """Kill the process, as one that lacks memory is."""
    os.kill(os.getpid(), signal.SIGKILL)
