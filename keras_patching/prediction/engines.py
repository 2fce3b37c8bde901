"""Chooses how images of many sizes are predicted, and keeps the functions."""

import collections

import keras
from keras import ops

from keras_patching._checks import is_integer
from keras_patching.geometry import PatchGrid, round_up
from keras_patching.layers.output_specs import Trace
from keras_patching.ops.chunks import patches_per_chunk
from keras_patching.prediction.activation_memory import activation_bytes
from keras_patching.prediction.compiled import ModelFunction
from keras_patching.prediction.lane_choice import LaneSteps
from keras_patching.prediction.patch_batches import PatchBatches
from keras_patching.prediction.sharing import count_devices
from keras_patching.receptive_fields.automatic_overlap import (
    find_multiple_of,
    takes_any_size,
)

_MOST_FUNCTIONS = 16


class Engines:
    """Makes engines for a model, which share what was compiled before.

    Args:
        predictor: The `PatchedPredictor` of the model.
        turn: As for `ModelFunction`.

    Attributes:
        predictor: The same.
    """

    def __init__(self, predictor, turn):
        self.predictor, self._turn = predictor, turn
        self._functions = collections.OrderedDict()

    def clear(self):
        """Forget all: what the functions have closed over has changed."""
        self._functions.clear()

    def make(
        self,
        transform,
        sizes,
        batch_size=None,
        sharing=None,
        device_memory=None,
    ):
        """Make the engine for some images.

        Args:
            transform: Of the structure that the patch model returns, in the
                graph, pixel by pixel.
            sizes: `(height, width)` of the images, as far as they are known.
            batch_size: Images side by side, or patches; `None` for as many as
                suit the device.
            sharing: As for `ModelFunction`; batches are multiples of its
                devices.
            device_memory: Bytes that what a device computes at once may take;
                `None` for what suits it.

        Raises:
            ValueError: If the least that can be computed takes more.
        """
        streaming = self.predictor._resolved().streaming
        if streaming is None:
            return self._make_patches(
                transform, batch_size, sharing, device_memory
            )
        return LaneSteps(
            self,
            streaming,
            transform,
            sizes,
            batch_size,
            sharing,
            device_memory,
        ).engine()

    def _make_patches(self, transform, batch_size, sharing, device_memory):
        predictor = self.predictor
        known, call = predictor._outputs, predictor._inference_model
        # Averaged patches are decided on only after that.
        is_averaged = predictor.blend != "crop"
        within = _unchanged if is_averaged else transform

        def run(patches):
            return keras.tree.flatten(within(call.run(patches, known)))

        def finish(bands):
            bands = [ops.convert_to_tensor(band[None]) for band in bands]
            bands = transform(keras.tree.pack_sequence_as(known.spec, bands))
            return [
                ops.convert_to_numpy(band)[0]
                for band in keras.tree.flatten(bands)
            ]

        return PatchBatches(
            self._grid_of,
            lambda size, divisor: self._batch_size(
                batch_size, size, sharing, divisor, device_memory
            ),
            self.compiled(("patches", within), lambda: run, sharing)[1],
            self._specs(within),
            known.scales,
            predictor.blend,
            predictor.pad_value,
            predictor.pad_mode,
            finish if is_averaged else None,
        )

    def make_whole(self, transform, sharing):
        """Make the engine for images that are run whole, one after the other.

        Args:
            transform, sharing: As for `make`.

        Raises:
            ValueError: If the patch model cannot be run so.
        """
        predictor = self.predictor
        known, call = predictor._outputs, predictor._inference_model
        _check_whole_images(predictor)
        multiple_of = find_multiple_of(predictor)

        def run(images):
            return keras.tree.flatten(transform(call.run(images, known)))

        return PatchBatches(
            lambda size: PatchGrid(size, (None, None), 0, multiple_of),
            lambda size, divisor: 1,
            self.compiled(("whole", transform), lambda: run, sharing)[1],
            self._specs(transform),
            known.scales,
            "crop",
            predictor.pad_value,
            predictor.pad_mode,
        )

    def _specs(self, transform):
        """List shapes and dtypes of what a transform makes of a batch."""
        trace = Trace(transform)
        spec = trace.compute_output_spec(self.predictor._outputs.spec)
        return keras.tree.flatten(spec)

    def _grid_of(self, size):
        predictor = self.predictor
        if not predictor._is_seamless:
            return predictor.patch_grid(size)
        # Tiles of one size are compiled once; without seams it does not
        # matter that others would be a little smaller.
        grid = predictor.patch_grid(size)
        patch_size = [
            shrunk if count == 1 else whole
            for shrunk, count, whole in zip(
                grid.patch_size,
                (grid.rows, grid.cols),
                predictor._largest_patch(),
                strict=True,
            )
        ]
        return PatchGrid(size, patch_size, grid.overlap, grid.multiple_of)

    def _batch_size(
        self, batch_size, patch_size, sharing, divisor, device_memory
    ):
        devices = count_devices(sharing)
        if batch_size is not None:
            return round_up(max(batch_size // divisor, 1), devices)
        chosen = self.predictor.patch_batch_size
        each = chosen if is_integer(chosen) else patches_per_chunk(patch_size)
        if device_memory is not None:
            each = min(each, self._most_patches(patch_size, device_memory))
        return max(each // divisor, 1) * devices

    def _most_patches(self, patch_size, device_memory):
        """Tell how many patches `device_memory` holds."""
        predictor = self.predictor
        shape = 1, *patch_size, predictor.channels
        each = activation_bytes(predictor.inference_layer(), shape)
        if each > device_memory:
            raise ValueError(
                f"A patch of {patch_size[0]} x {patch_size[1]} pixels takes "
                f"about {each} bytes. Received: device_memory={device_memory}. "
                "Smaller patches take less: "
                "`set_tiling(predict_patch_size=...)`."
            )
        return device_memory // each

    def compiled(self, key, make, sharing):
        """Return a function and what it was compiled to, made when needed.

        Args:
            key: All that decides what is compiled, hashable, besides the
                variables of the patch model.
            make: Makes the function, which `ModelFunction` takes.
            sharing: As there.
        """
        layer = self.predictor.inference_layer()
        key = *key, sharing, tuple(map(id, layer.variables))
        if key not in self._functions:
            function = make()
            compiled = ModelFunction(function, layer, self._turn, sharing)
            self._functions[key] = function, compiled
        self._functions.move_to_end(key)
        if len(self._functions) > _MOST_FUNCTIONS:
            self._functions.popitem(last=False)
        return self._functions[key]


def _check_whole_images(predictor):
    """Refuse a patch model that does not make an image of an image."""
    layer = predictor.inference_layer()
    if not takes_any_size(layer, predictor.data_format):
        raise ValueError(
            f"split='rows' runs whole images, and '{layer.name}' takes patches "
            "of one size: build it with `keras.Input((None, None, channels))`."
        )
    if None in predictor._outputs.scales:
        raise ValueError(
            f"split='rows' is for outputs that are images, and '{layer.name}' "
            "has one that is not, or stitch=False."
        )


def _unchanged(outputs):
    return outputs
