"""Single patches by their number, for Grain, PyTorch and own loops."""

import copy
import operator

import keras

from keras_patching._types import NDArray


class PatchSource:
    """Patches of a `PatchingSequence` by their number, in a fixed order.

    Or the images, or crops, of an `ImageSequence`, with weights where it has
    them.

    It is what Grain calls a random access data source, and PyTorch a map-style
    dataset: who reads it shuffles and makes batches. It may be read by many
    threads and processes, forked or spawned: what is pickled is where patches
    lie, no pixels. Each patch depends on the seed, the epoch and its number
    only.

    Args:
        sequence: `PatchingSequence`, whose settings it takes over: images,
            `dtype`, augmentation, and which patches an epoch holds.

    Attributes:
        epoch: What augmentation, and `foreground_fraction` and `keep_empty`,
            are drawn for; at first that of the sequence. It can be set
            between passes: workers that are alive keep what they have.

    Example:

    >>> sequence = keras_patching.PatchingSequence("field/images_patches")
    >>> source = sequence.to_grain()
    >>> image, mask = source[0]
    >>> image.shape, mask.shape
    ((128, 128, 3), (128, 128))
    """

    def __init__(self, sequence) -> None:
        if sequence.share.count > 1:
            raise ValueError(
                "A shard is parts of batches. Call `to_grain` of the whole "
                "sequence, and let what makes the batches shard it: "
                "`source[index::count]` of Grain, or "
                "`torch.utils.data.DistributedSampler`. Received: shard "
                f"{sequence.share.index} of {sequence.share.count}"
            )
        self._batches = copy.copy(sequence)
        self._batches.shuffle = False
        self._batches.batch_size = 1
        self._batches.drop_remainder = False

    @property
    def epoch(self) -> int:
        """What random numbers are drawn for."""
        return self._batches.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._batches.epoch = operator.index(value)

    def __len__(self) -> int:
        return self._batches.num_samples

    def __getitem__(
        self, index: int
    ) -> tuple[NDArray, NDArray | dict[str, NDArray]]:
        """Give patch `index` and its label, as one of a batch."""
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"There is no patch {index} in {len(self)}.")
        batch = self._batches.read_batch(number % len(self))
        return keras.tree.map_structure(lambda each: each[0], batch)

    def __repr__(self) -> str:
        return f"<PatchSource of {len(self)} patches>"
