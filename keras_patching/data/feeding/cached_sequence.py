"""What sequences that feed a cache to Keras have in common."""

import contextlib
import operator
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_patching._checks import check_integer
from keras_patching._signatures import suggesting
from keras_patching._types import NDArray
from keras_patching.data.cache.opening import load_cache
from keras_patching.data.feeding.batch_augmentation import augment_batch
from keras_patching.data.feeding.batch_shares import (
    Share,
    check_dealt_out,
    take_share,
)
from keras_patching.data.feeding.patch_source import PatchSource
from keras_patching.data.feeding.read_ahead import ReadAhead
from keras_patching.data.feeding.sequence_arguments import (
    check_feeding,
    check_multiprocessing,
    select_sources,
)
from keras_patching.data.feeding.tf_dataset import to_tf_dataset
from keras_patching.data.images.preparation import Preparation


class CachedSequence(keras.utils.PyDataset):
    """Batches of a cache, each by the seed, the epoch and its index only.

    It knows orders, epochs, and how batches are read ahead. What samples there
    are, and how they are read, is that of its subclasses: they call `_order_by`
    when they are made, and define `_read`. Arguments and attributes are as in
    `PatchingSequence`, and for other modules of this package:

    Attributes:
        manifest: The `Manifest` of the cache.
        sources: List of those of its `Source` that are fed.
        share: `Share` of each batch that is fed.
    """

    is_padded = False  # Whether batches have weights, 0 on padding.

    def __init__(
        self,
        path: str | os.PathLike,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        names: Sequence[str] | None,
        dtype: str | type | np.dtype | None,
        augment: bool | Callable,
        drop_remainder: bool,
        workers: int,
        **kwargs: Any,
    ) -> None:
        check_multiprocessing(kwargs.pop("use_multiprocessing", False))
        with suggesting(type(self), kwargs):
            super().__init__(**kwargs)
        self.workers = workers
        check_feeding(batch_size, seed, dtype, augment)
        self.manifest_path, manifest = load_cache(path)
        normalize = manifest.parameters.get("normalize")
        Preparation(normalize=normalize).check_batch_dtype(dtype)
        self.directory = self.manifest_path.parent
        self.task = manifest.task
        self.parameters = dict(manifest.parameters)
        self.class_names = manifest.class_names
        self.class_colors = manifest.class_colors
        self.class_ids = manifest.class_ids
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        # Python's own generator is what Keras draws its default seeds from.
        self.seed = int(random.randrange(2**31) if seed is None else seed)  # noqa: S311 - no secret
        self._drawn_seed = self.seed if seed is None else None
        self.epoch = 0
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.augment = augment
        self.drop_remainder = bool(drop_remainder)
        self._value_range = manifest.parameters.get("value_range", (0, 255))
        self.share = Share()
        self._order = None
        self._start_anew()
        self.manifest = manifest
        self.sources = select_sources(
            manifest.sources, names, self.manifest_path
        )
        self.image_names = [source.name for source in self.sources]

    def _order_by(self, sampler, counts):
        """Take the samples of each source, and who draws them for an epoch.

        Args:
            sampler: `EpochSampler` of all samples.
            counts: Number of samples of each source.

        Raises:
            ValueError: If they do not make a batch.
        """
        self._sampler = self._made_with = sampler
        self.num_samples = sampler.num_samples
        self._shard_of = np.repeat(np.arange(len(counts)), counts)
        self._row_of = np.concatenate([np.arange(n) for n in counts])
        if len(self) == 0:
            raise ValueError(
                f"{self.manifest_path}: {self.num_samples} samples do not make "
                "a batch. Use a smaller `batch_size`, or drop_remainder=False. "
                f"Received: batch_size={self.batch_size}, drop_remainder="
                f"{self.drop_remainder}"
            )

    def _start_anew(self):
        """Forget the pass that is going on, as in a copy."""
        self._ahead = ReadAhead()
        self._drawing = threading.Lock()
        self._led = False
        self._asked = None

    def __getstate__(self):
        passing = ("_ahead", "_drawing", "_led", "_asked")
        return {k: v for k, v in self.__dict__.items() if k not in passing}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._start_anew()

    @property
    def workers(self) -> int:
        """1: Keras is to start no threads of its own."""
        return 1

    @workers.setter
    def workers(self, value: int) -> None:
        self._num_readers = check_integer(value, "workers", 0)

    @property
    def use_multiprocessing(self) -> bool:
        """`False`: threads read as fast."""
        return False

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        check_multiprocessing(value)

    def places(self) -> tuple[NDArray, ...]:
        """Tell where the samples of epoch 0 lie, as it was made.

        Returns:
            Arrays `(num_samples,)`, or with more axes, in the order of the
            epoch, all shares joined: their sources first.
        """
        rng = np.random.default_rng((self.seed, 0))
        return self._place(self._made_with.draw(rng, self.shuffle), rng)

    @property
    def has_drawn_seed(self) -> bool:
        """Whether `seed` is that which was drawn, since `None` was given."""
        return self.seed == self._drawn_seed

    def take_seed(self, seed: int) -> None:
        """Go on with the seed of an earlier sequence, if `None` was given."""
        if self.has_drawn_seed:
            self.seed = seed

    def files(self) -> dict[str, tuple]:
        """Tell of the files of images what two sequences may share.

        Returns:
            Dict from the name of an image to a list of pairs (where it is
            cached and its name, and that it is a hash and which: one in common
            means the same image), and its `(height, width)` as it is read.
        """
        folder, hashes = str(self.directory), self.manifest.files
        return {
            source.name: (
                [(folder, source.name), ("sha256", hashes[source.name].sha256)],
                self.manifest.image_size(source),
            )
            for source in self.sources
        }

    def __len__(self):
        if self.drop_remainder:
            return self.num_samples // self.batch_size
        return (self.num_samples + self.batch_size - 1) // self.batch_size

    def __getitem__(self, index):
        """Give batch `index` of the current epoch."""
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"There is no batch {index} in {len(self)}.")
        if self._asked is not None:
            self._asked.add(index)
        return self._ahead.take(self.read_batch, self, index)

    def read_batch(self, index: int) -> tuple:
        """Read batch `index` of the current epoch."""
        epoch, share = self.epoch, self.share
        # Of the batch that all shares of it make up.
        size = self.batch_size * share.count
        start = index * size
        size = min(size, self._sampler.num_samples - start)
        rows = share.rows(size)
        samples = slice(start + rows.start, start + rows.stop)
        images, *labels = self._read(epoch, samples)
        if self.augment is True:
            rng = np.random.default_rng((self.seed, epoch, index))
            how = rng, self._value_range, rows, size
            images, labels = augment_batch(images, labels, *how)
        elif self.augment:
            images, *labels = self.augment(images, *labels)
            if self.is_padded and len(labels) < 2:
                raise ValueError(
                    "Images are padded, and what `augment` gave has no "
                    "weights: padding would be trained on. Let it take "
                    "(images, labels, weights) and give the same. Received: "
                    f"augment={self.augment}, which gave {1 + len(labels)} "
                    "of 3"
                )
        if self.dtype is not None:
            images = images.astype(self.dtype, copy=False)
        return images, *labels

    def declared_shape(self, array: NDArray) -> tuple[int | None, ...]:
        """Give the shape of a sample, as an array of a batch declares it."""
        return array.shape[1:]

    def shard(self, index: int, count: int) -> Self:
        """Give what one of several processes trains on.

        Batch `i` of a shard is an equal part of batch `i` of this sequence, in
        each epoch: together the shards hold each sample once, all have the
        same number of batches, and the mean of their gradients is that of the
        whole batch, of losses that are means over samples. A Dice loss, or a
        mean over labelled pixels, is that of each part. It is for torch's
        `DistributedDataParallel`, and for loops of your own. `fit` and
        `evaluate` of the models of this package share batches by themselves
        under `keras.distribution`.

        It is a copy that begins at the epoch of this sequence. All processes
        need the same `seed`. A function for `augment` is given the part. A loop
        of your own sets `epoch` before each pass, or calls `on_epoch_begin` and
        `on_epoch_end` around it: else all passes are the same.

        Args:
            index: Number of the process, from 0.
            count: Number of processes, which divides `batch_size`.

        Returns:
            A sequence like this one, whose `batch_size` and `num_samples` are
            those of the process.

        Raises:
            ValueError: If the processes cannot share each batch equally. That
                of the last batch is mended by drop_remainder=True.

        Example:

        >>> sequence = keras_patching.PatchingSequence(
        ...     "field/images_patches", batch_size=4, seed=0
        ... )
        >>> shard = sequence.shard(index=1, count=2)  # the second of two
        >>> shard[0][0].shape, len(shard) == len(sequence)
        ((2, 128, 128, 3), True)
        """
        return take_share(self, index, count)

    def to_grain(self) -> PatchSource:
        """Give single patches by their number, as Grain and PyTorch take them.

        Its `epoch` stays as it is until you set it, and so do augmentations
        and random crops.

        Returns:
            `PatchSource`, for `grain.MapDataset.source` and for
            `torch.utils.data.DataLoader`, which shuffle and make batches.

        Raises:
            ValueError: If this is a shard: who makes batches shards them too.
        """
        return PatchSource(self)

    def to_tf_dataset(self) -> Any:
        """Give the batches as a `tf.data.Dataset`, which declares their shapes.

        Each pass over it is an epoch, beginning with that of the sequence:
        the same batches, in the same order, as `fit` sees. It does not change
        the sequence.

        Returns:
            `tf.data.Dataset` of pairs of images and labels, as in a batch.

        Raises:
            ImportError: If tensorflow is not installed.
        """
        return to_tf_dataset(self)

    def _at(self, epoch):
        """Give where each sample is read, in the order of an epoch."""
        with self._drawing:  # Threads that read ahead wait for one to draw.
            order, sampler = self._order, self._sampler
            key = self.seed, epoch, self.shuffle, sampler
            if order is None or order[0] != key:
                rng = np.random.default_rng((self.seed, epoch))
                places = self._place(sampler.draw(rng, self.shuffle), rng)
                self._order = order = key, places
            return order[1]

    def _place(self, samples, rng):
        """Tell where samples are read: arrays, the first of their shards.

        Args:
            samples: Indices of the samples of an epoch.
            rng: `numpy.random.Generator` of the epoch.
        """
        return self._shard_of[samples], self._row_of[samples]

    @contextlib.contextmanager
    def led(self) -> Iterator[None]:
        """Leave `epoch` to a model, which knows it better than hooks do.

        When it ends, however it ends, no thread reads ahead.
        """
        before, self._led = self._led, True
        try:
            yield
        finally:
            self._led = before
            self._ahead.stop()

    # Keras begins and ends an epoch too when it builds a model from the first
    # batch, may end one twice, and ends many in a pass with `steps_per_epoch`.
    # So an epoch counts where each batch was asked for since it was begun, and
    # where somebody begins and ends it by hand.

    def on_epoch_begin(self) -> None:
        """Note that an epoch was begun; Keras calls it."""
        check_dealt_out(self, data_shards())
        self._ahead.start(self._num_readers)
        if self._asked is None and not self._led:
            self._asked = set()

    def on_epoch_end(self) -> None:
        """Go on to the next epoch if this is over; Keras calls it."""
        self._ahead.stop()
        asked = self._asked
        if self._led or asked is None:
            return
        if not asked or len(asked) >= len(self) // data_shards():
            self._asked = None
            self.epoch += 1


def data_shards():
    """Number of processes that Keras (from 3.16) deals batches out to."""
    distribution = keras.distribution.distribution()
    if getattr(distribution, "auto_shard_dataset", False):
        return getattr(distribution, "num_data_shards", 1)
    return 1
