"""Feeds the patches of a cache to Keras."""

import contextlib
import operator
import os
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_patching._checks import check_integer
from keras_patching._types import NDArray
from keras_patching.data.cache.opening import load_cache
from keras_patching.data.cache.shard_kinds import PICTURES, keys_drawn
from keras_patching.data.feeding.batch_augmentation import augment_batch
from keras_patching.data.feeding.block_split import BlockSplit
from keras_patching.data.feeding.epoch_sampler import (
    EpochSampler,
    check_sampling,
)
from keras_patching.data.feeding.foreground import has_foreground
from keras_patching.data.feeding.kept_patches import (
    check_split,
    keep,
    patch_boxes,
)
from keras_patching.data.feeding.patch_source import PatchSource
from keras_patching.data.feeding.read_ahead import ReadAhead
from keras_patching.data.feeding.readers import open_readers
from keras_patching.data.feeding.resampling import (
    check_resampling,
    open_resampled,
)
from keras_patching.data.feeding.sequence_arguments import (
    check_feeding,
    check_multiprocessing,
    select_sources,
)
from keras_patching.data.feeding.tf_dataset import to_tf_dataset
from keras_patching.data.images.preparation import Preparation


class PatchingSequence(keras.utils.PyDataset):
    """Batches of patches from a patch cache, for `fit` and `evaluate`.

    A batch is `(images, labels)`: images `(batch, height, width, channels)` in
    the dtype of the image files, and labels: masks `(batch, height, width)` of
    the smallest unsigned dtype, float32 heatmaps of that shape, or a dict of
    `boxes` `(batch, n, 4)` and `labels` `(batch, n)`, filled up with -1. Each
    batch depends on the seed, the epoch and its index only, whatever the
    number of workers.

    The models of this package train on batches in this order, and in the epoch
    that `fit` is in: `initial_epoch=5` goes on with what epoch 5 would have
    seen. `evaluate` and `predict` leave the epoch as it is. Other Keras models
    see each patch once in each pass too, but mix the batches of an epoch
    (pass `shuffle=False` to their `fit`: the sequence shuffles itself, and
    what comes next is read ahead), start at `epoch`, and count each pass.

    Manifest and shards are checked when the sequence is made, so that nothing
    fails in the middle of a training.

    Args:
        path: The manifest of a cache, or a folder that holds only one.
        batch_size: Number of patches per batch.
        shuffle: Whether to draw a new order of all patches for each epoch.
        seed: Integer that decides orders and augmentations. `None` draws one,
            which `keras.utils.set_random_seed` makes repeatable.
        names: Images to take patches of, as in `image_names`; `None` is all.
        split: `keras_patching.data.BlockSplit` that says which patches to
            take of each image; `None` takes all.
        subset: Which part of the `split`: "training", "validation" or "test".
        dtype: Dtype of the images in a batch. `None` keeps that of the files:
            uint8 is a quarter of the memory of float32. Use "float32" for
            models that do not cast their inputs.
        augment: `True` flips, quarter-turns and brightens image and label
            together. Or a function (whose own randomness the seed does not
            reach) from `(images, labels)` to the same, for a batch.
        foreground_fraction: Fraction of the patches of an epoch that hold a
            wanted class or an object, drawn again where there are too few.
            `None` takes each patch as often as any other.
        foreground_classes: The wanted classes of masks; `None` is all but
            class 0.
        keep_empty: Fraction of the patches without foreground that an
            epoch sees, others in the next.
        drop_remainder: Whether to leave out the last batch if it is smaller
            than `batch_size`; each batch size is compiled on its own.
        workers: Number of threads that read batches ahead in `fit`,
            `evaluate` and `predict`; 0 reads none ahead. It can be set later,
            and is 1 when asked for: Keras itself takes one batch after the
            other, since its own threads skip and repeat batches.
        **kwargs: `max_queue_size` of `keras.utils.PyDataset`: how many batches
            are read ahead at most.

    Attributes:
        manifest_path: `pathlib.Path` of the manifest.
        directory: Folder of the cache.
        task: Name of the task that the cache was made for.
        parameters: Dict of what else the patches were made by, such as
            `value_range` and `num_classes`.
        patch_size: `(height, width)` in pixels.
        class_names: Names of the classes, in their order, or `None`.
        class_colors: RGB tuples of the classes of masks, and behind them that
            of unlabelled pixels where it is known; or `None`.
        class_ids: Dict from the values in mask files to classes, where they
            are not the same; or `None`.
        image_names: Names of the images, relative to their folder.
        num_samples: Number of patches per epoch.
        seed: The seed that is used.
        epoch: Number of epochs that have come to their end. It can be set.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If manifest or shards are damaged; names the files.

    Example:

    >>> sequence = keras_patching.PatchingSequence(
    ...     "field/images_patches", batch_size=4
    ... )
    >>> images, masks = sequence[0]
    >>> images.shape, images.dtype, masks.shape, masks.dtype
    ((4, 128, 128, 3), dtype('uint8'), (4, 128, 128), dtype('uint8'))
    """

    def __init__(
        self,
        path: str | os.PathLike,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        names: Sequence[str] | None = None,
        split: BlockSplit | None = None,
        subset: str = "training",
        dtype: str | type | np.dtype | None = None,
        augment: bool | Callable = False,
        foreground_fraction: float | None = None,
        foreground_classes: Sequence[int] | None = None,
        keep_empty: float = 1.0,
        drop_remainder: bool = False,
        workers: int = 4,
        **kwargs: Any,
    ) -> None:
        check_multiprocessing(kwargs.pop("use_multiprocessing", False))
        super().__init__(**kwargs)
        self.workers = workers
        check_feeding(batch_size, seed, dtype, augment)
        check_sampling(foreground_fraction, foreground_classes, keep_empty)
        check_split(split, subset)
        self.manifest_path, manifest = load_cache(path)
        normalize = manifest.parameters.get("normalize")
        Preparation(normalize=normalize).check_batch_dtype(dtype)
        self.directory = self.manifest_path.parent
        self.task = manifest.task
        self.parameters = dict(manifest.parameters)
        self.patch_size = manifest.patch_size
        self.class_names = manifest.class_names
        self.class_colors = manifest.class_colors
        self.class_ids = manifest.class_ids
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        # Python's own generator is what Keras draws its default seeds from.
        self.seed = int(random.randrange(2**31) if seed is None else seed)  # noqa: S311 - no secret
        self.epoch = 0
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.augment = augment
        self.drop_remainder = bool(drop_remainder)
        self._value_range = manifest.parameters.get("value_range", (0, 255))
        self._order = None
        self._start_anew()
        sources = select_sources(manifest.sources, names, self.manifest_path)
        foreground = has_foreground(
            sources,
            foreground_classes,
            manifest.parameters.get("ignore_value"),
        )
        self._fractions = foreground_fraction, keep_empty
        self._part = split, subset
        self._manifest, self._sources = manifest, sources
        self._origins = [source.origins for source in sources]
        self._kept = self._keep(self._origins)
        self._sampler = EpochSampler(
            foreground, *self._fractions, kept=self._kept
        )
        self.num_samples = self._sampler.num_samples
        self._index(manifest, sources)

    def _keep(self, origins):
        """Tell which patches are taken, of those at some origins."""
        known = self._manifest, self._sources, origins
        return keep(*self._part, *known, self.manifest_path)

    def _index(self, manifest, sources):
        """Precompute where each patch lies, and open what reads it."""
        lengths = [len(source.origins) for source in sources]
        self._shard_of = np.repeat(np.arange(len(sources)), lengths)
        self._row_of = np.concatenate([np.arange(n) for n in lengths])
        self.image_names = [source.name for source in sources]
        if self._part[0] is not None:
            self.image_names = list(self.patch_boxes())
        if len(self) == 0:
            raise ValueError(
                f"{self.manifest_path}: {self.num_samples} patches do not make "
                "a batch. Use a smaller `batch_size`, or drop_remainder=False. "
                f"Received: batch_size={self.batch_size}, drop_remainder="
                f"{self.drop_remainder}"
            )
        self._draw = 0
        self._readers = open_readers(self.manifest_path, manifest, sources)
        pictures = keys_drawn(manifest.fed_kinds, *PICTURES)
        others = [key for key in self._readers if key not in pictures]
        if self.augment is True and others:
            raise ValueError(
                f"{self.manifest_path}: holds {' and '.join(others)}, which "
                "augment=True does not move with the pixels. The patches of a "
                "detector are augmented as its sampler planned them; for "
                "others pass a function of a batch. Received: augment=True"
            )

    def _start_anew(self):
        """Forget the pass that is going on, as in a copy."""
        self._ahead = ReadAhead()
        self._led = False
        self._asked = None

    def __getstate__(self):
        passing = ("_ahead", "_led", "_asked")
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

    def check_resampling(self) -> None:
        """Refuse a cache that no other patches can be drawn from.

        Raises:
            ValueError: If it does not hold whole images and their objects.
        """
        check_resampling(self.manifest_path, self._manifest)

    def resample(self, number: int) -> None:
        """Draw anew the patches that were planned at random.

        Call it between epochs. Nothing is done where it is the present draw.
        The number of samples stays the same: with `keep_empty`, some of those
        with objects may be seen twice or left out in an epoch to make it up.

        Args:
            number: Number of the draw, from 0, which is what the cache holds.

        Raises:
            ValueError: As `check_resampling`; or if a `split` takes none of
                the patches of the draw.
        """
        self.check_resampling()
        if number != self._draw:
            readers, foreground, origins = open_resampled(
                self.manifest_path, self._manifest, self._sources, number
            )
            kept = self._keep(origins)
            sampler = EpochSampler(
                foreground, *self._fractions, self.num_samples, kept
            )
            self._readers, self._sampler = readers, sampler
            self._origins, self._kept = origins, kept
            self._draw = number
            self._ahead.stop()

    def patch_boxes(self) -> dict[str, NDArray]:
        """Tell what the patches show of each image, in all epochs.

        After a `resample` it is that of the patches that were drawn.

        Returns:
            Dict from the name of an image to integers `(n, 4)`: x1, y1, x2, y2
            in pixels of the image, pixel `i` from `i` to `i + 1`.
        """
        known = self._manifest, self._sources, self._origins, self._kept
        return patch_boxes(*known)

    def _files(self):
        """Tell of the files of images what two sequences may share.

        Returns:
            Dict from the name of an image to a list of pairs (where it is
            cached and its name, and that it is a hash and which: one in common
            means the same image), and its `(height, width)` as it is read.
        """
        folder, hashes = str(self.directory), self._manifest.files
        return {
            source.name: (
                [(folder, source.name), ("sha256", hashes[source.name].sha256)],
                self._manifest.image_size(source),
            )
            for source in self._sources
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
        return self._ahead.take(self._load, self, index)

    def _load(self, index):
        """Read batch `index` of the current epoch."""
        epoch = self.epoch
        start = index * self.batch_size
        batch = self._read(epoch, slice(start, start + self.batch_size))
        if self.augment is True:
            rng = np.random.default_rng((self.seed, epoch, index))
            batch = augment_batch(*batch, rng, self._value_range)
        elif self.augment:
            batch = self.augment(*batch)
        images, labels = batch
        if self.dtype is not None:
            images = images.astype(self.dtype, copy=False)
        return images, labels

    def _read(self, epoch, samples):
        """Copy patches out of the shards: images, and what belongs to them."""
        places = [each[samples].tolist() for each in self._at(epoch)]
        # Asked once: `resample` may put others in their place meanwhile.
        (_, images), *labels = self._readers.items()
        return images.read(*places), _read_labels(labels, places)

    @property
    def label_keys(self) -> tuple[str, ...]:
        """What the labels are called, where there are several: a tuple."""
        _, *keys = self._readers
        return tuple(keys)

    def read_labels(self) -> NDArray | dict[str, NDArray]:
        """Read the labels of all patches of this epoch, no images.

        Returns:
            Array, or dict of them, as in a batch of all patches.
        """
        places = [each.tolist() for each in self._at(self.epoch)]
        _, *labels = self._readers.items()
        return _read_labels(labels, places)

    def to_grain(self) -> PatchSource:
        """Give single patches by their number, as Grain and PyTorch take them.

        Returns:
            `PatchSource`, for `grain.MapDataset.source` and for
            `torch.utils.data.DataLoader`, which shuffle and make batches.
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
        """Give shard and row of each patch, in the order of an epoch."""
        # One assignment: other threads see the old order or the new one.
        order, sampler = self._order, self._sampler
        key = self.seed, epoch, self.shuffle, sampler
        if order is None or order[0] != key:
            rng = np.random.default_rng((self.seed, epoch))
            samples = sampler.draw(rng, self.shuffle)
            places = self._shard_of[samples], self._row_of[samples]
            self._order = order = key, places
        return order[1]

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


def _read_labels(readers, places):
    """Read the labels of one kind, or a dict of those of several."""
    labels = {key: reader.read(*places) for key, reader in readers}
    return labels if len(labels) != 1 else next(iter(labels.values()))


def data_shards():
    """Number of processes that Keras (from 3.16) deals batches out to."""
    distribution = keras.distribution.distribution()
    if getattr(distribution, "auto_shard_dataset", False):
        return getattr(distribution, "num_data_shards", 1)
    return 1
