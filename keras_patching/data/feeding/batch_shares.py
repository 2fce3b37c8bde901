"""Batches that several processes share, each its own rows of every batch."""

import contextlib
import copy
import dataclasses
import warnings

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
    shard = copy.copy(sequence)
    _take(shard, Share(index, count))
    if count > 1 and sequence.has_drawn_seed:
        warnings.warn(
            f"{sequence.manifest_path}: no `seed` was given, and each process "
            "draws its own: some samples are seen twice in an epoch, and "
            "others never. Give the sequence the same `seed` in all "
            "processes. Received: seed=None",
            stacklevel=3,
        )
    return shard


@contextlib.contextmanager
def sharing(sequence, share):
    """Let a sequence be a shard of itself for a while.

    Unlike a copy it is what callbacks know, and where they resample it.

    Args:
        sequence: `CachedSequence`.
        share: `Share`.
    """
    names = "batch_size", "num_samples", "share"
    before = {name: getattr(sequence, name) for name in names}
    _take(sequence, share)
    try:
        yield
    finally:
        vars(sequence).update(before)


def _take(sequence, share):
    """Make a sequence a share of what it is.

    Raises:
        ValueError: If the shares of a batch would not be of one size.
    """
    _check_shares(sequence, share.count)
    sequence.batch_size //= share.count
    sequence.num_samples //= share.count
    before = sequence.share
    sequence.share = Share(
        before.index * share.count + share.index, before.count * share.count
    )


def _check_shares(sequence, count):
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


def check_dealt_out(sequence, processes):
    """Refuse what goes wrong where Keras deals whole batches out to processes.

    Args:
        sequence: `CachedSequence` that a pass over is begun.
        processes: Number of processes that Keras deals out to.
    """
    if processes == 1:
        return
    if sequence.share.count > 1:
        raise ValueError(
            f"{sequence.manifest_path}: is a shard of which Keras would deal "
            f"out each {processes}th batch only. Pass the whole sequence, or "
            "use keras.distribution.DataParallel(auto_shard_dataset=False). "
            "Received: auto_shard_dataset=True"
        )
    if len(sequence) % processes:
        raise ValueError(
            f"{sequence.manifest_path}: Keras would deal {len(sequence)} "
            f"batches out to {processes} processes, of which some would wait "
            "for others for ever. Pass `sequence.shard(index, count)` in each "
            "process, and keras.distribution.DataParallel("
            "auto_shard_dataset=False). Received: auto_shard_dataset=True"
        )
