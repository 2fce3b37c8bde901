"""Which layers are run on rows, and by what."""

import functools

import keras

from keras_patching.layers import row_interpolation, row_places, row_windows
from keras_patching.layers.row_bands import Pointwise
from keras_patching.layers.symmetries import Turn
from keras_patching.receptive_fields.errors import describe, inside_of

# What runs each kind of layer that looks at neighbours, or changes the scale.
# All others look at one pixel at a time, which their rules tell.
_RUNNERS = {
    keras.layers.AveragePooling2D: row_windows.AveragePooling,
    keras.layers.Conv2D: row_windows.Convolution,
    keras.layers.Conv2DTranspose: row_windows.TransposedWindow,
    keras.layers.Cropping2D: row_places.Pad,
    keras.layers.DepthwiseConv2D: row_windows.Window,
    keras.layers.MaxPooling2D: row_windows.MaxPooling,
    keras.layers.SeparableConv2D: row_windows.Window,
    keras.layers.UpSampling2D: row_interpolation.Interpolate,
    keras.layers.ZeroPadding2D: row_places.Pad,
    Turn: row_places.Reverse,
    "AveragePool": row_windows.AveragePooling,
    "Conv": row_windows.Window,
    "ConvTranspose": row_windows.TransposedWindow,
    "DepthToSpace": row_interpolation.Repeat,
    "DepthwiseConv": row_windows.Window,
    "GetItem": row_places.Pick,
    "MaxPool": row_windows.MaxPooling,
    "Pad": row_places.PadAnyhow,
    "Repeat": row_interpolation.Repeat,
    "Reshape": row_places.Reshape,
    "Resize": row_interpolation.Resize,
    "SeparableConv": row_windows.Window,
    "SpaceToDepth": row_windows.Blocks,
}


def find_runner(call, inputs, output):
    """Return what runs a call of a layer on rows.

    Args:
        call: `Call`.
        inputs: `SpatialField` of each input, its rows a `RowAxis`.
        output: That of the output.

    Raises:
        ValueError: Naming the layer, if its rule alone is known.
    """
    if call.kind in _RUNNERS:
        return _RUNNERS[call.kind].of(call, inputs, output)
    merged = functools.reduce(lambda one, other: one.merge(other), inputs)
    if (output.y, output.x) not in (
        (inputs[0].y, inputs[0].x),
        (merged.y, merged.x),
    ):
        with inside_of(call.outer_layers):
            raise ValueError(
                f"Rows cannot be streamed through {describe(call.operation)}: "
                "its rule tells how far it looks, not how it is run on some "
                'rows. Tiles do without: overlap="auto" uses them.'
            )
    return Pointwise(call, inputs, output)
