"""Images and shapes of either data format, as channels-last and back."""

from keras import ops


def shape_to_channels_last(shape, data_format):
    """Return a shape as `(batch, height, width, channels)`."""
    if data_format == "channels_first":
        return (shape[0], shape[2], shape[3], shape[1])
    return tuple(shape)


def shape_from_channels_last(shape, data_format):
    """Return a shape `(batch, height, width, channels)` in a data format."""
    if data_format == "channels_first":
        return (shape[0], shape[3], shape[1], shape[2])
    return tuple(shape)


def to_channels_last(images, data_format):
    """Return images with their channels on the last axis."""
    if data_format == "channels_first":
        return ops.transpose(images, (0, 2, 3, 1))
    return images


def from_channels_last(images, data_format):
    """Return images, whose channels are on the last axis, in a data format."""
    if data_format == "channels_first":
        return ops.transpose(images, (0, 3, 1, 2))
    return images
