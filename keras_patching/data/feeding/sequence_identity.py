"""What decides the batches of a sequence, in numbers that can be compared."""

import hashlib
import zlib

import numpy as np


def identify(sequence):
    """Tell by what the batches of an epoch are given, shards joined.

    Two sequences of the same numbers, also in other processes and on other
    days, put the same samples into the same batches, but for what `resample`
    draws. Not told is what is made of samples then: `dtype`, the size of
    crops, padding, and which function `augment` is.

    Args:
        sequence: `CachedSequence`.

    Returns:
        Dict of integers of 32 bits: `seed`, its last ones, `batch_size`,
        `num_samples`, and `order`, of a hash of the seed, the images, and of
        the order of the samples and where they lie.
    """
    count = sequence.share.count
    order = sequence.places()
    found = hashlib.sha256()
    for source in sequence.sources:
        files = {kind: each.file for kind, each in source.shards.items()}
        found.update(repr((source.name, sorted(files.items()))).encode())
    for each in order:
        found.update(np.ascontiguousarray(each, "<i8").tobytes())
    others = sequence.seed, sequence.drop_remainder, bool(sequence.augment)
    found.update(repr(others).encode())
    return {
        "seed": sequence.seed % 2**32,
        "batch_size": sequence.batch_size * count,
        "num_samples": len(order[0]),
        "order": zlib.crc32(found.digest()),
    }
