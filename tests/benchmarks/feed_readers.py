"""Readers of the same patches: memory maps, and `PatchingSequence`.

A reader is a function of the folder that `feed.py` has made, and gives a dict
from the name of a setting to a function, which gives the batches of an epoch:
uint8 images and masks, shuffled.
"""

import collections
import concurrent.futures
import functools
import itertools
import json

import numpy as np

BATCH = 32


def raw_map(folder):
    """Give rows of one packed memory map of each kind: a copy, no more."""
    order, take = open_packed(folder)
    return {"threads=1": lambda: map(take, order())}


def raw_map_threads(folder):
    """The same through threads, at most ten batches ahead."""
    order, take = open_packed(folder)

    def epoch(threads):
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            coming = order()
            ahead = collections.deque(
                pool.submit(take, samples)
                for samples in itertools.islice(coming, 10)
            )
            while ahead:
                yield ahead.popleft().result()
                for samples in itertools.islice(coming, 1):
                    ahead.append(pool.submit(take, samples))

    return by_number("threads", epoch, (1, 2, 4))


def raw_shards(folder):
    """Give rows of a memory map of each shard, in a loop."""
    source = MappedShards(folder)
    order = orders(len(source))

    def take(samples):
        rows = [source[sample] for sample in samples.tolist()]
        return tuple(np.stack(each) for each in zip(*rows, strict=True))

    return {"threads=1": lambda: map(take, order())}


def sequence(folder):
    """Give batches of a `PatchingSequence` by their index."""
    return {"threads=0": functools.partial(pass_over(folder), 0)}


def read_ahead(folder):
    """The same through its threads, as Keras asks for them in `fit`."""
    return by_number("threads", pass_over(folder), (1, 2, 4))


def cut_ahead(folder):
    """The same, of whole images that patches are cut out of."""
    return by_number("threads", pass_over(folder, "whole"), (1, 2, 4))


def pass_over(folder, name="manifest"):
    from keras_patching import PatchingSequence

    batches = PatchingSequence(facts(folder)[name], BATCH, seed=0)

    def epoch(workers):
        batches.workers = workers
        if workers:
            batches.on_epoch_begin()
        yield from (batches[index] for index in range(len(batches)))
        batches.on_epoch_end()
        batches.epoch += 1

    return epoch


class MappedShards:
    """Patches by their number, out of memory maps of the shards."""

    def __init__(self, folder):
        self._pairs = facts(folder)["shards"]

    @functools.cached_property
    def _maps(self):
        return [[map_array(path) for path in pair] for pair in self._pairs]

    def __getstate__(self):  # other processes map for themselves
        return {"_pairs": self._pairs}

    def __len__(self):
        return len(self._maps) * len(self._maps[0][0])

    def __getitem__(self, number):
        shard, row = divmod(int(number), len(self._maps[0][0]))
        return tuple(array[row] for array in self._maps[shard])


def facts(folder):
    return json.loads((folder / "facts.json").read_text())


def packed(folder):
    return [map_array(folder / name) for name in ("images.npy", "masks.npy")]


def map_array(path):
    return np.asarray(np.load(path, mmap_mode="r"))


def open_packed(folder):
    arrays = packed(folder)

    def take(samples):
        return tuple(array[samples] for array in arrays)

    return orders(len(arrays[0])), take


def orders(number):
    """Give a function from nothing to the samples of each batch."""
    rng = np.random.default_rng(0)

    def order():
        samples = rng.permutation(number)
        return iter(np.split(samples, range(BATCH, number, BATCH)))

    return order


def by_number(unit, epoch, numbers):
    return {f"{unit}={n}": functools.partial(epoch, n) for n in numbers}
