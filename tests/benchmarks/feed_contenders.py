"""Readers of the same patches, each in a process of its own.

A reader is a function of the folder that `feed.py` has made, and gives a dict
from the name of a setting to a function, which gives the batches of an epoch:
uint8 images and masks, shuffled. `feed.py` starts this file with the name of a
reader, and writes a line for each thing that it is to do.
"""

import collections
import concurrent.futures
import functools
import itertools
import json
import pathlib
import resource
import sys
import time

import numpy as np

BATCH = 32
LEAST_SECONDS = 0.3


def raw_map(folder):
    """Give rows of one packed memory map of each kind: a copy, no more."""
    order, take = open_packed(folder)
    return {"1 thread": lambda: map(take, order())}


def raw_map_threads(folder):
    """The same through threads, at most ten batches ahead."""
    order, take = open_packed(folder)

    def epoch(threads):
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            coming = order()
            ahead = collections.deque(
                pool.submit(take, samples)
                for samples in itertools.islice(coming, 10)
            )
            while ahead:
                yield ahead.popleft().result()
                for samples in itertools.islice(coming, 1):
                    ahead.append(pool.submit(take, samples))

    return by_number("threads", epoch, (1, 2, 4))


def raw_shards(folder):
    """Give rows of a memory map of each shard, in a loop."""
    source = MappedShards(folder)
    order = orders(len(source))

    def take(samples):
        rows = [source[sample] for sample in samples.tolist()]
        return tuple(np.stack(each) for each in zip(*rows, strict=True))

    return {"1 thread": lambda: map(take, order())}


def sequence(folder):
    """Give batches of a `PatchingSequence` by their index."""
    return {"no threads": functools.partial(pass_over(folder), 0)}


def read_ahead(folder):
    """The same through its threads, as Keras asks for them in `fit`."""
    return by_number("threads", pass_over(folder), (1, 2, 4))


def cut_ahead(folder):
    """The same, of whole images that patches are cut out of."""
    return by_number("threads", pass_over(folder, "whole"), (1, 2, 4))


def pass_over(folder, name="manifest"):
    from keras_patching import PatchingSequence

    batches = PatchingSequence(facts(folder)[name], BATCH, seed=0)

    def epoch(workers):
        batches.workers = workers
        if workers:
            batches.on_epoch_begin()
        yield from (batches[index] for index in range(len(batches)))
        batches.on_epoch_end()
        batches.epoch += 1

    return epoch


def grain_threads(folder):
    """Grain's own threads, over memory maps of the shards."""
    import grain

    def ahead(dataset, threads):
        options = grain.ReadOptions(threads, max(4 * BATCH, threads))
        return dataset.to_iter_dataset(options)

    return by_number("threads", grain_pass(folder, ahead), (1, 2, 4, 16))


def grain_processes(folder):
    """The same in Grain's processes, which hand batches over in memory."""
    import grain

    def ahead(dataset, processes):
        options = grain.MultiprocessingOptions(processes)
        return dataset.to_iter_dataset().mp_prefetch(options)

    return by_number("processes", grain_pass(folder, ahead), (1, 2))


def grain_pass(folder, ahead):
    import grain
    from absl import flags

    flags.FLAGS.mark_as_parsed()
    shuffled = grain.MapDataset.source(MappedShards(folder)).shuffle(seed=0)
    dataset = shuffled.batch(BATCH)

    @functools.cache
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

    @functools.cache
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

    @functools.cache
    def loader(workers):
        return DataLoader(
            PngFiles(folder),
            BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    return by_number("processes", lambda n: iter(loader(n)), (0, 1, 2, 4))


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

    @functools.cache
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
        "a thread": lambda: epoch("a thread")
    }


class MappedShards:
    """Patches by their number, out of memory maps of the shards."""

    def __init__(self, folder):
        pairs = facts(folder)["shards"]
        self._maps = [
            [np.asarray(np.load(path, mmap_mode="r")) for path in pair]
            for pair in pairs
        ]
        self._rows = len(self._maps[0][0])

    def __len__(self):
        return len(self._maps) * self._rows

    def __getitem__(self, number):
        shard, row = divmod(int(number), self._rows)
        return tuple(array[row] for array in self._maps[shard])


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


def facts(folder):
    return json.loads((folder / "facts.json").read_text())


def packed(folder):
    names = "images.npy", "masks.npy"
    return [np.asarray(np.load(folder / name, mmap_mode="r")) for name in names]


def open_packed(folder):
    arrays = packed(folder)

    def take(samples):
        return tuple(array[samples] for array in arrays)

    return orders(len(arrays[0])), take


def orders(number):
    """Give a function from nothing to the samples of each batch."""
    rng = np.random.default_rng(0)

    def order():
        samples = rng.permutation(number)
        return iter(np.split(samples, range(BATCH, number, BATCH)))

    return order


def png_paths(folder):
    number = len(packed(folder)[0])
    return [
        [str(folder / "png" / f"{index}.{kind}.png") for index in range(number)]
        for kind in ("image", "mask")
    ]


def by_number(unit, epoch, numbers):
    return {f"{n} {unit}": functools.partial(epoch, n) for n in numbers}


def summed(epoch):
    """Tell how many patches come, and the sums of images and of masks."""
    sums = np.zeros(3, "int64")
    for images, masks in epoch():
        pixels = (
            np.asarray(each).sum(dtype="int64") for each in (images, masks)
        )
        sums += len(images), *pixels
    return sums.tolist()


def timed(epoch, seconds):
    """Tell how many patches come in a second, in whole epochs."""
    start, patches = time.perf_counter(), 0
    while not patches or time.perf_counter() - start < seconds:
        patches += sum(len(images) for images, _ in epoch())
    return patches / (time.perf_counter() - start)


def read_from_disk():
    return resource.getrusage(resource.RUSAGE_SELF).ru_inblock * 512


def main():
    name, folder, *chosen = sys.argv[1:]
    epochs = globals()[name](pathlib.Path(folder))
    if chosen:  # the first epoch of all
        before = read_from_disk()
        speed = timed(epochs[chosen[0]], 0)
        answer(speed=speed, megabytes=(read_from_disk() - before) / 1e6)
        return
    sums = summed(next(iter(epochs.values())))
    tried = {}
    for setting, epoch in epochs.items():
        timed(epoch, 0)  # starts what it needs
        tried[setting] = timed(epoch, LEAST_SECONDS)
    best = max(tried, key=tried.get)
    answer(sums=sums, setting=best, tried=tried)
    for _ in sys.stdin:
        answer(speed=timed(epochs[best], LEAST_SECONDS))


def answer(**answers):
    print("ANSWER " + json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
