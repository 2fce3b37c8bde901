"""The part of a `PatchedModel` that refuses data before they are dispatched."""

import types
from collections.abc import Sequence

import keras

from keras_patching._keras_internals import inner_layers
from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.data.feeding.image_sequence import ImageSequence
from keras_patching.geometry import as_pair
from keras_patching.models.input_checks import (
    check_inputs,
    check_shared,
    checked_batches,
)


class DataChecks:
    """Refuses what training and prediction would fail on inside of them.

    It is a base of `PatchedModel`, which has the `predictor`, its patch size
    and name; tasks check what they know of their data besides.
    """

    _unweighted: Sequence[str] = ()  # Metrics that see no sample weights.

    def _check_training(
        self,
        x=None,
        y=None,
        batch_size=None,
        validation_split=0.0,
        validation_data=None,
        validation_batch_size=None,
        class_weight=None,
        **others,
    ):
        """Refuse before dispatch what `fit` would fail on inside of it."""
        self._check_class_weight(class_weight, y)
        self._check_input(x)
        self._check_targets(x, y)
        self._check_statistics(x)
        self._check_bands(x, batch_size or 32)
        check_shared(x, batch_size, validation_split)
        if validation_data is None:
            return
        if isinstance(validation_data, (list, tuple)):
            x, y = (*validation_data, None)[:2]
        else:
            x, y = validation_data, None
        self._check_input(x)
        self._check_targets(x, y)
        check_shared(x, validation_batch_size or batch_size)

    def _check_class_weight(self, class_weight, y):
        """Refuse weights of classes where a sample has many of them."""
        if class_weight is not None and len(getattr(y, "shape", ())) > 2:
            raise ValueError(self._explain_class_weight(class_weight))

    def _explain_class_weight(self, class_weight):
        """Tell what to do instead of giving `fit` a `class_weight`."""
        return (
            f"'{self.name}' takes no `class_weight`, which weighs samples "
            "that have one class each: weigh classes in the loss, or pixels by "
            f"`sample_weight`. Received: class_weight={class_weight}"
        )

    def _check_bands(self, x, batch_size):
        """Refuse images that only a part of can be trained on at a time."""
        if hasattr(x, "shape") and self.built:
            batch_size = min(batch_size, len(x))
            self.predictor.check_training((batch_size, *x.shape[1:]))

    def _check_batch(self, x, y):
        self._check_input(x)
        self._check_targets(x, y)
        check_shared(x, len(x))

    def _check_input(self, x):
        """Refuse before dispatch what would fail inside of it."""
        self._require_patch_size()
        check_inputs(x, self.predictor, self.name)
        if hasattr(x, "patch_size") or isinstance(x, CachedSequence):
            self._check_data_set(x)

    def _check_each(self, x, one_size=False):
        """Check the batches of a generator while they come."""
        if not isinstance(x, types.GeneratorType):
            return x
        name = self.name if one_size else None
        return checked_batches(x, self._check_input, name)

    def _check_data_set(self, data_set):
        """Refuse a data set, such as a `PatchingSequence`, of other patches.

        Raises:
            ValueError: Naming what differs, and what would do.
        """
        if isinstance(data_set, CachedSequence):
            self._check_padding(data_set)
        if getattr(data_set, "patch_size", None) is None:
            self._warn_of_tiling(data_set.largest_size)
            return
        own = self.patch_size
        other = as_pair(data_set.patch_size, "patch_size")
        if other != own:
            raise ValueError(
                f"'{self.name}' has patches of {own}, the data set has "
                f"patches of {other}. Load the data set again, or call "
                f"`set_patch_size(height={other[0]}, width={other[1]})`."
            )

    def _check_padding(self, data_set):
        """Refuse metrics that would count what images are padded with."""
        is_labelled = data_set.parameters.get("ignore_value") is None
        if self._unweighted and is_labelled and data_set.is_padded:
            raise ValueError(
                f"Images of the data set are padded to {data_set.image_size}, "
                "with weight 0, and metrics without weights would count what "
                "lies there. Compile with `weighted_metrics=[...]` in place of "
                "`metrics=[...]`, or load masks with an `ignore_value`. "
                f"Received: metrics={self._unweighted}"
            )

    def _check_statistics(self, x):
        """Refuse layers that would count what whole images are padded with."""
        is_whole = isinstance(x, ImageSequence) and x.crop_size is None
        if not (is_whole and x.is_padded):
            return
        for layer in inner_layers(self):
            is_counting = isinstance(layer, keras.layers.BatchNormalization)
            if is_counting and layer.trainable:
                raise ValueError(
                    "Images of the data set are padded to one size, with "
                    f"weight 0, and in training layer '{layer.name}' would "
                    "count what lies there in its mean and variance. Freeze it "
                    "(`layer.trainable = False` before `compile`), train on "
                    "crops (`crop_size=(height, width)`), or, not with "
                    "tensorflow, give each image in its own size: "
                    "`keras_patching.ImageSequence(path, same_size=False)`. "
                    f"Received: path={str(x.manifest_path)!r}"
                )

    def _check_targets(self, x, y):
        """Refuse targets of `fit` and `evaluate` that a task cannot use."""
