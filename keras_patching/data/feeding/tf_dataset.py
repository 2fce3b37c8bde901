"""Batches of a `CachedSequence` as a `tf.data.Dataset`."""

import copy
import itertools

import keras


def to_tf_dataset(sequence):
    """Make a dataset of the batches of a sequence, an epoch a pass.

    Args:
        sequence: `CachedSequence`.

    Returns:
        `tf.data.Dataset`; see `PatchingSequence.to_tf_dataset`.

    Raises:
        ImportError: If tensorflow is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "`to_tf_dataset` needs tensorflow: "
            'pip install "keras-patching[tensorflow]".'
        ) from error
    # What becomes of the sequence meanwhile is not of this dataset.
    sequence = copy.copy(sequence)
    epochs = itertools.count(sequence.epoch)
    size = sequence.batch_size if sequence.drop_remainder else None

    def batches():
        epoch = copy.copy(sequence)
        epoch.epoch = next(epochs)
        with epoch.led():
            epoch.on_epoch_begin()
            yield from (epoch[index] for index in range(len(epoch)))

    def declare(array):
        shape = sequence.declared_shape(array)
        return tf.TensorSpec((size, *shape), array.dtype)

    specs = keras.tree.map_structure(declare, sequence.read_batch(0))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=specs)
    return dataset.apply(
        tf.data.experimental.assert_cardinality(len(sequence))
    ).prefetch(1)
