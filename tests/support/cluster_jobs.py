"""Work for workers: that ends the one it runs in, or takes its time."""

import os
import signal
import time


def kill_once(flag, make, data):
    """Make a shard, but kill the process the first time."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return make(data)


def kill_always(make, data):
    """Kill the process, as one that lacks memory is."""
    os.kill(os.getpid(), signal.SIGKILL)


def make_slowly(make, data):
    """Make a shard, so that there is time to interrupt it."""
    time.sleep(0.3)
    return make(data)
