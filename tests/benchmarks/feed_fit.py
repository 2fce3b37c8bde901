"""How much of its time does a small net wait for batches in `fit`?

`fit` on a `PatchingSequence` takes turns with `fit` on batches that lie ready.
What the first takes longer, the device was idle for want of batches.

    python tests/benchmarks/feed_fit.py [--rounds 7]
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import keras
from feed import make_cache, make_images
from feed_readers import BATCH

from keras_patching import PatchingSequence, SemanticSegmentationModel

PATCH = 128


class Ready(keras.utils.PyDataset):
    """Gives one batch over and over."""

    def __init__(self, batch, length):
        super().__init__()
        self._batch, self._length = batch, length

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        return self._batch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make_images(folder, 10)
        manifest = make_cache(folder, PATCH)
        data = {
            f"{workers} threads": PatchingSequence(
                manifest, BATCH, workers=workers
            )
            for workers in (4, 0)
        }
        one = data["4 threads"]
        data["ready"] = Ready(one[0], len(one))
        times = fit_in_turns(data, arguments.rounds)
    ready = times.pop("ready")
    print(f"\nfit of a small net, patches of {PATCH}: {ready:.1f} ms a batch")
    for name, seconds in times.items():
        print(f"{name:<12} idle {max(0, 1 - ready / seconds):>6.1%}")


def fit_in_turns(data, rounds):
    """Give the median time of a batch in `fit`, in ms, of each."""
    model = small_net()
    times = {name: [] for name in data}
    for turn in range(rounds + 1):
        for name, batches in data.items():
            start = time.perf_counter()
            model.fit(batches, verbose=0)
            each = (time.perf_counter() - start) / len(batches) * 1e3
            if turn:  # the first compiles
                times[name].append(each)
    return {name: statistics.median(each) for name, each in times.items()}


def small_net():
    net = keras.Sequential(
        [
            keras.Input((PATCH, PATCH, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(2, 1),
        ]
    )
    model = SemanticSegmentationModel(2, net, patch_size=PATCH)
    model.compile("sgd")
    return model


if __name__ == "__main__":
    main()
