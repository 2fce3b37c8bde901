"""Batches that the devices of a distribution share."""

import keras
import numpy as np


def count_devices():
    """Count the devices that a batch is shared by; 1 without a distribution."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    if distribution.batch_dim_name not in mesh.axis_names:
        return 1
    return mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]


def round_up(batch_size):
    """Return the next batch size that the devices can share."""
    devices = count_devices()
    return (batch_size + devices - 1) // devices * devices


def fill_up(images):
    """Repeat the last image until the devices can share a batch.

    Args:
        images: Array or tensor, at least one image.

    Returns:
        The same, or with more images at the end.
    """
    count = len(images)
    missing = round_up(count) - count
    if not missing:
        return images
    images = keras.ops.convert_to_numpy(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])


def check_batches(count, batch_size, drop_remainder=False, processes=1):
    """Refuse batches that the devices of a distribution cannot share.

    Args:
        count: Number of images or patches.
        batch_size: Number in a batch.
        drop_remainder: Whether a smaller last batch is left out.
        processes: Number of processes that each have such a batch.

    Raises:
        ValueError: If any batch does not divide by the number of devices.
    """
    devices = count_devices() // processes
    sizes = {min(batch_size, count)}
    if not drop_remainder:
        sizes.add(count % batch_size)
    if any(size % devices for size in sizes):
        raise ValueError(
            f"Under `keras.distribution` every batch must divide by the "
            f"{devices} devices: use a `batch_size` that is a multiple of "
            f"{devices}, and as many images as fill every batch, or for a "
            "`PatchingSequence` drop_remainder=True. Received: "
            f"batch_size={batch_size} for {count} images"
        )
