"""Batches that several processes share, each its own rows of every batch."""

import copy
import dataclasses

from keras_patching._checks import check_integer


@dataclasses.dataclass(frozen=True)
class Share:
    """What one of several processes takes of each batch.

    Attributes:
        index: Number of the process, from 0.
        count: Number of processes.
    """

    index: int = 0
    count: int = 1

    def rows(self, size):
        """Tell which rows of a batch it takes.

        Args:
            size: Number of rows of the batch, which `count` divides.

        Returns:
            `slice` of rows; those of all shares are the batch, in its order.
        """
        each = size // self.count
        return slice(self.index * each, (self.index + 1) * each)


def take_share(sequence, index, count):
    """Make a sequence of what one process takes of each batch.

    Args:
        sequence: `CachedSequence`, which may be a shard already.
        index, count: As of `CachedSequence.shard`.

    Returns:
        Copy of the sequence.

    Raises:
        ValueError: If the shares of a batch would not be of one size.
    """
    check_integer(count, "count", 1)
    check_integer(index, "index", 0)
    if index >= count:
        raise ValueError(
            f"`index` must be from 0 to `count` - 1. Received: index={index}, "
            f"count={count}"
        )
    check_shares(sequence, count)
    shard = copy.copy(sequence)
    shard.batch_size = sequence.batch_size // count
    shard.num_samples = sequence.num_samples // count
    before = sequence._share
    shard._share = Share(before.index * count + index, before.count * count)
    return shard


def check_shares(sequence, count):
    """Refuse batches that so many processes cannot share equally.

    A mean over shares of several sizes is not that of the batch, and a process
    that has one batch less than others leaves them waiting for ever.
    """
    size, samples = sequence.batch_size, sequence.num_samples
    if size % count:
        raise ValueError(
            f"{sequence.manifest_path}: {count} processes cannot share batches "
            f"of {size} samples equally. Use a `batch_size` that is a multiple "
            f"of {count}. Received: batch_size={size}"
        )
    rest = samples % size
    if rest % count and not sequence.drop_remainder:
        raise ValueError(
            f"{sequence.manifest_path}: {count} processes cannot share the "
            f"last batch of an epoch equally, {rest} of {samples} samples. "
            "Make the sequence with drop_remainder=True: then an epoch leaves "
            "them out, and with shuffle=True the next one leaves out others. "
            f"Received: batch_size={size}, drop_remainder=False"
        )
