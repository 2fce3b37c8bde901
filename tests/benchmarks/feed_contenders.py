"""Times a reader of patches in a process of its own, whenever it is told to.

`feed.py` starts this with the name of a reader and the folder that it has made,
and writes a line for each turn.
"""

import json
import pathlib
import resource
import sys
import time

import feed_peers
import feed_readers
import numpy as np

LEAST_SECONDS = 0.3


def summed(epoch):
    """Tell how many patches come, and the sums of images and of masks."""
    sums = np.zeros(3, "int64")
    for images, masks in epoch():
        pixels = (
            np.asarray(each).sum(dtype="int64") for each in (images, masks)
        )
        sums += len(images), *pixels
    return sums.tolist()


def timed(epoch, seconds):
    """Tell how many patches come in a second, in whole epochs."""
    start, patches = time.perf_counter(), 0
    while not patches or time.perf_counter() - start < seconds:
        patches += sum(len(images) for images, _ in epoch())
    return patches / (time.perf_counter() - start)


def read_from_disk():
    return resource.getrusage(resource.RUSAGE_SELF).ru_inblock * 512


def main():
    name, folder, *chosen = sys.argv[1:]
    module = feed_readers if hasattr(feed_readers, name) else feed_peers
    epochs = getattr(module, name)(pathlib.Path(folder))
    if chosen:  # the first epoch of all
        before = read_from_disk()
        speed = timed(epochs[chosen[0]], 0)
        answer(speed=speed, megabytes=(read_from_disk() - before) / 1e6)
        return
    sums = summed(next(iter(epochs.values())))
    tried = {}
    for setting, epoch in epochs.items():
        timed(epoch, 0)  # starts what it needs
        tried[setting] = timed(epoch, LEAST_SECONDS)
    best = max(tried, key=tried.get)
    timed(epochs[best], 0)
    answer(sums=sums, setting=best, tried=tried)
    for _ in sys.stdin:
        answer(speed=timed(epochs[best], LEAST_SECONDS))


def answer(**answers):
    print("ANSWER " + json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
