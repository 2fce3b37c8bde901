"""Readers of the same patches that other packages have; see `feed_readers.py`.

Of each the settings are tried that its documentation recommends. Iterators of
one setting at a time are alive, and hold few batches.
"""

import functools
import itertools

import numpy as np
from feed_readers import BATCH, MappedShards, by_number, packed


def grain_threads(folder):
    """Grain's own threads, over memory maps of the shards."""
    import grain

    def ahead(dataset, threads):
        options = grain.ReadOptions(threads, 2 * threads)  # of batches
        return dataset.to_iter_dataset(options)

    return by_number("threads", grain_pass(folder, ahead), (1, 2, 4, 16))


def grain_processes(folder):
    """The same in Grain's processes, which hand batches over in memory."""
    import grain

    def ahead(dataset, processes):
        options = grain.MultiprocessingOptions(processes, 2)  # batches each
        few = grain.ReadOptions(1, 2)
        return dataset.to_iter_dataset(few).mp_prefetch(options)

    return by_number("processes", grain_pass(folder, ahead), (1, 2))


def grain_pass(folder, ahead):
    import grain
    from absl import flags

    flags.FLAGS.mark_as_parsed()
    shuffled = grain.MapDataset.source(MappedShards(folder)).shuffle(seed=0)
    dataset = shuffled.batch(BATCH)

    @functools.lru_cache(1)
    def batches(number):
        return iter(ahead(dataset.repeat(), number))

    return lambda number: itertools.islice(batches(number), len(dataset))


def ffcv_raw(folder):
    """FFCV's arrays, not compressed; batches are valid until later ones."""
    from ffcv.fields import NDArrayField
    from ffcv.fields.decoders import NDArrayDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.writer import DatasetWriter

    arrays = packed(folder)
    names, path = ("images", "masks"), str(folder / "patches.beton")
    fields = {
        name: NDArrayField(np.dtype("uint8"), array.shape[1:])
        for name, array in zip(names, arrays, strict=True)
    }
    writer = DatasetWriter(path, fields, num_workers=1)
    writer.from_indexed_dataset(Rows(arrays))

    @functools.lru_cache(1)
    def loader(workers):
        return Loader(
            path,
            BATCH,
            num_workers=workers,
            order=OrderOption.RANDOM,
            os_cache=True,
            pipelines={name: [NDArrayDecoder()] for name in names},
        )

    return by_number("threads", lambda n: iter(loader(n)), (1, 2))


def tensorflow_png(folder):
    """`tf.data` over PNG files, all it can tune by itself."""
    import tensorflow as tf

    def read(*paths):
        return tuple(
            tf.io.decode_png(tf.io.read_file(path), channels)
            for path, channels in zip(paths, (3, 1), strict=True)
        )

    paths = png_paths(folder)
    tune = tf.data.AUTOTUNE
    dataset = tf.data.Dataset.from_tensor_slices(tuple(paths))
    dataset = dataset.shuffle(len(paths[0])).map(
        read, num_parallel_calls=tune, deterministic=False
    )
    dataset = dataset.batch(BATCH).prefetch(tune)
    return {"AUTOTUNE": dataset.as_numpy_iterator}


def torch_png(folder):
    """Torch's `DataLoader` over PNG files that Pillow reads: tensors."""
    from torch.utils.data import DataLoader

    @functools.lru_cache(1)
    def loader(workers):
        return DataLoader(
            PngFiles(folder),
            BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    return by_number("processes", lambda n: iter(loader(n)), (1, 2, 4))


def monai_persistent(folder):
    """MONAI's `PersistentDataset`, all of it cached: tensors."""
    import monai
    from monai.data import DataLoader, PersistentDataset, ThreadDataLoader

    monai.data.set_track_meta(False)
    names = "images", "masks"
    steps = monai.transforms.Compose(
        [
            monai.transforms.LoadImaged(names, "PILReader", np.uint8),
            monai.transforms.EnsureTyped(names, dtype="uint8"),
        ]
    )
    paths = zip(*png_paths(folder), strict=True)
    data = [dict(zip(names, pair, strict=True)) for pair in paths]
    dataset = PersistentDataset(data, steps, folder / "monai")

    @functools.lru_cache(1)
    def loader(workers):
        shuffled = {"batch_size": BATCH, "shuffle": True}
        if workers == "a thread":
            return ThreadDataLoader(dataset, **shuffled, num_workers=0)
        return DataLoader(
            dataset,
            **shuffled,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    def epoch(workers):
        for batch in loader(workers):
            yield batch["images"], batch["masks"]

    return by_number("processes", epoch, (0, 1, 2)) | {
        "ThreadDataLoader": lambda: epoch("a thread")
    }


class Rows:
    """Rows of arrays by their number."""

    def __init__(self, arrays):
        self._arrays = arrays

    def __len__(self):
        return len(self._arrays[0])

    def __getitem__(self, row):
        return tuple(array[row] for array in self._arrays)


class PngFiles:
    """Patches by their number, out of PNG files."""

    def __init__(self, folder):
        self._paths = png_paths(folder)

    def __len__(self):
        return len(self._paths[0])

    def __getitem__(self, number):
        from PIL import Image

        return tuple(
            np.array(Image.open(paths[number])) for paths in self._paths
        )


def png_paths(folder):
    number = len(packed(folder)[0])
    return [
        [str(folder / "png" / f"{index}.{kind}.png") for index in range(number)]
        for kind in ("image", "mask")
    ]
