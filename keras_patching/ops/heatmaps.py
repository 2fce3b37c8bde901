"""Operations on heatmaps, of any backend."""

from keras import ops


def count(heatmaps):
    """Sum heatmaps.

    Args:
        heatmaps: Tensor `(batch, height, width, 1)`, objects per pixel.

    Returns:
        Tensor `(batch,)` of the same dtype, objects per image.
    """
    return ops.sum(heatmaps, axis=(1, 2, 3))


def local_maxima(heatmaps, reach):
    """Tell where no pixel nearby is higher.

    Args:
        heatmaps: Tensor `(batch, height, width, 1)`.
        reach: Pixels to each of the four sides that are nearby: a square.

    Returns:
        Bool tensor of the same shape. Equally high pixels nearby are both a
        maximum.
    """
    side = 2 * reach + 1
    highest = heatmaps
    for window in ((side, 1), (1, side)):  # a square, in less time
        highest = ops.max_pool(
            highest,
            window,
            strides=1,
            padding="same",
            data_format="channels_last",
        )
    return ops.equal(heatmaps, highest)
