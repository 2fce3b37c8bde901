"""Calls a patch model on patches, and tells what it gives."""

import keras
from keras import ops

from keras_patching.layers.output_specs import output_spec
from keras_patching.layers.patch_run import PatchOutputs
from keras_patching.ops.data_formats import (
    from_channels_last,
    shape_from_channels_last,
    shape_to_channels_last,
    to_channels_last,
)
from keras_patching.ops.lengths import static_lengths
from keras_patching.ops.patches import spatial_scale


class PatchModelCall:
    """The patch model of a `PatchedPredictor`, called on channels-last patches.

    Args:
        layer: The patch model.
        name: That of the predictor, for messages.
        stitch: Whether outputs that are images are stitched.
        data_format: That of the patch model.
    """

    def __init__(self, layer, name, stitch, data_format):
        self.layer, self._name = layer, name
        self._stitch, self._data_format = stitch, data_format

    def patch_spec(self, patch_size, channels):
        """Give the `keras.KerasTensor` of a batch of one patch."""
        shape = (1, *patch_size, channels)
        return keras.KerasTensor(
            shape_from_channels_last(shape, self._data_format)
        )

    def find_outputs(self, patch_size, channels):
        """Find `PatchOutputs`: what the patch model gives for a patch.

        Raises:
            ValueError: If one is to be stitched, and no part of the patch.
        """
        spec = output_spec(self.layer, self.patch_spec(patch_size, channels))
        scales = tuple(
            self._scale(output.shape, patch_size)
            for output in keras.tree.flatten(spec)
        )
        known = PatchOutputs(spec, scales, patch_size)
        spec = known.map_stitched(self._to_last, spec)
        return PatchOutputs(spec, scales, patch_size)

    def values(self):
        """Pair variables with what they hold, for use in a loop.

        They are read before it, where they have a known shape.
        """
        return [
            (each, ops.reshape(each.value, each.shape))
            for each in self.layer.variables
        ]

    def __call__(self, patches, values=None, call=None):
        """Run the patch model on `(n, height, width, channels)`.

        Args:
            patches: Tensor.
            values: In a loop, pairs of variables and what they hold.
            call: What runs it; by default, the patch model.

        Returns:
            Its outputs, in its data format.
        """
        # Streamed rows are cast when they come: all at once take much memory.
        if call is None and not keras.backend.is_float_dtype(patches.dtype):
            patches = ops.cast(patches, keras.config.floatx())
        patches = from_channels_last(patches, self._data_format)
        if values is None:
            return (call or self.layer)(patches)
        # What changes inside of a loop must not leave it: seeds, so that all
        # chunks draw from one where a patch model draws at inference, and
        # losses that layers add. Called like any layer, the patch model
        # learns that this is no training.
        with keras.StatelessScope(values):
            return (call or self.layer)(patches)

    def run(self, patches, known, values=None, call=None):
        """Call the patch model, and make channels-last what is stitched.

        Args:
            patches, values, call: As for a call.
            known: `PatchOutputs` that are expected.

        Raises:
            ValueError: If an output is at another scale.
        """
        outputs = self(patches, values, call)
        patch_size = static_lengths(patches.shape[1:3])
        if None not in patch_size:
            self._check_scales(outputs, patch_size, known)
        return known.map_stitched(self._to_last, outputs)

    def _to_last(self, output):
        return to_channels_last(output, self._data_format)

    def _check_scales(self, outputs, patch_size, known):
        """Refuse what patches of prediction give at a scale of its own."""
        for output, scale in zip(
            keras.tree.flatten(outputs), known.scales, strict=True
        ):
            if self._scale(output.shape, patch_size) != scale:
                raise ValueError(
                    f"'{self.layer.name}' gives an output of shape "
                    f"{tuple(output.shape)} for patches of {patch_size}, "
                    "which is another part of the patch than that for "
                    f"patches of {known.patch_size}. Predict with patches of "
                    "that size (`predict_patch_size`, and no `shrink`), or "
                    "with a patch model whose outputs grow with its input."
                )

    def _scale(self, output_shape, patch_size):
        """Scale of a spatial output that is to be stitched, else None."""
        if not self._stitch or len(output_shape) != 4:
            return None
        shape = shape_to_channels_last(output_shape, self._data_format)
        scale = spatial_scale(shape, patch_size)
        if scale is None:
            raise ValueError(
                "An output of rank 4 must be k times or 1/k of the patch to "
                f"be stitched. Layer '{self._name}' received an output of "
                f"shape {tuple(output_shape)} from '{self.layer.name}' for "
                f'patches of {patch_size}. Use padding="same" in the '
                "patch model, or stitch=False for the outputs of each patch."
            )
        return scale
