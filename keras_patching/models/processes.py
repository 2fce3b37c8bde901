"""Processes that train one model together, each on its rows of a batch."""

import contextlib
import zlib

import keras
import numpy as np

from keras_patching._keras_internals import place_of_backup
from keras_patching.data.feeding.batch_shares import Share, sharing
from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.data.feeding.sequence_identity import identify


def own_share():
    """Tell what this process feeds of a batch.

    Returns:
        `Share`: one of one without a distribution over several processes.
        Processes that hold parts of one copy of a model feed the same.
    """
    distribution = keras.distribution.distribution()
    if distribution is None or _is_local(distribution):
        return Share()
    count = min(distribution.num_model_replicas, distribution.num_processes)
    return Share(distribution.data_shard_id, count)


def _is_local(distribution):
    """Tell whether this process trains by itself, whatever others do."""
    if distribution.num_processes == 1:
        return True
    if keras.backend.backend() != "jax":
        return False
    import jax

    own = {f"{each.platform}:{each.id}" for each in jax.local_devices()}
    return own.issuperset(map(str, distribution.device_mesh.devices.flat))


def is_shared_already(sequence):
    """Tell whether a sequence is what one process of several trains on."""
    if own_share().count == 1:
        return False
    distribution = keras.distribution.distribution()
    is_cached = isinstance(sequence, CachedSequence)
    is_shard = is_cached and sequence.share.count > 1
    return is_shard or not distribution.auto_shard_dataset


def check_alone(name):
    """Refuse to predict where no process would have the whole result.

    Args:
        name: Name of the model, for messages.
    """
    share = own_share()
    if share.count > 1 and keras.backend.backend() == "jax":
        raise ValueError(
            f"'{name}' predicts batches in one process, and {share.count} have "
            "a distribution in common. Share a list of images: "
            f"`predict_images(images, shard=({share.index}, {share.count}))`."
        )


@contextlib.contextmanager
def shared(*data):
    """Let each process feed its share of what it is given, and no more.

    Args:
        *data: What Keras is given; who is no `CachedSequence` is left alone.

    Raises:
        ValueError: If batches cannot be shared, a sequence is the shard of
            another process, or the sequences of the processes do not belong
            together.
    """
    share = own_share()
    sequences = [x for x in data if isinstance(x, CachedSequence)]
    if share.count == 1 or not sequences:
        yield
        return
    distribution = keras.distribution.distribution()
    deals_out = distribution.auto_shard_dataset
    with contextlib.ExitStack() as stack:
        for sequence in sequences:
            _check_together(sequence, share)
            if deals_out and sequence.share.count == 1:
                stack.enter_context(sharing(sequence, share))
        # Keras, which deals out whole batches or refuses to, is not to deal
        # them out again.
        distribution.auto_shard_dataset = False
        stack.callback(setattr, distribution, "auto_shard_dataset", deals_out)
        yield


def _check_together(sequence, share):
    """Refuse sequences of processes that do not make up whole batches.

    All processes come to the same judgement, so that none waits for others.
    """
    own = sequence.share
    shards = _gather([own.index, own.count, own in (Share(), share)])
    sizes = _gather([len(sequence), sequence.batch_size, sequence.num_samples])
    orders = _gather([*identify(sequence).values(), sequence.epoch])
    if not all(fits for _, _, fits in shards) or not _agree(
        count for _, count, _ in shards
    ):
        raise ValueError(
            f"{sequence.manifest_path}: pass `sequence.shard({share.index}, "
            f"{share.count})` in process {share.index} of {share.count}, or "
            "the whole sequence: `fit` takes the share of each process by "
            "itself. Received: (index, count) of the processes="
            f"{[tuple(shard[:2]) for shard in shards]}"
        )
    if not _agree(sizes):
        raise ValueError(
            f"{sequence.manifest_path}: processes would wait for each other "
            "for ever, since they have not the same batches. Give all of them "
            "the same sequence, or `sequence.shard(index, count)` of the same "
            f"one. Received: (batches, batch_size, samples)={sizes}"
        )
    deals_out = keras.distribution.distribution().auto_shard_dataset
    is_part = deals_out or own.count > 1
    if is_part and not _agree(orders):
        raise ValueError(
            f"{sequence.manifest_path}: processes would see some samples "
            "twice and others never, since their sequences are not the same. "
            "Make them of the same files, with the same seed=0 or another "
            "number, and at the same `epoch`. Received: "
            f"seed={sequence.seed}, epoch={sequence.epoch}"
        )
    if not is_part and _agree(orders):
        raise ValueError(
            f"{sequence.manifest_path}: all {share.count} processes would "
            "see the same samples. Use keras.distribution.DataParallel("
            "auto_shard_dataset=True), with which `fit` takes the share of "
            f"each process, or pass `sequence.shard({share.index}, "
            f"{share.count})`. Received: auto_shard_dataset=False"
        )


def check_backups(backups):
    """Refuse backups that processes which train one model cannot make or use.

    On jax they save and restore together, or wait for each other for ever.

    Args:
        backups: List of the `keras.callbacks.BackupAndRestore` of a training.

    Raises:
        ValueError: In all processes, if those of some have no backups, save
            at other batches, or go on at others.
    """
    if own_share().count == 1:
        return
    every = [backup.save_freq for backup in backups]
    place = place_of_backup(backups[-1]) if backups else [0, 0, 0]
    found = _gather([zlib.crc32(repr(every).encode()), *place])
    if not _agree(code for code, *_ in found):
        raise ValueError(
            "Processes that train one model save it together: give all of "
            "them `keras.callbacks.BackupAndRestore` with the same "
            "`save_freq`, each with a folder of its own, or give it to none. "
            f"Received: save_freq={every} in one of them"
        )
    if not _agree(found):
        saved = [tuple(at) if known else None for _, known, *at in found]
        raise ValueError(
            "Processes that train one model go on together, and their backups "
            "are not of the same batch: some had saved when they were "
            "interrupted, others had not. Give each process a copy of the "
            "folder of one of them. Received: (epoch, last batch) of the "
            f"processes={saved}"
        )


def _agree(values):
    first, *others = values
    return all(each == first for each in others)


def _gather(numbers):
    """Give the numbers of all processes, each a list."""
    if keras.backend.backend() == "torch":
        import torch

        found = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, numbers)
        return found
    from jax.experimental import multihost_utils

    # Of 32 bits, as jax has them.
    array = np.array(numbers, "uint32")
    return np.asarray(multihost_utils.process_allgather(array)).tolist()
