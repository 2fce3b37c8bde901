"""What layers share that predict in several passes, and average them."""

import abc
from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from keras_patching._keras_internals import twin_of
from keras_patching._types import Tensor
from keras_patching.layers.output_specs import output_spec

# Below these, sums are kept in float32.
_NARROW = "float16", "bfloat16"


class MeanOfPasses(keras.layers.Layer):
    """The mean of several passes over an image, one after the other.

    It gives images in the place of images, as many channels as each pass. A
    training takes no passes of inference.

    Args:
        layers: The patch models in it.
        spread: Whether to give a dict of `"mean"` and `"spread"`, the standard
            deviation of the passes, of all of them (divided by their number).
        from_logits: Whether outputs are logits. What is averaged then are the
            probabilities: their softmax, or the sigmoid of one channel; given
            are logits of the mean, and the spread of the probabilities.
        data_format: `"channels_last"` or `"channels_first"`.
    """

    def __init__(
        self,
        layers: Sequence[keras.layers.Layer],
        spread: bool,
        from_logits: bool,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", getattr(layers[0], "dtype_policy", None))
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.spread, self.from_logits = bool(spread), bool(from_logits)
        self.data_format = data_format or keras.config.image_data_format()

    # No property: Keras would save what it returns under that name.
    @abc.abstractmethod
    def _nets(self) -> list[keras.layers.Layer]:
        """Return the patch models whose outputs are averaged."""

    @abc.abstractmethod
    def _passes(self, inputs: Tensor) -> Iterable[Any]:
        """Yield what each pass gives."""

    @abc.abstractmethod
    def _in_training(self, inputs: Tensor) -> Any:
        """Return what a training learns from."""

    @property
    def inputs(self) -> list[Tensor]:
        """Symbolic inputs of the patch model, where it has any."""
        return self._nets()[0].inputs

    @property
    def input_shape(self) -> Any:
        """That of the patch models, where it is known."""
        return self._nets()[0].input_shape

    @property
    def output_shape(self) -> Any:
        """That of each pass, where it is known."""
        return self._nets()[0].output_shape

    def _build_if_known(self):
        """Be built where the patch models are, and tell for what."""
        shape = getattr(self._nets()[0], "input_shape", None)
        if isinstance(shape, tuple) and all(net.built for net in self._nets()):
            self.build(shape)

    def build(self, input_shape: Any) -> None:
        for net in self._nets():
            if not net.built:
                net(keras.KerasTensor(input_shape, dtype=self.compute_dtype))
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Any:
        if training:
            mean = self._in_training(inputs)
            if not self.spread:
                return mean
            spread = keras.tree.map_structure(ops.zeros_like, mean)
            return {"mean": mean, "spread": spread}
        structure = None
        moments: list[_Moments] = []
        for outputs in self._passes(inputs):
            structure = outputs if structure is None else structure
            self._check_like(outputs, structure)
            flat = keras.tree.flatten(outputs)
            moments = moments or [self._moments(each.dtype) for each in flat]
            for moment, output in zip(moments, flat, strict=True):
                moment.add(output)
        mean = [moment.mean() for moment in moments]
        mean = keras.tree.pack_sequence_as(structure, mean)
        if not self.spread:
            return mean
        spread = [moment.spread() for moment in moments]
        spread = keras.tree.pack_sequence_as(structure, spread)
        return {"mean": mean, "spread": spread}

    def _moments(self, dtype):
        axis = -1 if self.data_format == "channels_last" else 1
        kind = _LogitMoments if self.from_logits else _Moments
        return kind(keras.backend.standardize_dtype(dtype), axis, self.spread)

    def compute_output_spec(
        self, inputs: Tensor, training: bool | None = None
    ) -> Any:
        specs = [_output_spec(net, inputs) for net in self._nets()]
        for net, spec in zip(self._nets(), specs, strict=True):
            self._check_outputs(net, spec)
            self._check_like(spec, specs[0])
        if self.spread:
            return {"mean": specs[0], "spread": specs[0]}
        return specs[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        spec = self.compute_output_spec(keras.KerasTensor(input_shape))
        return keras.tree.map_structure(lambda each: each.shape, spec)

    def _run(self, net: keras.layers.Layer, inputs: Tensor) -> Any:
        """Run a patch model, and refuse what has no mean."""
        outputs = net(inputs)
        self._check_outputs(net, outputs)
        return outputs

    def _check_outputs(self, net, outputs):
        """Refuse outputs that have no mean, or not pixel by pixel."""
        for each in keras.tree.flatten(outputs):
            dtype = keras.backend.standardize_dtype(each.dtype)
            if len(each.shape) != 4 or not keras.backend.is_float_dtype(dtype):
                raise ValueError(
                    f"'{self.name}' averages images of floats, as segmentation "
                    "and counting give; boxes and class ids have no mean. "
                    f"Received: '{net.name}', whose output is of shape "
                    f"{tuple(each.shape)} and {dtype}"
                )

    def _check_like(self, outputs, first):
        """Refuse outputs of several shapes, which might be broadcast."""
        found, wanted = (
            [tuple(output.shape)[1:] for output in keras.tree.flatten(each)]
            for each in (outputs, first)
        )
        if found != wanted:
            raise ValueError(
                f"'{self.name}' averages outputs of one shape. Received: "
                f"{wanted} and {found}"
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "spread": self.spread,
            "from_logits": self.from_logits,
            "data_format": self.data_format,
        }


class Doubt(keras.layers.Layer):
    """How much the passes over an image differ, in one channel.

    Args:
        layer: `MeanOfPasses`, built.

    Raises:
        ValueError: If it is of one pass.
    """

    def __init__(self, layer: keras.layers.Layer) -> None:
        if not isinstance(layer, MeanOfPasses):
            raise ValueError(
                "Doubt is how much several predictions of a pixel differ: call "
                '`model.set_tiling(test_time_augmentation="all")`, pass '
                "`--test-time-augmentation all` to the command, or make an "
                "ensemble (`keras_patching.inference.load_ensemble`). Received:"
                f" '{layer.name}', which predicts once"
            )
        super().__init__(
            name=layer.name, dtype=layer.dtype_policy, autocast=False
        )
        self.layer = twin_of(layer, spread=True)
        self._axis = -1 if layer.data_format == "channels_last" else 1
        self.build((layer.get_build_config() or {}).get("input_shape"))

    @property
    def input_shape(self) -> Any:
        """That of the patch models, where it is known."""
        return self.layer.input_shape

    @property
    def inputs(self) -> list[Tensor]:
        """Symbolic inputs of the patch model, where it has any."""
        return self.layer.inputs

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        spread = keras.tree.flatten(self.layer(inputs)["spread"])
        if len(spread) != 1:
            raise ValueError(
                "Doubt is told of patch models with one output. Received: "
                f"'{self.name}' with {len(spread)}"
            )
        return ops.max(spread[0], axis=self._axis, keepdims=True)


def _output_spec(net, inputs):
    """Tell what a patch model returns, also of images of unknown size."""
    if None in inputs.shape:
        return net.compute_output_spec(inputs)
    return output_spec(net, inputs)


class _Moments:
    """Mean and spread of tensors that come one after the other.

    After Welford 1962, "Note on a method for calculating corrected sums of
    squares and products" (https://doi.org/10.2307/1266577): sums of squares
    themselves would leave nothing of a small spread.
    """

    def __init__(self, dtype, axis, has_spread):
        self._dtype, self._axis = dtype, axis
        self._has_spread = has_spread
        self._count, self._mean, self._squares = 0, None, None

    def add(self, values):
        values = ops.cast(values, "float32") if self._is_narrow else values
        self._count += 1
        if self._mean is None:
            self._mean = values
            return
        difference = values - self._mean
        self._mean = self._mean + difference / self._count
        if self._has_spread:
            squares = difference * (values - self._mean)
            before = self._squares
            self._squares = squares if before is None else before + squares

    @property
    def _is_narrow(self):
        return self._dtype in _NARROW

    def mean(self):
        return self._cast(self._mean)

    def spread(self):
        if self._squares is None:
            return self._cast(self._mean * 0)
        variance = ops.maximum(self._squares, 0) / self._count
        return self._cast(ops.sqrt(variance))

    def _cast(self, values):
        return ops.cast(values, self._dtype) if self._is_narrow else values


class _LogitMoments(_Moments):
    """Those of the probabilities that logits stand for."""

    def add(self, values):
        values = ops.cast(values, "float32") if self._is_narrow else values
        super().add(self._probabilities(values))

    def _probabilities(self, logits):
        if logits.shape[self._axis] == 1:
            return ops.sigmoid(logits)
        return ops.softmax(logits, axis=self._axis)

    def mean(self):
        # Where no float is left of a probability, its logit is finite.
        mean = ops.maximum(self._mean, 1e-37)
        logits = ops.log(mean)
        if mean.shape[self._axis] == 1:
            logits = logits - ops.log(ops.maximum(1 - self._mean, 1e-37))
        return self._cast(logits)
